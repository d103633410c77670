"""`nas device` from the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nas.cli.device import app
from nas.cli.predictor import app as predictors
from nas.errors import NasError
from nas.latency.device import load_device
from nas.latency.predictor import load_predictor
from nas.latency.signature import parse_signature, sizes_of
from nas.space.load import load_space

RUN = CliRunner()


def test_list() -> None:
    table = RUN.invoke(app, ["list"])
    assert table.exit_code == 0
    assert "pixel6" in table.output
    listed = json.loads(RUN.invoke(app, ["list", "-f", "json"]).output)
    by_name = {device["name"]: device for device in listed}
    errors = load_device("pixel6").errors
    assert errors is not None
    assert by_name["pixel6"]["errors"]["mean"] == errors.mean
    assert by_name["pixel6"]["batch"] == 1


def test_show() -> None:
    shown = RUN.invoke(app, ["show", "pixel4"])
    assert shown.exit_code == 0
    for part in ("98.8 %", "threads", "unknown", "downsample", "to_tokens"):
        assert part in shown.output
    data = json.loads(RUN.invoke(app, ["show", "pixel4", "-f", "json"]).output)
    assert data["units"]["ffn"]["ranges"]["channels"] == [48, 320]


def test_a_space_is_counted_unit_by_unit() -> None:
    data = json.loads(RUN.invoke(app, ["show", "pixel6", "--space", "elasticvit", "-f", "json"]).output)
    covered = data["space"]["units"]
    assert covered["to_map"]["levels"] == {"free": {"of_units": 1.0, "of_layers": 1.0}}
    assert covered["ffn"]["levels"] == {"trees": {"of_units": 1.0, "of_layers": 1.0}}
    slots = load_space("elasticvit").lower(load_space("elasticvit").sample(5_000, seed=0))
    layers = sum(float(np.mean(slot.active)) for slot in slots if slot.kind == "ffn")
    assert covered["ffn"]["layers"] == pytest.approx(layers, rel=0.02)
    shown = RUN.invoke(app, ["show", "pixel6", "--space", "elasticvit"])
    assert shown.exit_code == 0, shown.exception
    assert "predicted" in shown.output


def test_diff() -> None:
    data = json.loads(
        RUN.invoke(app, ["diff", "pixel6", "pixel4", "--space", "elasticvit", "-f", "json"]).output
    )
    assert list(data["settings"]) == ["hardware"]
    ffn = next(one for one in data["times"] if one["kind"] == "ffn")
    assert ffn["low"] < ffn["median"] < ffn["high"]
    assert ffn["median"] == pytest.approx(1.568, rel=0.02)
    assert ffn["spearman"] > 0.99
    assert isinstance(RUN.invoke(app, ["diff", "pixel6", "pixel4"]).exception, NasError)
    same = json.loads(
        RUN.invoke(app, ["diff", "pixel6", "pixel6", "--space", "elasticvit", "-f", "json"]).output
    )
    assert [one["low"] == one["high"] == 1 for one in same["times"]] == [True] * len(same["times"])


def test_export(tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    done = RUN.invoke(app, ["export", "pixel6", str(file), "--space", "elasticvit"])
    assert done.exit_code == 0, done.exception
    with file.open() as text:
        lines = list(csv.DictReader(text))
    assert len({line["signature"] for line in lines}) == len(lines) > 2000
    device = load_device("pixel6")
    for line in lines[::500]:
        kind, row = parse_signature(line["signature"])
        times = device.unit_times(kind, sizes_of(kind, np.array([row])))
        assert float(line["ms"]) == pytest.approx(times.ms[0], rel=1e-5)
        assert float(line["low_ms"]) <= float(line["ms"]) <= float(line["high_ms"])
    assert isinstance(RUN.invoke(app, ["export", "pixel6", str(file)]).exception, NasError)


def test_predictors_are_listed_and_shown() -> None:
    listed = json.loads(RUN.invoke(predictors, ["list", "-f", "json"]).output)
    assert {"pixel1", "pixel4", "pixel6", "xiaomi11"} <= {one["name"] for one in listed}
    shown = RUN.invoke(predictors, ["show", "pixel4"])
    assert shown.exit_code == 0, shown.exception
    for part in ("98.8 %", "downsample", "left out as a whole, by kernels"):
        assert part in shown.output
    assert isinstance(RUN.invoke(predictors, ["show", "pixl4"]).exception, NasError)


LUT = {
    **{
        f"transffn_{hw}_{c}_2_hard_swish_ln": 1e-5 * hw * hw * c + 0.05
        for hw in (4, 8, 16)
        for c in (48, 64, 96)
    },
    **{f"mbpool_4_{c}_1984_6_hard_swish": 1e-3 * c + 0.4 for c in range(160, 330, 16)},
}


def test_fit_and_evaluate(tmp_path: Path) -> None:
    lut, folder = tmp_path / "lut.json", tmp_path / "mine"
    lut.write_text(json.dumps(LUT))
    done = RUN.invoke(predictors, ["fit", "mine", "--table", str(lut), "--output", str(folder)])
    assert done.exit_code == 0, done.exception
    report = load_predictor(folder).report
    assert {kind: about.errors.units for kind, about in report.kinds.items()} == {"ffn": 9, "pooled_head": 11}
    judged = json.loads(
        RUN.invoke(predictors, ["evaluate", str(folder), "--table", str(lut), "-f", "json"]).output
    )
    assert {one["what"]: one["units"] for one in judged} == {"ffn": 9, "pooled_head": 11}
    assert all(one["mean"] < 0.2 for one in judged)
    again = ["fit", "new", "--table", str(lut), "--like", "pixel6", "--output", str(tmp_path / "new")]
    done = RUN.invoke(predictors, again)
    assert done.exit_code == 0, done.exception
    assert "transferred from pixel6 by 20 units" in done.output
    assert isinstance(RUN.invoke(predictors, ["fit", "mine"]).exception, NasError)


def test_fit_of_archs(tmp_path: Path) -> None:
    space = load_space("nasbench201")
    batch = space.sample(60, seed=0).unique()
    names = [decision.name for decision in space.decisions]
    lines = [[*(str(arch[name]) for name in names), str(1 + 0.1 * index)] for index, arch in enumerate(batch)]
    file = tmp_path / "archs.csv"
    with file.open("w") as text:
        csv.writer(text).writerows([[*names, "ms"], *lines])
    common = ["--archs", str(file), "--column", "ms", "--space", "nasbench201"]
    done = RUN.invoke(predictors, ["fit", "archs", *common, "--output", str(tmp_path / "archs")])
    assert done.exit_code == 0, done.exception
    assert RUN.invoke(predictors, ["show", str(tmp_path / "archs")]).exit_code == 0
    assert "Spearman" in RUN.invoke(predictors, ["evaluate", str(tmp_path / "archs"), *common]).output
    assert isinstance(RUN.invoke(predictors, ["fit", "x", "--archs", str(file)]).exception, NasError)


def test_check(tmp_path: Path) -> None:
    assert RUN.invoke(app, ["check", "pixel1"]).exit_code == 0
    wrong = tmp_path / "device.yaml"
    wrong.write_text("version: 1\nname: x\n")
    assert isinstance(RUN.invoke(app, ["check", str(tmp_path)]).exception, NasError)
    assert isinstance(RUN.invoke(app, ["check", "pixl1"]).exception, NasError)


def test_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lut = tmp_path / "lut.json"
    lut.write_text(json.dumps({"mbpool_4_320_1984_6_hard_swish": 1.5}))
    done = RUN.invoke(app, ["import", "nn-meter", str(lut), "--name", "mine", "--hardware", "my phone"])
    assert done.exit_code == 0, done.exception
    assert "table of 1 units" in done.output
    device = load_device("mine")
    assert device.folder == tmp_path / "devices" / "mine"
    assert (device.file.hardware, device.file.threads) == ("my phone", "unknown")
    listed = json.loads(RUN.invoke(app, ["list", "-f", "json"]).output)
    assert {"mine", "pixel6"} <= {device["name"] for device in listed}


def test_diff_of_two_units_is_json(tmp_path: Path) -> None:
    """Two units have no rank correlation: null, for NaN is no JSON."""
    lut = {"mbpool_4_320_1984_6_hard_swish": 1.5, "mbpool_4_160_1984_6_hard_swish": 1.0}
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(lut))
        import_command = ["import", "nn-meter", str(tmp_path / f"{name}.json"), "--name", name]
        assert RUN.invoke(app, [*import_command, "--output", str(tmp_path / name)]).exit_code == 0
    command = ["diff", str(tmp_path / "a"), str(tmp_path / "b")]

    def no_constant(text: str) -> None:
        raise ValueError(text)

    data = json.loads(RUN.invoke(app, [*command, "-f", "json"]).output, parse_constant=no_constant)
    assert [one["spearman"] for one in data["times"]] == [None, None]
    assert RUN.invoke(app, command).exit_code == 0
