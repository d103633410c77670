"""Loading plug-ins: what somebody typed, and installed packages that announce themselves.

Nothing here is ever called with a path or a name that was read from a YAML file, a database or a run's folder.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from nas.errors import NasError
from nas.plugins import records
from nas.plugins.content import ContentLoader, module_name
from nas.plugins.failures import explained
from nas.plugins.modules import package_digest, spec_of, version_of
from nas.plugins.records import LOADED, Plugin, sha256

VARIABLE, GROUP = "NAS_PLUGINS", "nas.plugins"
_installed: list[bool] = []


def load_plugin(source: str | Path) -> Plugin:
    """Load a plug-in: a Python file, or a module that can be imported. Loading the same one again does nothing.

    Args:
        source: `"my_blocks.py"`, `"folder/my_blocks.py"` or `"my_package.blocks"`.

    Returns:
        What was loaded and what it registered.

    Raises:
        NasError: there is no such file or module, an error in it (with its line), it registers a name that exists
            already, or another plug-in of that name is loaded.
    """
    text = str(source).strip()
    if not text:
        raise NasError("the name of a plug-in is empty; give a Python file or a module.")
    is_path = isinstance(source, Path) or text.endswith(".py") or "/" in text or os.sep in text
    return _file(Path(text)) if is_path else load_module(text)


def load_all(typed: Iterable[str | Path], environment: str = "") -> None:
    """Load installed packages, then those of the environment's variable, then those somebody typed.

    Args:
        environment: value of `NAS_PLUGINS`: files and modules between the system's path separators.

    Raises:
        NasError: see `load_plugin`.
    """
    load_installed()
    for named in filter(None, (part.strip() for part in environment.split(os.pathsep))):
        try:
            load_plugin(named)
        except NasError as error:
            raise NasError(f"{VARIABLE}: {error}") from None
    for source in typed:
        load_plugin(source)


def load_installed() -> None:
    """Load the entry points of group `nas.plugins` of installed packages, once.

    Packages in the working directory do not count: a folder of somebody else's runs may lie there.

    Raises:
        NasError: one of them cannot be loaded; says which package has it.
    """
    if _installed:
        return
    places = [place for place in sys.path if place and Path(place).resolve() != Path.cwd()]
    for distribution in metadata.distributions(path=places):
        for entry in distribution.entry_points:
            if entry.group == GROUP:
                try:
                    load_module(entry.module, announced=True)
                except NasError as error:
                    name = distribution.metadata["Name"]
                    raise NasError(
                        f"{error} The installed package {name!r} announces it; repair or uninstall that."
                    ) from None
    _installed.append(True)


def unload(name: str) -> None:
    """Forget a plug-in and all it registered, e.g. to load its changed file in a notebook.

    Raises:
        NasError: none of that name is loaded.
    """
    if name not in LOADED:
        raise NasError(f"no plug-in {name!r} is loaded; loaded are: {', '.join(LOADED) or 'none'}.")
    plugin = LOADED[name]
    records.forget(plugin)
    own = module_name(plugin.name, plugin.digest) if plugin.origin == "file" else plugin.name
    for module in [each for each in sys.modules if each == own or each.startswith(f"{own}.")]:
        del sys.modules[module]


def load_content(name: str, path: str, content: bytes) -> Plugin:
    """Load a plug-in file by its content, as another process read it from `path`.

    Raises:
        NasError: see `load_plugin`.
    """
    plugin = Plugin(name, "file", path, sha256(content), content=content)
    known = _known(plugin)
    if known is not None:
        return known
    loader = ContentLoader(module_name(name, plugin.digest), path, content)
    with explained(path, Path(path).name):
        _registering(plugin, loader.load)
    return plugin


def _file(path: Path) -> Plugin:
    path = path.expanduser()
    if path.is_dir():
        raise NasError(f"--plugin {path}: this is a folder; give a Python file, or the name of a module.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NasError(f"--plugin {path}: {(error.strerror or str(error)).lower()}.") from None
    return load_content(path.stem, str(path.resolve()), content)


def load_module(name: str, *, announced: bool = False) -> Plugin:
    """Load a module that can be imported; `announced` by its package, which is installed.

    Raises:
        NasError: see `load_plugin`.
    """
    spec = spec_of(name)
    plugin = Plugin(
        name, "package" if announced else "module", name, package_digest(spec), version=version_of(name)
    )
    known = _known(plugin)
    if known is not None:
        return known
    with explained(spec.origin or "", name):
        _registering(plugin, lambda: importlib.import_module(name))
    return plugin


def _known(plugin: Plugin) -> Plugin | None:
    """The same plug-in, if it is loaded.

    Raises:
        NasError: another one of that name is.
    """
    known = LOADED.get(plugin.name)
    if known is None or known.digest == plugin.digest:
        return known
    raise NasError(
        f"the plug-in {plugin.name!r} of {plugin.source} is not loaded: another one of that name is, from "
        f"{known.source or 'this program'}, with other content. Rename the file; or, where the same "
        f"file has changed, call nas.plugins.unload({plugin.name!r}) before it is loaded again."
    )


def _registering(plugin: Plugin, work: Callable[[], object]) -> None:
    records.begin(plugin)
    kept = False
    try:
        work()
        kept = True
    finally:
        records.end(keep=kept)


def registering(module: str) -> Plugin:
    """Whose it is what is registered now: the plug-in being loaded; else the module that was imported in the usual way,
    which others can import, too; else the program or notebook itself."""
    current = records.loading()
    if current is not None:
        return current
    if module not in LOADED:
        spec = getattr(sys.modules.get(module), "__spec__", None)
        if spec is not None and spec.origin is not None and module != "__main__":
            plugin = Plugin(module, "module", module, package_digest(spec), version_of(module))
        else:
            at = getattr(sys.modules.get(module), "__file__", None)
            digest = sha256(Path(at).read_bytes()) if at and Path(at).is_file() else ""
            plugin = Plugin(module, "program", "", digest)
        LOADED[module] = plugin
    return LOADED[module]
