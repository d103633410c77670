"""Your own blocks, strategies, metrics, data sets, runtimes and teachers, without a fork.

A plug-in is a Python file, or a module that can be imported. It registers what it defines by decorators:

    import nas.plugins

    @nas.plugins.strategy("mine")
    class Mine(Strategy): ...

and is loaded by `--plugin FILE|MODULE` of any command, by the variable `NAS_PLUGINS`, by `nas.load_plugin`, or, if it
is an installed package, by an entry point of group `nas.plugins`. Nothing else loads code: no YAML file, no database.
A name that exists already is refused, whoever has it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.plugins.costs import metric
    from nas.plugins.loading import load_plugin, unload
    from nas.plugins.records import LOADED as loaded
    from nas.plugins.records import Plugin
    from nas.plugins.register import block, data, runtime, strategy, teacher

_PLACES = {
    "Plugin": ("records", "Plugin"),
    "block": ("register", "block"),
    "data": ("register", "data"),
    "load_plugin": ("loading", "load_plugin"),
    "loaded": ("records", "LOADED"),
    "metric": ("costs", "metric"),
    "runtime": ("register", "runtime"),
    "strategy": ("register", "strategy"),
    "teacher": ("register", "teacher"),
    "unload": ("loading", "unload"),
}

__all__ = [
    "Plugin",
    "block",
    "data",
    "load_plugin",
    "loaded",
    "metric",
    "runtime",
    "strategy",
    "teacher",
    "unload",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'nas.plugins' has no attribute {name!r}")
    module, own = _PLACES[name]
    return getattr(import_module(f"nas.plugins.{module}"), own)
