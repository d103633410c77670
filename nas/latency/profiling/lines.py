"""A process that answers JSON lines: how exporters and timers, here or on a board, are spoken to."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nas.errors import NasError

_TAIL = 800  # characters of a process's last words that are shown
_PATIENCE = 5.0  # seconds a process gets to end by itself


class ProcessEnded(NasError):
    """The process is gone; another one may be started."""


class AnswerError(NasError):
    """The process is there, but could not do what it was asked to."""


class LineProcess:
    """A child process: one JSON object in, one out.

    It ends when its input is closed, which the system does for a parent that is killed, and it does not hear
    Ctrl-C, which is the parent's to handle.
    """

    def __init__(
        self, command: Sequence[str], what: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it.

        Args:
            command: program and arguments.
            what: what it is, for messages.
            environment: variables beside the present ones.

        Raises:
            NasError: there is no such program.
        """
        self.what = what
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self._buffer = b""
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise NasError(f"{what}: {command[0]} cannot be started: {error.strerror}.") from None

    def send_bytes(self, data: bytes) -> None:
        """Write raw bytes to its input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Its answer to a request.

        Raises:
            AnswerError: it answered that it cannot.
            ProcessEnded: it ended, or did not answer within `seconds` and was ended.
        """
        self.send_bytes(json.dumps(dict(request)).encode() + b"\n")
        answer = self._answer(seconds)
        if not answer.pop("ok"):
            raise AnswerError(f"{self.what}: {answer['error']}")
        return dict(answer)

    def _answer(self, seconds: float) -> dict[str, Any]:
        """The next line that is an answer; what a login shell says of itself is none."""
        while True:
            try:
                answer = json.loads(self._line(seconds))
            except ValueError:
                continue
            if isinstance(answer, dict) and "ok" in answer:
                return answer

    def close(self) -> None:
        """End it: close its input, and after a while kill it."""
        if self._process.stdin is not None:
            with _suppressed():
                self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _line(self, seconds: float) -> bytes:
        assert self._process.stdout is not None
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(until - time.monotonic(), 0.0)):
                    self._process.kill()
                    raise self._ended(f"did not answer for {seconds:.0f} s")
                read = os.read(self._process.stdout.fileno(), 1 << 16)
                if not read:
                    raise self._ended()
                self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _ended(self, why: str = "") -> ProcessEnded:
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()[-_TAIL:]
        return ProcessEnded(f"{self.what} {why or f'ended with status {code}'}{': ' + said if said else '.'}")


def _suppressed() -> Any:
    import contextlib

    return contextlib.suppress(OSError)
