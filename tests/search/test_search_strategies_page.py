"""The page about strategies names each of them, and every option of its signature."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import nas
from nas.search.strategies import STRATEGIES
from nas.search.strategies.contraction import Contraction
from nas.search.strategies.nevergrad import NevergradSearch

PAGE = (Path(__file__).parents[2] / "docs/strategies.md").read_text(encoding="utf-8")
OF_EVERY = {"self", "space", "directions", "seed", "cheap"}
SHIPPED = {
    name: kind for name, kind in STRATEGIES.items() if kind.__module__.startswith("nas.search.strategies.")
} | {"nevergrad:OPTIMIZER": NevergradSearch}
TOLD = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]*) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_page_names_every_option_of_a_strategy(name: str) -> None:
    assert re.search(rf"^\| `{name}` \| [^|`]*[^|]* \|$", PAGE, re.MULTILINE)
    options = set(inspect.signature(SHIPPED[name].__init__).parameters) - OF_EVERY - {"optimizer"}
    told = {word for kind, words, *_ in TOLD if kind == name for word in re.findall(r"`(\w+)`", words)}
    assert told == options


@pytest.mark.parametrize("name", SHIPPED)
def test_the_numbers_of_the_page_are_the_defaults(name: str) -> None:
    known = inspect.signature(SHIPPED[name].__init__).parameters
    for kind, words, defaults, _ in TOLD:
        options = re.findall(r"`(\w+)`", words)
        numbers = re.findall(r"^-?[\d.e]+$", defaults.replace(", ", "\n"), re.MULTILINE)
        if kind == name and len(numbers) == len(options):
            assert [float(number) for number in numbers] == [known[option].default for option in options]


def limits(strategy: Contraction) -> list[float]:
    """Limits of the rounds, while nothing satisfies the constraints."""
    found = []
    for number in range(strategy.shrinking):
        strategy.round = number
        found.append(strategy._limit())
    return found


def test_contraction_shrinks_its_limits_as_the_page_says() -> None:
    space = nas.load_space("tiny_vit")
    far = nas.strategy("contraction", space, ("max", "min"), budget=32, candidates=4, start="11M")
    assert isinstance(far, Contraction)
    assert far.shrinking == 6  # three quarters of 32 / 4 rounds
    far.violation = lambda batch: 0.6 + 0.0 * batch.codes[:, 0]  # type: ignore[method-assign]
    assert limits(far) == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
