"""Modules made of content that was read already, so that what is hashed is what runs."""

from __future__ import annotations

import hashlib
import re
import sys
from importlib.abc import SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
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


def package_digest(spec: ModuleSpec) -> str:
    """SHA-256 of a module's file; of a package, over names and contents of all its Python files."""
    assert spec.origin is not None
    digest, origin = hashlib.sha256(), Path(spec.origin)
    if spec.submodule_search_locations is None:
        return hashlib.sha256(origin.read_bytes()).hexdigest() if origin.is_file() else ""
    for file in sorted(origin.parent.rglob("*.py")):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(origin.parent).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def module_of(name: str) -> ModuleType | None:
    """The module of a loaded plug-in."""
    plugin = LOADED.get(name)
    if plugin is None:
        return None
    return sys.modules.get(module_name(name, plugin.digest) if plugin.origin == "file" else name)
