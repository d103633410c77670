"""Taking plug-ins to other processes: workers load what the driver loaded, and nothing else."""

from __future__ import annotations

import pickle
import socket
from dataclasses import dataclass
from typing import Any, Self

from nas.errors import NasError
from nas.plugins.loading import load_content, load_plugin
from nas.plugins.records import LOADED, identity, sha256


@dataclass(frozen=True)
class _One:
    """One plug-in, as plain data."""

    name: str
    source: str
    digest: str
    content: bytes | None

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
        loaded = load_plugin(self.name)
        if loaded.digest != self.digest:
            raise NasError(
                f"the plug-in {self.name!r} on {socket.gethostname()} is {identity(loaded.facts())}; the driver has "
                f"sha256 {self.digest[:12]}. Install the same version on every machine."
            )


@dataclass(frozen=True)
class Carried:
    """An object with the plug-ins that its classes may come from; it is put together only once they are loaded."""

    plugins: tuple[_One, ...]
    content: bytes

    @classmethod
    def of(cls, thing: Any) -> Self:
        """Ready to be sent.

        Raises:
            NasError: something was registered by the program itself, which other processes cannot load.
        """
        for plugin in LOADED.values():
            if plugin.origin == "program":
                raise NasError(
                    f"{plugin.facts()['provides'][0]} is registered by the program {plugin.name!r} itself, which other "
                    "processes cannot load: put it in a file of its own, and load that by nas.load_plugin."
                )
        ones = [
            _One(
                plugin.name, plugin.source, plugin.digest, plugin.content if plugin.origin == "file" else None
            )
            for plugin in LOADED.values()
        ]
        return cls(tuple(ones), pickle.dumps(thing))

    def open(self) -> Any:
        """The object, after its plug-ins are loaded here.

        Raises:
            NasError: see `nas.plugins.loading.load_plugin`; or a plug-in is another one on this machine.
        """
        for plugin in self.plugins:
            plugin.load()
        return pickle.loads(self.content)  # noqa: S301 (made by the driver that this worker belongs to)
