"""Series, presets and artefacts."""

from __future__ import annotations

import math

import pytest
from store_samples import new_study, trial

from nas.errors import NasError
from nas.metrics import Metric
from nas.store import Artefact, Preset, SeriesPoint


def test_series_are_read_in_order_and_followed(storage):
    study = new_study(storage)
    points = [SeriesPoint("loss", step, {"value": step / 10, "level": "a"}) for step in (20, 0, 10)]
    storage.add_series(
        study.id, [*points, SeriesPoint("<b>cosine</b>", 5, {"value": math.nan, "pairs": [1, 2]})]
    )
    assert storage.series_names(study.id) == ["<b>cosine</b>", "loss"]
    assert storage.series(study.id, "loss") == [(s, {"value": s / 10, "level": "a"}) for s in (0, 10, 20)]
    assert [step for step, _ in storage.series(study.id, "loss", after=0)] == [10, 20]
    assert math.isnan(storage.series(study.id, "<b>cosine</b>")[0][1]["value"])
    assert storage.series(study.id, "none") == []


def test_a_step_that_comes_again_replaces_the_first(storage):
    study, other = new_study(storage), new_study(storage)
    storage.add_series(other.id, [SeriesPoint("loss", 1, {"value": 9.0})])
    storage.add_series(
        study.id, [SeriesPoint("loss", 1, {"value": 1.0}), SeriesPoint("loss", 2, {"value": 2.0})]
    )
    storage.add_series(
        study.id, [SeriesPoint("loss", 2, {"value": 3.0}), SeriesPoint("loss", 2, {"value": 4.0})]
    )
    assert storage.series(study.id, "loss") == [(1, {"value": 1.0}), (2, {"value": 4.0})]
    assert storage.series(other.id, "loss") == [(1, {"value": 9.0})]


def test_presets_come_back_with_their_metrics(storage):
    study = new_study(storage)
    exact = Preset("S1", "a1", {"width": 16}, {"macs": Metric(62_915_120.0, "MACs", "counted")})
    noisy = Metric(0.7, "fraction", "measured", 0.6, 0.8, "digits, test split")
    storage.set_presets(study.id, [exact, Preset("L3", "old", {}, {})])
    storage.set_presets(study.id, [Preset("L3", "a2", {"width": 64}, {"accuracy": noisy})])
    assert storage.presets(study.id) == [Preset("L3", "a2", {"width": 64}, {"accuracy": noisy}), exact]


def test_artefacts_belong_to_a_study_or_a_trial(storage):
    study = new_study(storage)
    storage.add_trials(study.id, [trial(0)])
    storage.add_artefact(study.id, Artefact("supernet.safetensors", "weights", "a" * 64))
    storage.add_artefact(study.id, Artefact("export/naïve <0>.onnx", "onnx", "b" * 64, number=0))
    storage.add_artefact(study.id, Artefact("supernet.safetensors", "weights", "c" * 64))
    found = storage.artefacts(study.id)
    assert [(a.path, a.kind, a.sha256[0], a.number) for a in found] == [
        ("export/naïve <0>.onnx", "onnx", "b", 0),
        ("supernet.safetensors", "weights", "c", None),
    ]
    assert all(artefact.created >= study.created for artefact in found)
    with pytest.raises(NasError, match="has no trial 1"):
        storage.add_artefact(study.id, Artefact("x", "onnx", "d" * 64, number=1))
