"""Arch predictors on disk, and the files and studies they are fitted from."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.errors import NasError
from nas.latency.arch import (
    fit_arch_predictor,
    fit_from_csv,
    load_arch_predictor,
    pairs_from_csv,
    pairs_from_study,
)
from nas.latency.arch.predictor import ArchLatencyPredictor
from nas.latency.network_table import NetworkTable
from nas.latency.table import Entry
from nas.metrics import Metric
from nas.space.batch import ArchBatch
from nas.space.space import Space
from nas.store import Objective, Storage, TrialRecord


@pytest.fixture(scope="module")
def space() -> Space:
    return nas.load_space("nasbench201")


@pytest.fixture(scope="module")
def predictor(space: Space) -> ArchLatencyPredictor:
    batch = space.sample(300, seed=0)
    ms = np.where((batch.codes[:, 0] > 2) & (batch.codes[:, 5] > 2), 2.0, 1.0) * (
        2.0 + batch.codes.sum(axis=1)
    )
    return fit_arch_predictor(space, batch, ms, name="made")


def test_written_and_read_it_predicts_the_same(
    predictor: ArchLatencyPredictor, space: Space, tmp_path: Path
) -> None:
    assert predictor.report.trees is not None
    predictor.write(tmp_path / "made")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["report.json", "trees.ubj.gz"]
    again, unseen = load_arch_predictor(tmp_path / "made", space), space.sample(100, seed=1)
    expected, found = predictor.predict(unseen), again.predict(unseen)
    assert np.array_equal(found, expected) and np.array_equal(found.low, expected.low)
    assert again.report == predictor.report


def test_damaged_and_foreign_files_are_refused(
    predictor: ArchLatencyPredictor, space: Space, tmp_path: Path
) -> None:
    predictor.write(tmp_path)
    with pytest.raises(NasError, match="which is not 'elasticvit'"):
        load_arch_predictor(tmp_path, nas.load_space("elasticvit"))
    (tmp_path / "trees.ubj.gz").write_bytes(gzip.compress(b"trees of another"))
    with pytest.raises(NasError, match=r"is not the file its report\.json was written with"):
        load_arch_predictor(tmp_path, space)
    report = json.loads((tmp_path / "report.json").read_text())
    name = next(iter(report["probe"]["terms"]))
    report["probe"]["terms"][name][0] += 1
    (tmp_path / "report.json").write_text(json.dumps(report))
    with pytest.raises(NasError, match="other terms"):
        load_arch_predictor(tmp_path, space)
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(NasError, match=r"report\.json: name: Field required"):
        load_arch_predictor(tmp_path, space)
    with pytest.raises(NasError, match="cannot be read"):
        load_arch_predictor(tmp_path / "nowhere", space)


def write_columns(path: Path, batch: ArchBatch, ms: list[str], column: str = "latency_ms") -> Path:
    names = [decision.name for decision in batch.space.decisions]
    lines = [",".join([*names, column])]
    lines += [
        ",".join([*[str(arch[name]) for name in names], value]) for arch, value in zip(batch.to_dicts(), ms)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_column_per_decision(space: Space, tmp_path: Path) -> None:
    batch = space.sample(30, seed=2)
    ms = 1.0 + batch.codes.sum(axis=1)
    texts = [*[str(value) for value in ms[:29]], ""]
    path = write_columns(tmp_path / "mine.csv", batch, texts)
    pairs = pairs_from_csv(space, path)
    assert pairs.batch.ids == batch[:29].ids and np.array_equal(pairs.ms, ms[:29])
    assert fit_from_csv(space, path).report.name == "mine"
    with pytest.raises(NasError, match="unknown column 'pixel'"):
        pairs_from_csv(space, path, column="pixel")
    path.write_text(path.read_text().replace("avg_pool_3x3", "max_pool", 1))
    with pytest.raises(NasError, match=r"mine\.csv:\d+: edge_\d_\d = 'max_pool' is not one of"):
        pairs_from_csv(space, path)
    path.write_text("latency_ms\n3\n")
    with pytest.raises(NasError, match="no column for the decision 'edge_1_0'"):
        pairs_from_csv(space, path)
    with pytest.raises(NasError, match="no such file"):
        pairs_from_csv(space, tmp_path / "other.csv")


def test_decisions_without_effect_may_be_empty(tmp_path: Path) -> None:
    space = nas.load_space(Path(__file__).parents[2] / "space" / "spaces" / "operators.yaml")
    batch = space.sample(12, seed=0)
    names = [decision.name for decision in space.decisions]
    rows = [",".join([*[str(arch.get(name, "")) for name in names], "5"]) for arch in batch.to_dicts()]
    assert any(",," in row for row in rows)
    path = tmp_path / "vits.csv"
    path.write_text("\n".join([",".join([*names, "latency_ms"]), *rows]) + "\n")
    assert pairs_from_csv(space, path).batch.ids == batch.ids


def test_a_table_of_timed_networks(space: Space, tmp_path: Path) -> None:
    batch = space.sample(20, seed=3).unique()
    entry = Entry(4.0, "measured", "here")
    listed = [("nasbench201", arch, entry) for arch in batch.to_dicts()]
    foreign = [("elsewhere", {"a": 1}, entry)]
    NetworkTable([*listed, *foreign]).write(tmp_path / "networks.csv")
    pairs = pairs_from_csv(space, tmp_path / "networks.csv")
    assert sorted(pairs.batch.ids) == sorted(batch.ids) and (pairs.ms == 4.0).all()
    NetworkTable(foreign).write(tmp_path / "networks.csv")
    with pytest.raises(NasError, match="has no latency"):
        pairs_from_csv(space, tmp_path / "networks.csv")


def test_measured_latencies_of_a_study(space: Space, tmp_path: Path) -> None:
    storage = Storage(f"sqlite:///{tmp_path}/nas.db")
    study = storage.create_study(
        "mine",
        space=space.name,
        space_hash=space.hash,
        objectives=[Objective("latency", "min", "ms")],
        config={},
    )
    batch = space.sample(6, seed=4)
    records = [
        TrialRecord(
            arch_id=arch.id,
            arch=dict(arch.values),
            generation=0,
            metrics={"latency": Metric(9.0, "ms", "predicted", 8.0, 10.0)},
        )
        for arch in batch
    ]
    numbers = storage.add_trials(study.id, records)
    with pytest.raises(NasError, match="no measured 'latency'"):
        pairs_from_study(storage, "mine", space)
    timed = {int(number): {"latency": Metric(float(number) + 1, "ms", "measured")} for number in numbers[:5]}
    storage.add_metrics(study.id, "final", timed)
    pairs = pairs_from_study(storage, "mine", space)
    assert pairs.batch.ids == batch[:5].ids and pairs.ms.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    with pytest.raises(NasError, match="which is not 'elasticvit'"):
        pairs_from_study(storage, "mine", nas.load_space("elasticvit"))
    storage.close()
