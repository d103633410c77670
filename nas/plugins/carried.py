"""Taking plug-ins to other processes: workers load what the driver loaded, and nothing else."""

from __future__ import annotations

import base64
import pickle
import socket
from dataclasses import dataclass
from typing import Any, Self

from nas.errors import NasError
from nas.plugins.loading import load_content, load_module
from nas.plugins.records import LOADED, identity, sha256


@dataclass(frozen=True)
class CarriedPlugin:
    """One plug-in, as plain data."""

    name: str
    source: str
    digest: str
    content: bytes | None
    announced: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same for a process that is spoken to by lines."""
        content = None if self.content is None else base64.b64encode(self.content).decode()
        plain = {"name": self.name, "source": self.source, "digest": self.digest}
        return {**plain, "content": content, "announced": self.announced}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Back from `to_json`."""
        content = None if data["content"] is None else base64.b64decode(data["content"])
        return cls(data["name"], data["source"], data["digest"], content, data["announced"])

    def load(self) -> None:
        """Load it here.

        Raises:
            NasError: what arrived, or what this machine has under that name, is not what the driver loaded.
        """
        if self.content is not None:
            if sha256(self.content) != self.digest:
                raise NasError(f"the plug-in {self.name!r} did not arrive as it was sent.")
            load_content(self.name, self.source, self.content)
            return
        loaded = load_module(self.name, announced=self.announced)
        if loaded.digest != self.digest:
            raise NasError(
                f"the plug-in {self.name!r} on {socket.gethostname()} is {identity(loaded.facts())}; the driver has "
                f"sha256 {self.digest[:12]}. Install the same version on every machine."
            )


def plugins_here() -> tuple[CarriedPlugin, ...]:
    """What is loaded, ready to be sent.

    Raises:
        NasError: something was registered by the program itself, which other processes cannot load.
    """
    for plugin in LOADED.values():
        if plugin.origin == "program" and plugin.claims:
            raise NasError(
                f"{plugin.facts()['provides'][0]} is registered by the program {plugin.name!r} itself, which other "
                "processes cannot load: put it in a file of its own, and load that by nas.load_plugin."
            )
    return tuple(
        CarriedPlugin(
            plugin.name,
            plugin.source,
            plugin.digest,
            plugin.content if plugin.origin == "file" else None,
            plugin.origin == "package",
        )
        for plugin in LOADED.values()
        if plugin.origin != "program"
    )


@dataclass(frozen=True)
class Carried:
    """An object with the plug-ins that its classes may come from; it is put together only once they are loaded."""

    plugins: tuple[CarriedPlugin, ...]
    content: bytes

    @classmethod
    def of(cls, thing: Any) -> Self:
        """Ready to be sent.

        Raises:
            NasError: something was registered by the program itself, which other processes cannot load.
        """
        return cls(plugins_here(), pickle.dumps(thing))

    def open(self) -> Any:
        """The object, after its plug-ins are loaded here.

        Raises:
            NasError: see `nas.plugins.loading.load_plugin`; or a plug-in is another one on this machine.
        """
        for plugin in self.plugins:
            plugin.load()
        return pickle.loads(self.content)  # noqa: S301 (made by the driver that this worker belongs to)
