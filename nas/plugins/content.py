"""Modules made of content that was read already, so that what is hashed is what runs."""

from __future__ import annotations

import re
import sys
from importlib.abc import SourceLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from nas.plugins.records import LOADED, SHOWN


class ContentLoader(SourceLoader):
    """Imports one module from bytes; its functions and errors refer to the file they were read from.

    Args:
        name: of the module.
        path: of the file.
        content: of it.
    """

    def __init__(self, name: str, path: str, content: bytes) -> None:
        self._name, self._path, self._content = name, path, content

    def get_filename(self, fullname: str) -> str:
        """The file."""
        return self._path

    def get_data(self, path: str | bytes) -> bytes:
        """Its content, whatever the file holds by now."""
        return self._content

    def load(self) -> None:
        """Run the module; other modules find it by its name from then on.

        Raises:
            Exception: whatever the module raises.
        """
        spec = spec_from_file_location(self._name, self._path, loader=self)
        assert spec is not None
        module = module_from_spec(spec)
        sys.modules[self._name] = module
        try:
            self.exec_module(module)
        except BaseException:
            del sys.modules[self._name]
            raise


def module_name(name: str, digest: str) -> str:
    """Name of the module of a plug-in file: the same in every process, and never that of another module."""
    return f"nas_plugin_{re.sub(r'[^0-9A-Za-z_]', '_', name)}_{digest[:SHOWN]}"


def module_of(name: str) -> ModuleType | None:
    """The module of a loaded plug-in."""
    plugin = LOADED.get(name)
    if plugin is None:
        return None
    return sys.modules.get(module_name(name, plugin.digest) if plugin.origin == "file" else name)
