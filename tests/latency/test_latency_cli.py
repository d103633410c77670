"""`nas device` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.device import app
from nas.errors import NasError
from nas.latency.device import load_device

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
