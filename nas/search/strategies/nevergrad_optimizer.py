"""One of nevergrad's optimisers, shut off: what it draws follows from its seed and shows nowhere else.

nevergrad's optimisers draw from the generator of their parametrisation, but many also from numpy's global one, when
they are built, asked or told; some are configured by such draws when nevergrad is imported. While one works, the global
generators are therefore its own, and afterwards they are again what they were.

Those that run in a thread of their own (Cobyla, Powell, SQP, … are other libraries' loops, which block until they are
told), or have a part that does (chains, portfolios, what `NGOpt` chooses), are refused: such a thread cannot be waited
for, and keeps a program from ending.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from nas.errors import NasError, unknown
from nas.search.strategies.nevergrad_encoding import Codes, Encoding
from nas.space.space import Space

ALL_DRAWN = "Over the budget"  # what nevergrad's samplers say once they have drawn what they planned


class Draws:
    """numpy's and Python's global generators, as they are for one user of them."""

    def __init__(self, *seed: int) -> None:
        self._numpy = np.random.RandomState(seed).get_state()
        self._python = random.Random(str(seed)).getstate()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Meanwhile the global generators go on from this user's last draw."""
        numpy, python = np.random.get_state(), random.getstate()  # noqa: NPY002
        np.random.set_state(self._numpy)  # noqa: NPY002
        random.setstate(self._python)
        try:
            yield
        finally:
            self._numpy, self._python = np.random.get_state(), random.getstate()  # noqa: NPY002
            np.random.set_state(numpy)  # noqa: NPY002
            random.setstate(python)


class SeededOptimizer:
    """An optimiser of nevergrad's over the decisions of a space that are free.

    Args:
        name: in nevergrad's registry.
        space: to search.
        budget: planned evaluations.
        seed: numbers from which all its draws follow.

    Attributes:
        sequential: whether it is asked only while it waits for nothing.

    Raises:
        NasError: no optimiser of that name, or one that cannot be built for this space, or that runs in a thread.
    """

    def __init__(self, name: str, space: Space, budget: int, *seed: int) -> None:
        self.name, self.budget = name, budget
        self._draws, self._encoding = Draws(*seed), Encoding(space.decisions)
        self._width = len(space.decisions)
        registry = library().optimizers.registry
        if name not in registry:
            raise NasError(unknown("nevergrad optimiser", name, registry))
        with self._working():
            try:
                parameters = self._encoding.parameters(library())
                parameters.random_state = np.random.RandomState(seed)
                self.built = registry[name](parameters, budget=budget)
                threads = in_thread(self.built)
            except Exception as error:
                raise NasError(
                    f"nevergrad's {name} cannot be built for space {space.name!r}: {error}"
                ) from None
        if threads:
            raise NasError(
                f"nevergrad's {name} runs in a thread of its own, or has a part that does, so that a search can "
                "neither stop nor resume it: choose one that is asked and told, as nevergrad:TwoPointsDE, "
                "nevergrad:DiscreteOnePlusOne or nevergrad:CMA."
            )
        self.sequential = bool(registry[name].no_parallelization) or _is_sequential(self.built)

    @property
    def handles_vectors(self) -> bool:
        """Whether it minimises vectors of losses."""
        family = library().families.DifferentialEvolution
        return isinstance(library().optimizers.registry[self.name], family)

    def ask(self) -> Any:
        """What it wants to know next, a nevergrad parameter; None where it has come to its end.

        Raises:
            NasError: it cannot be asked, as one whose library is not installed.
        """
        with self._working():
            try:
                return self.built.ask()
            except Exception as error:
                # Whatever the library behind an optimiser raises.
                if isinstance(error, AssertionError) and ALL_DRAWN in str(error):
                    return None
                raise NasError(self._failure(error)) from None

    def codes(self, candidate: Any) -> Codes:
        """Positions of the values that a candidate asks for, `(decisions,)`."""
        return self._encoding.codes(candidate, self._width)

    def tell(self, candidate: Any, losses: float | list[float]) -> None:
        """The losses of what it asked for, or of a reference point.

        Raises:
            NasError: it fails, as one whose library does not bear such losses.
        """
        with self._working():
            try:
                self.built.tell(candidate, losses)
            except library().errors.TellNotAskedNotSupportedError:
                raise
            except Exception as error:
                # Whatever the library behind an optimiser raises.
                raise NasError(self._failure(error)) from None

    def hear(self, codes: Codes, losses: float | list[float]) -> None:
        """Losses of positions it did not ask for; nothing where it has no use for them."""
        value = self._encoding.value(codes)
        try:
            self.tell(self.built.parametrization.spawn_child(new_value=value), losses)
        except library().errors.TellNotAskedNotSupportedError:
            return

    def _failure(self, error: Exception) -> str:
        """What is told where it raised something: the last line, which names the cause."""
        lines = str(error).strip().splitlines()
        return f"nevergrad's {self.name} failed: {lines[-1] if lines else type(error).__name__}"

    @contextmanager
    def _working(self) -> Iterator[None]:
        """With its own global generators, and without nevergrad's advice on choosing another optimiser."""
        with self._draws.lent(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


@cache
def library() -> Any:
    """nevergrad; what it draws when it is imported is the same in every process."""
    with Draws(0).lent():
        import nevergrad
    return nevergrad


def in_thread(optimizer: Any) -> bool:
    """Whether a nevergrad optimiser, or one that it is made of, runs in a thread of its own."""
    from nevergrad.optimization.recaster import RecastOptimizer

    return isinstance(optimizer, RecastOptimizer) or any(in_thread(part) for part in _parts(optimizer))


def _is_sequential(optimizer: Any) -> bool:
    """Whether a nevergrad optimiser is to be told of one candidate before it is asked for the next."""
    return bool(optimizer.no_parallelization or any(_is_sequential(part) for part in _parts(optimizer)))


def _parts(optimizer: Any) -> list[Any]:
    """The optimisers that one of nevergrad's is made of; what it would choose when first asked, it chooses now."""
    from nevergrad.optimization.base import Optimizer

    if isinstance(getattr(type(optimizer), "optim", None), property):
        return [optimizer.optim]
    held = [
        part for value in vars(optimizer).values() for part in (value if isinstance(value, list) else [value])
    ]
    return [part for part in held if isinstance(part, Optimizer)]
