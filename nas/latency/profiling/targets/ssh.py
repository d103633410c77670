"""A board over ssh: the timer is sent through the connection and answers through it; nothing is written there.

The OpenSSH client of this machine is used, with its configuration, keys and known hosts. It is never asked for a
password: keys must be in place.
"""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nas.errors import NasError
from nas.latency.profiling import timer
from nas.latency.profiling.exports import Exported
from nas.latency.profiling.lines import AnswerError, LineProcess, ProcessEnded
from nas.latency.profiling.targets.base import Facts
from nas.latency.profiling.targets.local import TimerTarget

_CONNECT_SECONDS = 15
_FIRST = (
    "import sys;n=int(sys.stdin.buffer.readline());exec(compile(sys.stdin.buffer.read(n),'timer','exec'),"
    "{'__name__':'__main__'})"
)
_ADVICE = {
    "Permission denied": "it does not accept this machine's key; put it there with ssh-copy-id",
    "Host key verification failed": "its host key is not known or has changed; connect once by hand and check it",
    "Connection refused": "nothing listens there; is sshd running, is the port right?",
    "timed out": "it does not answer; is it on, is the address right?",
    "No route to host": "there is no way to it; is it on, is the address right?",
    "Could not resolve": "nobody knows that name",
    "not found": "there is no such Python there; name one with --python",
    "No such file": "there is no such Python there; name one with --python",
}


@dataclass(frozen=True)
class Address:
    """Where a board is: `ssh://[user@]host[:port]`."""

    host: str
    user: str = ""
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `ssh://user@board:2222`.

        Raises:
            NasError: not such an address.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        host = parts.hostname or ""
        wrong = parts.scheme != "ssh" or not host or parts.path.strip("/") or parts.password or parts.query
        if wrong or host.startswith("-") or (parts.username or "").startswith("-"):
            raise NasError(
                f"--via {text!r}: an address like ssh://user@board or ssh://user@board:2222 is needed."
            )
        return cls(host, parts.username or "", port)

    def command(self) -> list[str]:
        """The ssh command up to the destination."""
        options = ["BatchMode=yes", f"ConnectTimeout={_CONNECT_SECONDS}", "ServerAliveInterval=15"]
        command = ["ssh", "-T", *(word for option in options for word in ("-o", option))]
        if self.port is not None:
            command += ["-p", str(self.port)]
        return [*command, "--", f"{self.user}@{self.host}" if self.user else self.host]


class SshTarget(TimerTarget):
    """The timer on a board."""

    def __init__(self, address: str, runtime: str, threads: int, python: str = "python3") -> None:
        """Connect and start the timer there.

        Args:
            address: `ssh://user@board[:port]`.
            runtime, threads: what it runs models with.
            python: the interpreter there that has numpy and the runtime.

        Raises:
            NasError: not an address, or there is no ssh here.
        """
        parsed = Address.parse(address)
        remote = f"OMP_NUM_THREADS={threads} exec {shlex.quote(python)} -u -c {shlex.quote(_FIRST)}"
        process = LineProcess([*parsed.command(), remote], f"ssh to {parsed.host}")
        super().__init__(process, runtime, threads)
        self._address, self._host, self._python = address, parsed.host, python

    def facts(self) -> Facts:
        script = Path(timer.__file__).read_bytes()
        try:
            self._process.send_bytes(f"{len(script)}\n".encode() + script)
            return super().facts()
        except ProcessEnded as error:
            raise NasError(self._explain(str(error))) from None
        except AnswerError as error:
            raise NasError(
                f"{error}. On {self._host}, {self._python} needs numpy and {self._runtime}: install them there, or "
                f"name another interpreter with --python."
            ) from None

    def _content(self, model: Exported) -> dict[str, Any]:
        return {"data": base64.b64encode(model.path.read_bytes()).decode()}

    def _explain(self, said: str) -> str:
        advice = next((advice for words, advice in _ADVICE.items() if words in said), "")
        return f"{self._address}: {f'{advice} ({said})' if advice else said}"
