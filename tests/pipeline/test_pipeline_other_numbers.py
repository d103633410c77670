"""A study whose architectures cost something else now, as when counted costs were those of the trained form."""

from __future__ import annotations

from pathlib import Path

import pytest

import nas
from nas.costs import cost
from nas.errors import NasError
from nas.metrics import Metric
from nas.pipeline import same_numbers
from nas.pipeline.metrics import CheapMetrics
from nas.pipeline.same_numbers import check_same_numbers
from nas.space import load_space
from nas.store import Objective, Storage, StudyRow, TrialRecord

SPACE = load_space(Path(__file__).parent / "small.yaml")
METRICS = CheapMetrics(SPACE)


def stored(folder: Path, form: str, trials: int = 3) -> tuple[Storage, StudyRow]:
    """A study with trials whose costs are those of a form, without the parameters of the other."""
    store = Storage(f"sqlite:///{folder / 'nas.db'}")
    study = store.create_study(
        "first",
        space=SPACE.name,
        space_hash=SPACE.hash,
        objectives=[Objective("macs", "min", "MACs")],
        config={},
        constraints=[],
        facts={},
    )
    batch = SPACE.sample(trials, seed=0)
    counted = cost(SPACE, batch, "train" if form == "train" else "deploy")
    units = {"macs": "MACs", "params": "params", "memory": "bytes"}
    records = [
        TrialRecord(
            arch.id,
            arch.values,
            0,
            metrics={name: Metric(float(counted[name][i]), unit, "counted") for name, unit in units.items()},
        )
        for i, arch in enumerate(batch)
    ]
    store.add_trials(study.id, records)
    return store, store.study("first")


def test_a_study_of_the_trained_form_is_not_continued(tmp_path: Path) -> None:
    store, study = stored(tmp_path, "train")
    with pytest.raises(NasError, match="cannot be continued") as refused:
        check_same_numbers(METRICS, store, study)
    text = str(refused.value)
    assert "params of trial 0: was" in text and "earlier nas counted the trained form" in text
    assert "predictor" not in text and "--supernet first --study-name OTHER" in text


def test_a_study_of_the_deployed_form_is_continued_though_it_lacks_a_metric(tmp_path: Path) -> None:
    check_same_numbers(METRICS, *stored(tmp_path, "deploy"))


def test_a_study_without_trials_is_continued(tmp_path: Path) -> None:
    check_same_numbers(METRICS, *stored(tmp_path, "train", trials=0))


def test_a_run_that_is_resumed_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def run(resume: bool) -> nas.Study:
        return nas.run(
            Path(__file__).parent / "small.yaml", objectives=["params:min", "macs:min"], strategy="random",
            n_trials=4, seed=0, study_name="first", resume=resume, report=False,
        )  # fmt: skip

    assert len(run(resume=False).trials()) == len(run(resume=True).trials())
    counted = CheapMetrics.metrics
    smaller = {"params": lambda metric: Metric(metric.value - 1, metric.unit, metric.provenance)}
    monkeypatch.setattr(
        CheapMetrics,
        "metrics",
        lambda self, archs: [
            {name: smaller.get(name, lambda metric: metric)(metric) for name, metric in row.items()}
            for row in counted(self, archs)
        ],
    )
    with pytest.raises(NasError, match="params of trial 0"):
        run(resume=True)


def test_a_device_that_was_fitted_anew_is_what_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, study = stored(tmp_path, "deploy", trials=0)
    arch = SPACE.sample(1, seed=0)[0]
    predicted = {"latency": Metric(3.0, "ms", "predicted", detail="phone")}
    store.add_trials(study.id, [TrialRecord(arch.id, arch.values, 0, metrics=predicted)])
    now = [{"latency": Metric(3.5, "ms", "predicted", detail="phone")}]
    monkeypatch.setattr(CheapMetrics, "metrics", lambda self, archs: now)
    with pytest.raises(NasError, match="behind latency \\(phone\\) was made anew") as refused:
        check_same_numbers(METRICS, store, store.study("first"))
    assert "latency of trial 0: was 3, is 3.5" in str(refused.value) and "form" not in str(refused.value)


def test_last_digits_of_a_prediction_do_not_count() -> None:
    assert same_numbers._same(10.0, 10.000001) and not same_numbers._same(10.0, 10.001)
    assert same_numbers._same(float("nan"), float("nan"))
