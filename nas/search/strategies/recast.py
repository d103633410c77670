"""nevergrad's optimisers that run in a thread of their own: Cobyla, Powell, NelderMead, SQP, …

Each is another library's loop, which blocks until the loss of what it asked for is told. Its thread would keep the
program from ending: it is started by a daemon thread, so that it is one as well.
"""

from __future__ import annotations

import threading
import warnings
from typing import Any

from nas.errors import NasError

PATIENCE_S = 120.0


def is_recast(optimizer: Any) -> bool:
    """Whether a nevergrad optimiser runs in a thread of its own."""
    from nevergrad.optimization.recaster import RecastOptimizer

    return isinstance(optimizer, RecastOptimizer)


def ask_recast(optimizer: Any) -> Any:
    """What it wants to know next, a nevergrad parameter; None once it has converged.

    Raises:
        NasError: the library behind it failed, or it asks for nothing within two minutes.
    """
    found: list[Any] = []
    asking = threading.Thread(target=_ask, args=(optimizer, found), daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    if not found:
        raise NasError(f"nevergrad's {optimizer.name} asked for nothing within {PATIENCE_S:g} s.")
    if isinstance(found[0], Exception):
        raise NasError(failure(optimizer.name, found[0]))
    return found[0]


def failure(name: str, error: Exception) -> str:
    """What is told where an optimiser raised something: the last line, which names the cause."""
    lines = str(error).strip().splitlines()
    return f"nevergrad's {name} failed: {lines[-1] if lines else type(error).__name__}"


def _ask(optimizer: Any, found: list[Any]) -> None:
    from nevergrad.common.errors import FinishedUnderlyingOptimizerWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            candidate = optimizer.ask()
        except Exception as error:
            # Whatever another library raises is told by the thread that waits.
            found.append(error)
            return
    converged = any(issubclass(one.category, FinishedUnderlyingOptimizerWarning) for one in caught)
    found.append(None if converged else candidate)
