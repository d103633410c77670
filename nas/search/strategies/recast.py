"""nevergrad's optimisers that run in a thread of their own: Cobyla, Powell, NelderMead, SQP, …

Each is another library's loop, which blocks until the loss of what it asked for is told. Its thread would keep the
program from ending: it is started by a daemon thread, so that it is one as well. Many are parts of others: of chains
(`Carola2`), of rescaled ones (`TinySQP`), of portfolios, and of what `NGOpt` chooses.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

from nas.errors import NasError

PATIENCE_S = 120.0
PAUSE_S = 0.0002


def is_recast(optimizer: Any) -> bool:
    """Whether a nevergrad optimiser, or one that it is made of, runs in a thread of its own."""
    from nevergrad.optimization.recaster import RecastOptimizer

    return isinstance(optimizer, RecastOptimizer) or any(is_recast(part) for part in parts(optimizer))


def is_sequential(optimizer: Any) -> bool:
    """Whether a nevergrad optimiser is to be told of one candidate before it is asked for the next."""
    declared = getattr(optimizer, "_configured_optimizer", optimizer)
    return bool(
        optimizer.no_parallelization
        or declared.no_parallelization
        or is_recast(optimizer)
        or any(is_sequential(part) for part in parts(optimizer))
    )


def counts_tells(optimizer: Any) -> bool:
    """Whether it would wait for ever for an answer, once it was told what it did not ask for.

    A chain's part is told until the chain was told as often as the part's share of the budget says, whoever asked;
    it is asked until the chain was asked as often.
    """
    from nevergrad.optimization.optimizerlib import _Chain

    if isinstance(optimizer, _Chain):
        return is_recast(optimizer)
    return any(counts_tells(part) for part in parts(optimizer))


def parts(optimizer: Any) -> list[Any]:
    """The optimisers that one of nevergrad's is made of.

    One that it chooses when it is first asked is chosen now: only then is known whether it runs in a thread.
    """
    from nevergrad.optimization.base import Optimizer

    if isinstance(getattr(type(optimizer), "optim", None), property):
        held = [optimizer.optim]
    else:
        held = []
        for value in vars(optimizer).values():
            held += value if isinstance(value, list) else [value]
    return [one for one in held if isinstance(one, Optimizer)]


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


def settle(optimizer: Any) -> None:
    """Wait until no thread of an optimiser computes: each has asked for something, or has ended.

    Otherwise it would draw from the global generators at any time, and out of order.
    """
    limit = time.monotonic() + PATIENCE_S
    while any(_computes(one) for one in _threads(optimizer)) and time.monotonic() < limit:
        time.sleep(PAUSE_S)


def failure(name: str, error: Exception) -> str:
    """What is told where an optimiser raised something: the last line, which names the cause."""
    lines = str(error).strip().splitlines()
    return f"nevergrad's {name} failed: {lines[-1] if lines else type(error).__name__}"


def _threads(optimizer: Any) -> Iterator[Any]:
    """Its parts whose thread was started."""
    from nevergrad.optimization.recaster import SequentialRecastOptimizer

    if isinstance(optimizer, SequentialRecastOptimizer) and optimizer._messaging_thread is not None:
        yield optimizer
    for part in parts(optimizer):
        yield from _threads(part)


def _computes(optimizer: Any) -> bool:
    thread, answers = optimizer._messaging_thread._thread, optimizer.num_tell - optimizer.num_tell_not_asked
    return bool(thread.is_alive() and thread.call_count <= answers)


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
    found.append(None if converged and _at_its_end(optimizer) else candidate)


def _at_its_end(optimizer: Any) -> bool:
    """Whether nothing comes after the part that has converged.

    The others of a portfolio go on; the part that converged then asks for random points.
    """
    from nevergrad.optimization.optimizerlib import _Chain
    from nevergrad.optimization.recaster import RecastOptimizer

    if isinstance(optimizer, RecastOptimizer):
        return optimizer._messaging_thread is not None
    own = parts(optimizer)
    return bool(own) and (len(own) == 1 or isinstance(optimizer, _Chain)) and _at_its_end(own[-1])
