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

from nas.plugins.costs import metric
from nas.plugins.loading import load_plugin, unload
from nas.plugins.records import LOADED as loaded
from nas.plugins.records import Plugin
from nas.plugins.register import block, data, runtime, strategy, teacher

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
