"""Slimming against its definition, step by step."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nas.errors import NasError
from nas.search.strategies import Strategy, strategy
from nas.space import ArchBatch, Space, load_space
from nas.testing.strategies import whole_state

DIRECTIONS = ("max", "min")
TEXT = """\
version: 1
name: s
decisions: {a: [1, 2, 3, 4], b: [1, 2, 3, 4, 5], c: {values: [x, y, z], kind: categorical}}
rules: [a <= b]
"""
SECONDS = {"x": 0.0, "y": 3.0, "z": 5.0}


def _space(folder: Path) -> Space:
    path = folder / "s.yaml"
    path.write_text(TEXT)
    return load_space(path)


def _cost(batch: ArchBatch) -> np.ndarray:
    return np.array([3.0 * d["a"] + 2.0 * d["b"] + SECONDS[d["c"]] for d in batch.to_dicts()])


def _loss(batch: ArchBatch) -> np.ndarray:
    return np.array([8.0 / d["a"] + 4.0 / d["b"] + (d["c"] == "x") * 2.5 for d in batch.to_dicts()])


def _params(batch: ArchBatch) -> np.ndarray:
    return np.array([1e6 * (d["a"] * d["b"]) for d in batch.to_dicts()])


def _make(space: Space, limit: float | None, **options: object) -> Strategy:
    def cheap(batch: ArchBatch) -> tuple[np.ndarray, np.ndarray]:
        cost = _cost(batch)
        over = np.zeros(len(batch)) if limit is None else np.maximum(cost - limit, 0)
        return np.stack([np.full(len(batch), np.nan), cost], axis=1), over

    return strategy("slimming", space, DIRECTIONS, cheap=cheap, **options)


def _run(search: Strategy, at_once: int = 100) -> list[str]:
    asked: list[str] = []
    while len(batch := search.ask(at_once)):
        asked += batch.ids
        values = np.stack([-_loss(batch), _cost(batch)], axis=1)
        search.tell(batch, values, None, {"loss": _loss(batch), "params": _params(batch)})
    assert len(asked) == len(set(asked))
    return asked


def _by_hand(space: Space, limit: float | None, rule: str = "latency") -> list[str]:
    """The same greedy walk over dictionaries."""
    here = {"a": 4, "b": 5, "c": "z"}
    here["c"] = "x"  # a categorical decision starts at its first value
    path = [space.encode([here])]
    while limit is None or _cost(path[-1])[0] > limit:
        values = path[-1].to_dicts()[0]
        options = [{**values, "a": values["a"] - 1}, {**values, "b": values["b"] - 1}]
        options += [{**values, "c": c} for c in "xyz" if c != values["c"]]
        actions = [space.encode([o]) for o in options if 1 <= o["a"] <= o["b"]]
        actions = [a for a in actions if _cost(a)[0] < _cost(path[-1])[0]]
        if not actions:
            break

        def price(action: ArchBatch) -> tuple[int, float]:
            saved = _cost(path[-1])[0] - _cost(action)[0]
            lost = _loss(action)[0] - _loss(path[-1])[0]
            if lost <= 0:
                return 0, -saved
            if rule == "latency":
                return 1, lost / saved
            before, after = (
                (_params(x)[0] / 3e6) ** -0.5 * (_cost(x)[0] / 1.0) ** -1.0 for x in (path[-1], action)
            )
            return 1, lost / (after - before)

        path.append(min(actions, key=price))
    return [batch.ids[0] for batch in path]


@pytest.mark.parametrize("rule", ["latency", "mes"])
@pytest.mark.parametrize("limit", [None, 12.0])
@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_the_walk_is_the_greedy_one(rule: str, limit: float | None, at_once: int, tmp_path: Path) -> None:
    space = _space(tmp_path)
    search = _make(space, limit, rule=rule)
    _run(search, at_once)
    assert [step["arch_id"] for step in search.course()] == _by_hand(space, limit, rule)


def test_the_course_says_what_was_cut_and_saved(tmp_path: Path) -> None:
    search = _make(_space(tmp_path), 12.0)
    _run(search)
    steps = search.course()
    assert steps[0]["action"] == "start"
    for before, after in pairwise(steps):
        assert before["cost"] - after["cost"] == pytest.approx(after["saved"]) and after["saved"] > 0
        assert "→" in after["action"]
    assert steps[-1]["cost"] <= 12.0 < steps[-2]["cost"]


def test_larger_steps_are_coarser(tmp_path: Path) -> None:
    space = _space(tmp_path)
    fine, coarse = _make(space, 8.0), _make(space, 8.0, step=2)
    _run(fine)
    _run(coarse)
    assert len(coarse.course()) < len(fine.course())


def _run_with(search: Strategy, lost: set[str]) -> None:
    """Evaluations of the archs `lost` fail."""
    while len(batch := search.ask(100)):
        failed = np.array([arch_id in lost for arch_id in batch.ids])
        loss = np.where(failed, np.nan, _loss(batch))
        search.tell(batch, np.stack([-loss, _cost(batch)], 1), None, {"loss": loss, "params": _params(batch)})


@pytest.mark.parametrize("rule", ["latency", "mes"])
def test_the_walk_never_goes_through_what_failed(rule: str, tmp_path: Path) -> None:
    space = _space(tmp_path)
    search = _make(space, None, rule=rule)
    first = search.ask(100)
    _run_with(search := _make(space, None, rule=rule), set(first.ids[1:]))
    assert [step["arch_id"] for step in search.course()] == first.ids[:1]
    assert "no evaluation of its next cuts" in search.ending()
    taken = _by_hand(space, None, rule)[1]
    _run_with(search := _make(space, None, rule=rule), {taken})
    walk = [step["arch_id"] for step in search.course()]
    assert taken not in walk and len(walk) > 2 and "nothing left to cut" in search.ending()


def test_it_says_why_it_ended(tmp_path: Path) -> None:
    met = _make(_space(tmp_path), 12.0)
    _run(met)
    assert "met the constraints" in met.ending() and met.advice() == ""
    begun = _make(_space(tmp_path), 12.0)
    begun.ask(1)
    assert "more --n-trials or larger steps" in begun.advice()


def test_a_restored_walk_goes_on_identically(tmp_path: Path) -> None:
    space = _space(tmp_path)
    whole, begun = _make(space, None), _make(space, None)
    _run(whole)
    batch = begun.ask(100)
    begun.tell(
        batch,
        np.stack([-_loss(batch), _cost(batch)], 1),
        None,
        {"loss": _loss(batch), "params": _params(batch)},
    )
    resumed = _make(space, None)
    resumed.restore(whole_state(begun))
    _run(resumed)
    assert resumed.course() == whole.course()


def test_what_slimming_needs(tmp_path: Path) -> None:
    space = _space(tmp_path)
    with pytest.raises(NasError, match="cross-entropy"):
        search = _make(space, None)
        batch = search.ask(1)
        search.tell(batch, np.zeros((1, 2)))
    with pytest.raises(NasError, match="cost to save that follows"):
        strategy("slimming", space, DIRECTIONS).ask(1)
    with pytest.raises(NasError, match="'latency' or 'mes'"):
        _make(space, None, rule="fast")
    with pytest.raises(NasError, match="no preset 'L9'"):
        _make(space, None, start="L9")
    with pytest.raises(NasError, match="step is 0"):
        _make(space, None, step=0)
