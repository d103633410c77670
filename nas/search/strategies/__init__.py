"""Search strategies by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, get_args, get_type_hints

from nas.errors import NasError, unknown, unprovided
from nas.metrics import Direction
from nas.search.strategies.base import Cheap, Strategy
from nas.search.strategies.contraction import Contraction
from nas.search.strategies.elasticvit import ElasticViTEvolution
from nas.search.strategies.exact import Exact
from nas.search.strategies.generative import Generative
from nas.search.strategies.nsga2 import NSGA2
from nas.search.strategies.predictor import PredictorSearch
from nas.search.strategies.random import RandomSearch
from nas.search.strategies.slimming import Slimming
from nas.space.space import Space

NEVERGRAD = "nevergrad:"
BUDGET = "budget"
STRATEGIES: dict[str, type[Strategy]] = {
    "predictor": PredictorSearch,
    "nsga2": NSGA2,
    "nsga2:elasticvit": ElasticViTEvolution,
    "random": RandomSearch,
    "slimming": Slimming,
    "contraction": Contraction,
    "exact": Exact,
    "generative": Generative,
}


def strategy(
    name: str,
    space: Space,
    directions: Sequence[Direction],
    *,
    seed: int = 0,
    cheap: Cheap | None = None,
    budget: int | None = None,
    **options: Any,
) -> Strategy:
    """A search strategy.

    Args:
        name: `predictor`, `nsga2`, `nsga2:elasticvit`, `random`, `slimming`, `contraction`, `exact`, `generative`
            or `nevergrad:OPTIMIZER`.
        directions: `"min"` or `"max"` per objective.
        cheap: see `Strategy`.
        budget: planned evaluations, for strategies that want to know.
        options: the strategy's own, e.g. `population=100` for `nsga2`.

    Raises:
        NasError: unknown strategy or option, or an option of another type or outside its range.
    """
    kind, fixed = _kind(name)
    own = [p for p in inspect.signature(kind.__init__).parameters if p not in (*_COMMON, *fixed)]
    if BUDGET in own:
        own.remove(BUDGET)
        fixed = fixed if budget is None else {**fixed, BUDGET: budget}
    for option in options:
        if option not in own:
            raise NasError(_no_option(name, option, own))
    return kind(space, directions, seed=seed, cheap=cheap, **fixed, **_typed(kind, options))


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that every strategy is given by the run itself.

    Raises:
        NasError: names the first of them, and the setting that it is.
    """
    for option, setting in {BUDGET: "search.n_trials", "seed": "seed"}.items():
        if option in options:
            raise NasError(f"search.options.{option} is no option of a strategy; set {setting} instead.")
    given = inspect.signature(strategy).parameters
    for option in options:
        if option in given:
            raise NasError(f"search.options.{option} is no option of a strategy; leave it out.")


def _no_option(name: str, option: str, own: Sequence[str]) -> str:
    """Why a strategy does not take an option, and what to write instead."""
    others = [
        other for other, kind in STRATEGIES.items() if option in inspect.signature(kind.__init__).parameters
    ]
    hint = f" It is an option of {', '.join(others)}." if others else ""
    return f"strategy {name!r}: {unknown('option', option, own)}{hint}"


def _typed(kind: type[Strategy], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as their strategy's signature wants them.

    Raises:
        NasError: one of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    wanted, found = _hints(kind), {}
    for name, value in options.items():
        if _misplaced(value, wanted.get(name, Any)):
            raise NasError(f"search.options.{name} is {value!r}; a finite number is needed.")
        try:
            found[name] = TypeAdapter(wanted.get(name, Any)).validate_python(value)
        except ValidationError as error:
            told = error.errors()[0]["msg"]
            raise NasError(f"search.options.{name} is {value!r}: {told[0].lower()}{told[1:]}.") from None
    return found


def _misplaced(value: Any, wanted: Any) -> bool:
    """Whether a truth value, or one that is not finite, stands where a number is wanted."""
    numeric = wanted in (int, float) or {int, float} & set(get_args(wanted))
    endless = isinstance(value, float) and not isfinite(value)
    return bool(numeric) and (isinstance(value, bool) or endless)


def _hints(kind: type[Strategy]) -> dict[str, Any]:
    """Types of a strategy's options; those of a plug-in may be left out, or name what only a type checker imports."""
    try:
        return get_type_hints(kind.__init__)
    except NameError:
        return {}


def _kind(name: str) -> tuple[type[Strategy], dict[str, Any]]:
    """The class of a strategy, and the options that its name fixes."""
    if name.startswith(NEVERGRAD):
        from nas.search.strategies.nevergrad import NevergradSearch

        return NevergradSearch, {"optimizer": name.removeprefix(NEVERGRAD)}
    if name not in STRATEGIES:
        raise NasError(unprovided("strategy", name, [*STRATEGIES, f"{NEVERGRAD}OPTIMIZER"]))
    return STRATEGIES[name], {}


_COMMON = ("self", "space", "directions", "seed", "cheap")

__all__ = ["STRATEGIES", "Strategy", "check_options", "strategy"]
