"""One of nevergrad's optimisers, shut off: what it draws follows from its seed and shows nowhere else.

nevergrad's optimisers draw from the generator of their parametrisation, but many also from numpy's global one, when
they are built, asked or told; some are configured by such draws when nevergrad is imported. While one works, the global
generators are therefore its own, and afterwards they are again what they were.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from nas.errors import NasError, unknown
from nas.search.strategies.recast import (
    ask_recast,
    counts_tells,
    failure,
    is_recast,
    is_sequential,
    settle,
)
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

    Raises:
        NasError: no optimiser of that name, or one that cannot be built for this space.
    """

    def __init__(self, name: str, space: Space, budget: int, *seed: int) -> None:
        self.name, self.budget = name, budget
        self._draws = Draws(*seed)
        registry = library().optimizers.registry
        if name not in registry:
            raise NasError(unknown("nevergrad optimiser", name, registry))
        parameters = library().p.Tuple(*[_parameter(d) for d in space.decisions if len(d) > 1])
        parameters.random_state = np.random.RandomState(seed)
        with self._working():
            try:
                self.built = registry[name](parameters, budget=budget)
                is_recast(self.built)  # chooses the parts that follow from space and budget
            except Exception as error:
                raise NasError(
                    f"nevergrad's {name} cannot be built for space {space.name!r}: {error}"
                ) from None

    @property
    def sequential(self) -> bool:
        """Whether it is asked only while it waits for nothing; judged anew, for some exchange their parts."""
        return is_sequential(self.built)

    @property
    def handles_vectors(self) -> bool:
        """Whether it minimises vectors of losses."""
        from nevergrad.optimization.differentialevolution import _DE

        return isinstance(self.built, _DE)

    def ask(self) -> Any:
        """What it wants to know next, a nevergrad parameter; None where it has come to its end.

        Raises:
            NasError: it cannot be asked, as one whose library is not installed.
        """
        with self._working():
            if is_recast(self.built):
                return ask_recast(self.built)
            try:
                return self.built.ask()
            except Exception as error:
                # Whatever the library behind an optimiser raises.
                if isinstance(error, AssertionError) and ALL_DRAWN in str(error):
                    return None
                raise NasError(failure(self.name, error)) from None

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
                raise NasError(failure(self.name, error)) from None
            settle(self.built)

    def hear(self, position: Sequence[int], losses: float | list[float]) -> None:
        """Losses of positions it did not ask for; nothing where it has no use for them."""
        if counts_tells(self.built):
            return
        try:
            self.tell(self.built.parametrization.spawn_child(new_value=tuple(position)), losses)
        except library().errors.TellNotAskedNotSupportedError:
            return

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


def _parameter(decision: Any) -> Any:
    p = library().p
    if decision.kind == "categorical":
        return p.Choice(list(range(len(decision))))
    return p.Scalar(lower=0, upper=len(decision) - 1).set_integer_casting()
