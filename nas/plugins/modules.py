"""Modules as plug-ins: finding them without running them, and what identifies them."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path

from nas.errors import NasError
from nas.plugins.failures import explained


def spec_of(name: str) -> ModuleSpec:
    """Where a module is; of the packages it lies in, the code runs.

    Raises:
        NasError: there is none that can be imported, or a package around it fails.
    """
    spec: ModuleSpec | None = None
    if all(part.isidentifier() for part in name.split(".")):
        with explained("", name):
            try:
                spec = importlib.util.find_spec(name)
            except ModuleNotFoundError as error:
                if not name.startswith(f"{error.name}."):
                    raise
    if spec is not None and spec.origin is not None:
        return spec
    file = Path(f"{name}.py")
    hint = f" There is a file {file}: give --plugin {file}." if file.is_file() else ""
    raise NasError(
        f"--plugin {name}: there is no module of that name that can be imported, and a file's name ends "
        f"in .py.{hint}"
    )


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


def version_of(module: str) -> str:
    """Version of the distribution a module belongs to; empty if to none."""
    top = module.partition(".")[0]
    try:
        return metadata.version(next(iter(metadata.packages_distributions().get(top, [top]))))
    except (metadata.PackageNotFoundError, StopIteration):
        return ""
