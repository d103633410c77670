"""What a search evaluates first: presets, fronts of earlier studies, enqueued networks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.errors import NasError
from nas.pipeline.openers import Opening, openers_of
from nas.pipeline.plan import RunPlan, make_plan
from nas.search.strategies import strategy
from nas.settings import make_settings
from nas.space import ArchBatch, load_space
from nas.store import Storage

SPACE = load_space("elasticvit")


def _plan(*, constraints: tuple[str, ...] = (), trials: int = 75, **more: object) -> RunPlan:
    settings = make_settings("embedded", [{"constraints": list(constraints), "search": {"n_trials": trials}}])
    return make_plan(SPACE, settings, devices=["pixel6"], **more)  # type: ignore[arg-type]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(f"sqlite:///{tmp_path / 'nas.db'}")


def _run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trials: int = 12, **more: object
) -> nas.Study:
    monkeypatch.chdir(tmp_path)
    return nas.run(
        SPACE, device="pixel6", objectives=["macs:max", "latency:min"], strategy="random", n_trials=trials,
        study_name=name, storage=f"sqlite:///{tmp_path / 'nas.db'}", report=False, **more,
    )  # fmt: skip  # type: ignore[arg-type]


def test_presets_come_first_and_those_that_miss_a_constraint_do_not(storage: Storage) -> None:
    everything, said = openers_of(_plan(), storage)
    presets = {arch.id for arch in SPACE.presets.values() if SPACE.contains(arch)}
    assert {arch.id for arch in SPACE.encode(everything)} == presets
    assert said == [f"the first trials: {len(presets)} presets"]
    plan = _plan(constraints=("latency<=10ms",))
    few = SPACE.encode(openers_of(plan, storage)[0])
    assert 0 < len(few) < len(presets) and (plan.cheap(few)[1] == 0).all()
    latencies = plan.metrics.values(SPACE.encode(everything))["latency"]
    assert len(few) == (latencies <= 10).sum()


def test_presets_are_half_of_the_trials_at_most_spread_over_the_cost(storage: Storage) -> None:
    plan = _plan(trials=8)
    batch = SPACE.encode(openers_of(plan, storage)[0])
    every = SPACE.encode([arch for arch in SPACE.presets.values() if SPACE.contains(arch)])
    ends = plan.metrics.values(every)["latency"]
    chosen = plan.metrics.values(batch)["latency"]
    assert len(batch) == 4
    assert chosen.min() == ends.min() and chosen.max() == ends.max()


def test_a_study_begins_with_the_front_of_another_and_with_what_is_enqueued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _run(tmp_path, monkeypatch, "first", settings=["search.presets=false"])
    front = {trial.arch_id for trial in first.storage.front(first.row.id)}
    last = first.storage.trials(first.row.id)[-1]
    second = _run(tmp_path, monkeypatch, "second", 30, warm_start=["first"], enqueue=["first/11"], seed=9)
    trials = second.storage.trials(second.row.id)
    opened = {trial.arch_id for trial in trials[: len(second.row.facts["openers"])]}
    assert front | {last.arch_id} <= opened and len(trials) == 30
    assert len({trial.arch_id for trial in trials}) == len(trials)

    fastest = min(first.storage.front(first.row.id), key=lambda trial: trial.metrics["latency"].value)
    twice = {"warm_start": ["first"], "enqueue": [f"first/{fastest.number}"]}
    limit = (f"latency<={1.01 * fastest.metrics['latency'].value} ms",)
    batch, said = openers_of(_plan(constraints=limit, **twice), first.storage)  # type: ignore[arg-type]
    left = re.match(r"--warm-start: of the (\d+) networks of the front of 'first', (\d+) are in", said[0])
    assert left is not None and int(left[1]) == len(front) > int(left[2])
    assert sum(map(int, re.findall(r"(\d+) (?:enqueued|of earlier|presets)", said[1]))) == len(batch)


def test_openers_stay_what_they_were_when_a_study_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(tmp_path, monkeypatch, "first", settings=["search.presets=false"])
    begun = _run(tmp_path, monkeypatch, "second", warm_start=["first"])
    openers = begun.row.facts["openers"]
    monkeypatch.chdir(tmp_path)
    more = nas.run(
        SPACE, device="pixel6", objectives=["macs:max", "latency:min"], strategy="random", n_trials=16,
        study_name="second", storage=f"sqlite:///{tmp_path / 'nas.db'}", report=False, warm_start=["first"],
        resume=True,
    )  # fmt: skip
    assert more.row.facts["openers"] == openers and more.row.n_trials == 16


def test_what_cannot_be_begun_with_is_explained(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(NasError, match="--warm-start"):
        openers_of(_plan(warm_start=["none"]), storage)
    with pytest.raises(NasError, match="neither STUDY/NUMBER of a trial"):
        openers_of(_plan(enqueue=["nothing"]), storage)
    file = tmp_path / "networks.yaml"
    file.write_text("big: {resolution: 999}\n")
    with pytest.raises(NasError, match=r"--enqueue .*networks\.yaml: big: .*"):
        openers_of(_plan(enqueue=[str(file)]), storage)
    slow = dict(SPACE.presets["L3"].values) if "L3" in SPACE.presets else None
    if slow is not None:
        with pytest.raises(NasError, match="misses the constraints"):
            openers_of(_plan(constraints=("latency<=5ms",), enqueue=[slow]), storage)


def test_a_file_of_networks_is_enqueued(storage: Storage, tmp_path: Path) -> None:
    archs = [SPACE.sample(1, seed=seed)[0] for seed in (1, 2)]
    file = tmp_path / "networks.yaml"
    file.write_text("".join(f"net{i}: {dict(arch.values)}\n" for i, arch in enumerate(archs)))
    plan = _plan(enqueue=[str(file)])
    ids = SPACE.encode(openers_of(plan, storage)[0]).ids
    assert {arch.id for arch in archs} <= set(ids)
    alone = tmp_path / "network.yaml"
    alone.write_text(f"{dict(archs[0].values)}\n")
    assert archs[0].id in SPACE.encode(openers_of(_plan(enqueue=[str(alone)]), storage)[0]).ids


def test_values_are_plain_numbers() -> None:
    values = openers_of(_plan(), Storage("sqlite://"))[0][0]
    assert not any(isinstance(value, np.generic) for value in values.values())


def test_the_last_batch_keeps_the_constraints_where_nothing_did_before() -> None:
    """Contraction comes from the largest network; here its budget is too small to arrive."""
    plan = _plan(constraints=("latency<=4ms",), trials=12)
    made = strategy("contraction", SPACE, ["max", "min"], cheap=plan.cheap, budget=48)
    made.draw_from(plan.region.draws)
    opening = Opening(made, SPACE.encode([]), budget=12)

    def told() -> ArchBatch:
        batch = opening.ask(6)
        values, violations = plan.cheap(batch)
        values[:, 0] = 0.5
        made.tell(batch, values, violations)
        return batch

    first, last = told(), told()
    assert (plan.cheap(first)[1] > 0).all()
    assert len(last) == 6 and (plan.cheap(last)[1] == 0).all()
    assert len(told()) == 6  # a longer search asks the strategy again
