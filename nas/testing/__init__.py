"""What nas relies on in a part of your own, as checks that raise an `AssertionError` with the property that fails.

    from nas.testing import check_strategy

    def test_mine() -> None:
        check_strategy("mine")

They need no test framework; nas's own tests call the same functions. Each is imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.testing.blocks import check_block
    from nas.testing.data import check_data
    from nas.testing.runtimes import check_runtime
    from nas.testing.storages import check_storage
    from nas.testing.strategies import check_strategy

_PLACES = {
    "check_block": "nas.testing.blocks",
    "check_data": "nas.testing.data",
    "check_runtime": "nas.testing.runtimes",
    "check_storage": "nas.testing.storages",
    "check_strategy": "nas.testing.strategies",
}

__all__ = ["check_block", "check_data", "check_runtime", "check_storage", "check_strategy"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'nas.testing' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
