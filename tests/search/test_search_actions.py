"""EfficientFormer's three actions, by importance, on its own space and against a walk by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nas.errors import NasError
from nas.search.strategies import strategy
from nas.search.strategies.actions import ImportantActions
from nas.space import ArchBatch, Space, load_space
from nas.space.choices import heaviest

SPACE = Path(__file__).parents[2] / "spaces" / "efficientformer.yaml"
LETTERS = {"mb4d": "4", "mb3d": "3", "identity": "-"}


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(SPACE)


def _importance(seed: int = 0) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    return {
        s: rng.permutation(n).astype(float).tolist() for s, n in zip(("S1", "S2", "S3", "S4"), (6, 6, 18, 8))
    }


def _words(batch: ArchBatch) -> tuple[dict[str, str], dict[str, int]]:
    values = batch.to_dicts()[0]
    blocks = dict.fromkeys(("S1", "S2", "S3", "S4"), "")
    for name, value in values.items():
        if ".block[" in name:
            blocks[name[:2]] += LETTERS[str(value)]
    return {s: text.rstrip("-") for s, text in blocks.items()}, {s: int(values[f"{s}.width"]) for s in blocks}


def test_the_start_is_the_heaviest_network(space: Space) -> None:
    blocks, widths = _words(heaviest(space))
    assert blocks == {"S1": "4" * 6, "S2": "4" * 6, "S3": "3" * 18, "S4": "3" * 8}
    assert widths == {"S1": 64, "S2": 128, "S3": 320, "S4": 512}


@pytest.mark.parametrize("step", [1, 3])
def test_each_action_is_the_papers(step: int, space: Space) -> None:
    """Along a walk that takes the actions in turn, with stages as plain lists."""
    importance = _importance()
    actions = ImportantActions(space, importance, step)
    current = heaviest(space)
    places = {s: list(range(len(values))) for s, values in importance.items()}
    for turn in range(12):
        found = [_words(actions(current)[np.array([i])]) for i in range(len(actions(current)))]
        blocks, widths = _words(current)
        kinds, left = {s: list(text) for s, text in blocks.items()}, {s: list(p) for s, p in places.items()}
        for _ in range(step):
            ordered = sorted((importance[s][p], s, i) for s in left for i, p in enumerate(left[s]))
            stage, index = next((s, i) for _, s, i in ordered if len(left[s]) > 1)
            del left[stage][index], kinds[stage][index]
        removed = {s: "".join(letters) for s, letters in kinds.items()}
        assert found[0] == (removed, widths)
        lighter, missing = dict(blocks), step
        for stage in ("S3", "S4"):
            while missing and "3" in lighter[stage]:
                lighter[stage] = lighter[stage].replace("3", "4", 1)
                missing -= 1
        assert found[1] == (lighter, widths)
        least = min(places, key=lambda s: sum(importance[s][p] for p in places[s]))
        lowest = {"S1": 32, "S2": 64, "S3": 128, "S4": 256}[least]
        assert found[2] == (blocks, {**widths, least: max(widths[least] - 16 * step, lowest)})
        if turn % 2:
            places = left
        current = actions(current)[np.array([0 if turn % 2 else 1])]


def test_the_whole_walk_down(space: Space) -> None:
    """Every action stays in the space; at the end nothing is left to cut."""
    actions, current, seen = ImportantActions(space, _importance(1), 2), heaviest(space), 0
    rng = np.random.default_rng(0)
    while len(found := actions(current)):
        assert space.valid(found).all() and len(found) <= 3
        assert current.ids[0] not in found.ids
        current, seen = found[np.array([rng.integers(len(found))])], seen + 1
    assert _words(current) == (
        {"S1": "4", "S2": "4", "S3": "4", "S4": "4"},
        {"S1": 32, "S2": 64, "S3": 128, "S4": 256},
    )
    assert seen > 30


def test_importance_must_be_there(space: Space) -> None:
    search = strategy(
        "slimming",
        space,
        ("max", "min"),
        cheap=lambda batch: (np.zeros((len(batch), 2)), np.zeros(len(batch))),
        actions="importance",
    )
    with pytest.raises(NasError, match=r"sampler\.name=relaxed"):
        search.ask(4)
    search.hear(_importance())
    assert search.ask(4).ids == heaviest(space).ids
    with pytest.raises(NasError, match="'all' or 'importance'"):
        strategy("slimming", space, ("max", "min"), actions="some")


def test_the_course_names_blocks_by_stage(space: Space) -> None:
    def cheap(batch: ArchBatch) -> tuple[np.ndarray, np.ndarray]:
        size = batch.codes.sum(axis=1).astype(float)
        return np.stack([np.full(len(batch), np.nan), size], axis=1), np.zeros(len(batch))

    search = strategy("slimming", space, ("max", "min"), cheap=cheap, actions="importance", step=2)
    search.hear(_importance())
    while len(search.course()) < 3:
        batch = search.ask(8)
        values = cheap(batch)[0][:, 1]
        told = {"loss": np.ones(len(batch)), "params": values}
        search.tell(batch, np.stack([-values, values], axis=1), None, told)
    runs = r"\d+ mb[34]d( \+ \d+ mb[34]d)?"
    part = rf"S[1-4]( {runs} → {runs}|\.width \d+ → \d+)"
    for step in search.course()[1:]:
        assert re.fullmatch(rf"{part}(, {part})*", step["action"]), step["action"]


def test_options_that_lead_nowhere_are_refused_at_once(space: Space) -> None:
    for options, told in (
        ({"start": "L7"}, "start from the preset 'L7', which is not one of the space: S1.width = 96"),
        ({"start": "L8"}, "no preset 'L8'"),
        ({"size_unit": 0.0}, "size_unit is 0.0; a number above 0"),
        ({"cost_unit": float("nan")}, "cost_unit is nan"),
        ({"step": 0}, "a whole number from 1 on"),
    ):
        with pytest.raises(NasError, match=told):
            strategy("slimming", space, ("max", "min"), **options)
