"""The shipped predictors: their figures, their limits, and their files."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nas.errors import NasError
from nas.latency import nn_meter
from nas.latency.model import TreeOptions
from nas.latency.predictor import LEVELS, Predictor, load_predictor
from nas.latency.report import Errors
from nas.latency.rows import IntArray
from nas.latency.signature import format_signature, parse_signature
from nas.latency.table import LatencyTable
from nas.latency.times import CODES
from nas.latency.validation import cross_validate, fold_of

PHONES = ("pixel1", "pixel4", "pixel6", "xiaomi11")
FFN = "ffn h=8 w=8 channels=96 hidden=288 act=hard_swish norm=layer_norm"


@pytest.fixture(scope="module", params=PHONES)
def phone(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def table(phone: str, shared_data: Path) -> LatencyTable:
    return nn_meter.read(shared_data / "nn_meter_lut" / f"{phone}_lut_ln_v3.json")


def _row(signature: str) -> IntArray:
    return np.array([parse_signature(signature)[1]])


def test_errors_are_within_what_is_promised(phone: str) -> None:
    report = load_predictor(phone).report
    share, mean = (0.98, 0.022) if phone == "pixel4" else (0.99, 0.015)
    assert report.errors.units == 12_116
    assert report.errors.within_10 >= share
    assert report.errors.mean <= mean
    assert 0.85 <= report.coverage <= 0.95
    for kind, about in report.kinds.items():
        assert about.errors.within_10 >= 0.97, kind
        if about.errors.units > 50:
            assert 0.85 <= about.coverage <= 0.95, kind


def test_the_report_is_about_the_published_file(phone: str, shared_data: Path) -> None:
    path = shared_data / "nn_meter_lut" / f"{phone}_lut_ln_v3.json"
    data = load_predictor(phone).report.data
    assert data.file == path.name
    assert data.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_reported_errors_can_be_found_again(phone: str, table: LatencyTable) -> None:
    report = load_predictor(phone).report
    for kind in ("conv_stem", "pooled_head", "ffn"):
        rows, ms = table.rows(kind), table.times(kind).ms
        fold = fold_of(len(rows), report.folds, report.seed)
        trees = TreeOptions(**report.trees, monotone=tuple(report.kinds[kind].monotone))
        errors = Errors.of(ms, cross_validate(kind, rows, ms, fold, trees))
        assert errors.within_10 == pytest.approx(report.kinds[kind].errors.within_10, abs=0.003)
        assert errors.mean == pytest.approx(report.kinds[kind].errors.mean, rel=0.05)


def test_the_table_is_reproduced(phone: str, table: LatencyTable) -> None:
    predictor = load_predictor(phone)
    for kind in table.kinds:
        times, true = predictor.predict(kind, table.rows(kind)), table.times(kind).ms
        assert np.abs(times.ms / true - 1).mean() < 0.02, kind
        assert (times.provenance == CODES["predicted"]).all()
        assert ((times.low <= times.ms) & (times.ms <= times.high)).all()
        assert ((times.low <= true) & (true <= times.high)).mean() >= 0.85, kind


@pytest.fixture(scope="module")
def pixel6() -> Predictor:
    return load_predictor("pixel6")


@pytest.mark.parametrize(
    "change",
    ["h=8 w=8>h=64 w=64", "h=8 w=8>h=8 w=16", "channels=96>channels=400", "hidden=288>hidden=4096"],
)
def test_outside_the_fitted_sizes_is_said(pixel6: Predictor, change: str) -> None:
    old, new = change.split(">")
    inside, outside = pixel6.predict("ffn", _row(FFN)), pixel6.predict("ffn", _row(FFN.replace(old, new)))
    assert inside.provenance.tolist() == [CODES["predicted"]]
    assert outside.provenance.tolist() == [CODES["estimated"]]
    assert outside.ms[0] > inside.ms[0]
    assert outside.high[0] / outside.low[0] > inside.high[0] / inside.low[0]


@pytest.mark.parametrize("change", ["hard_swish>gelu", "layer_norm>joint_norm"])
def test_an_activation_that_was_not_fitted_on_is_estimated_by_kernels(pixel6: Predictor, change: str) -> None:
    known, strange = _row(FFN), _row(FFN.replace(*change.split(">")))
    times = pixel6.predict("ffn", np.concatenate([known, strange]))
    assert times.provenance.tolist() == [CODES["predicted"], CODES["estimated"]]
    assert pixel6.levels("ffn", strange).tolist() == [LEVELS.index("kernels")]
    assert times.ms[1] == pixel6.kernels.ms("ffn", known)[0]
    assert times.low[1] < times.ms[0] < times.high[1]


def test_no_units_no_times(pixel6: Predictor) -> None:
    assert len(pixel6.predict("ffn", _row(FFN)[:0]).ms) == 0


@pytest.fixture
def copy(pixel6: Predictor, tmp_path: Path) -> Path:
    assert pixel6.folder is not None
    return Path(shutil.copytree(pixel6.folder, tmp_path / "pixel6"))


def test_damaged_trees_are_refused(copy: Path) -> None:
    data = bytearray((copy / "ffn.ubj.gz").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "ffn.ubj.gz").write_bytes(data)
    with pytest.raises(NasError, match=r"ffn\.ubj\.gz.*Fit it again"):
        load_predictor(copy).predict("ffn", _row(FFN))
    (copy / "ffn.ubj.gz").unlink()
    with pytest.raises(NasError, match=r"ffn\.ubj\.gz: cannot be read"):
        load_predictor(copy).predict("ffn", _row(FFN))


def test_other_features_are_refused(copy: Path) -> None:
    report = json.loads((copy / "report.json").read_text())
    report["kinds"]["ffn"]["probe"]["inputs"][1][3] += 1
    (copy / "report.json").write_text(json.dumps(report))
    with pytest.raises(NasError, match="fitted on other features of 'ffn'"):
        load_predictor(copy).predict("ffn", _row(FFN))


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2}'])
def test_what_is_no_report(copy: Path, text: str) -> None:
    (copy / "report.json").write_text(text)
    with pytest.raises(NasError, match=r"report\.json"):
        load_predictor(copy)


def test_probes_are_units_of_the_table(phone: str, table: LatencyTable) -> None:
    for kind, about in load_predictor(phone).report.kinds.items():
        for unit in about.probe.units:
            assert parse_signature(unit) in table
            assert format_signature(*parse_signature(unit)) == unit
            assert unit.startswith(kind)


def test_trees_of_another_xgboost_are_refused(copy: Path) -> None:
    data = gzip.compress(b"no model of this version")
    (copy / "ffn.ubj.gz").write_bytes(data)
    report = json.loads((copy / "report.json").read_text())
    report["kinds"]["ffn"]["sha256"] = hashlib.sha256(data).hexdigest()
    (copy / "report.json").write_text(json.dumps(report))
    with pytest.raises(NasError, match=r"ffn\.ubj\.gz: XGBoost .* cannot read trees written by"):
        load_predictor(copy).predict("ffn", _row(FFN))
