"""Neural architecture search for vision models on your device.

The names below are the stable Python interface; each is imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.costs import cost
    from nas.errors import ConfigError, NasError
    from nas.latency.device import Device, load_device
    from nas.pipeline.run import run
    from nas.plugins.loading import load_plugin
    from nas.search.strategies import Strategy, strategy
    from nas.space import Arch, ArchBatch, Space, load_space
    from nas.study import Study, load_study
    from nas.supernet.dense import features
    from nas.supernet.supernet import Supernet

_PLACES = {
    "Arch": "nas.space",
    "ArchBatch": "nas.space",
    "ConfigError": "nas.errors",
    "Device": "nas.latency.device",
    "NasError": "nas.errors",
    "Space": "nas.space",
    "Strategy": "nas.search.strategies",
    "Study": "nas.study",
    "Supernet": "nas.supernet.supernet",
    "cost": "nas.costs.counts",
    "features": "nas.supernet.dense",
    "load_device": "nas.latency.device",
    "load_plugin": "nas.plugins.loading",
    "load_space": "nas.space",
    "load_study": "nas.study",
    "run": "nas.pipeline.run",
    "strategy": "nas.search.strategies",
}

__version__ = "0.1.0"

__all__ = [
    "Arch",
    "ArchBatch",
    "ConfigError",
    "Device",
    "NasError",
    "Space",
    "Strategy",
    "Study",
    "Supernet",
    "cost",
    "features",
    "load_device",
    "load_plugin",
    "load_space",
    "load_study",
    "run",
    "strategy",
]


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found
