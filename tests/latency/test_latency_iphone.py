"""The device that is fitted to published networks alone."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import nas
from nas.cli.device import app
from nas.latency.predictor import load_predictor

PUBLISHED = {
    "efficientformer": {"L1": 1.4, "L3": 2.7, "L7": 6.6},
    "efficientformer_v2": {"S0": 0.9, "S1": 1.1, "S2": 1.6, "L": 2.7},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_networks_lie_in_their_intervals(name: str) -> None:
    device, space = nas.load_device("iphone12"), nas.load_space(name)
    for preset, ms in PUBLISHED[name].items():
        latency = device.latency(space, space.presets[preset])
        assert latency.metric(0).provenance == "estimated"
        assert float(latency.low[0]) < ms < float(latency.high[0])
        assert float(np.asarray(latency)[0]) == pytest.approx(ms, rel=0.2)


def test_no_kernel_is_free_and_the_error_is_said() -> None:
    predictor = load_predictor("iphone12")
    assert min(predictor.report.kernels.rates.values()) > 0
    assert predictor.describe().startswith("kernel model, no unit timed; 7 measured networks, left out: ")
    assert "mean error 10.8 %" in predictor.describe()


def test_the_list_falls_back_to_the_error_of_networks() -> None:
    device = nas.load_device("iphone12")
    assert device.errors is None and device.network_errors is not None and device.network_errors.units == 7
    lines = CliRunner().invoke(app, ["list"]).output.splitlines()
    listed = {line.split()[0]: line for line in lines if line.split()}
    assert "10.8 % (networks)" in listed["iphone12"] and "networks" not in listed["pixel6"]
