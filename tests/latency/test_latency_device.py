"""Devices: their file, where a time comes from, and what they refuse."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.errors import ConfigError, NasError
from nas.latency.device import Device, load_device
from nas.latency.metric_array import MetricArray
from nas.latency.network import network_latency
from nas.latency.signature import parse_signature, sizes_of
from nas.latency.table import Entry, LatencyTable
from nas.latency.times import CODES
from nas.space import load_space

YAML = """\
version: 1
name: board
hardware: a board
runtime: {name: somewhere}
compute_unit: CPU
precision: float32
threads: 1
batch: 1
source: made up
licence: none
table: table.csv
predictor: pixel6
free:
  to_map: a view
"""
FFN = "ffn h=8 w=8 channels=96 hidden=288 act=hard_swish norm=layer_norm"
GELU = FFN.replace("hard_swish", "gelu")


def _sizes(signature: str) -> dict[str, Any]:
    kind, row = parse_signature(signature)
    return sizes_of(kind, np.array([row]))


def _write(folder: Path, text: str = YAML) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "device.yaml").write_text(text)
    LatencyTable({parse_signature(GELU): Entry(5.0, "measured", "host", 0.5, 50)}).write(folder / "table.csv")
    return folder


@pytest.fixture
def board(tmp_path: Path) -> Device:
    return load_device(_write(tmp_path / "board"))


def test_the_table_comes_first_then_the_predictor(board: Device) -> None:
    sizes = {key: np.concatenate([_sizes(GELU)[key], _sizes(FFN)[key]]) for key in _sizes(FFN)}
    times = board.unit_times("ffn", sizes)
    assert times.ms[0] == 5.0
    assert (times.low[0], times.high[0]) == (4.5, 5.5)
    assert times.provenance.tolist() == [CODES["measured"], CODES["predicted"]]
    assert times.ms[1] == load_device("pixel6").unit_times("ffn", _sizes(FFN)).ms[0]


def test_only_declared_kinds_are_free(board: Device) -> None:
    sizes = {"h": np.array([8, 4]), "w": 8, "channels": 16}
    free = board.unit_times("to_map", sizes)
    assert (free.ms.tolist(), free.provenance.tolist()) == ([0.0, 0.0], [CODES["counted"]] * 2)
    other = board.unit_times("to_tokens", sizes)
    assert (other.ms > 0).all()
    assert other.provenance.tolist() == [CODES["estimated"]] * 2
    bare = replace(board, predictor=None)
    with pytest.raises(NasError, match=r"'board' cannot time `to_tokens h=8 .*knows nothing of 'to_tokens'"):
        bare.unit_times("to_tokens", sizes)


def test_a_table_without_predictor_refuses_other_sizes(tmp_path: Path) -> None:
    board = load_device(_write(tmp_path / "board", YAML.replace("predictor: pixel6\n", "")))
    assert board.errors is None
    assert board.unit_times("ffn", _sizes(GELU)).ms.tolist() == [5.0]
    with pytest.raises(
        NasError, match=r"`ffn h=8 w=8 channels=96 hidden=288 act=hard_swish.*its table lacks"
    ):
        board.unit_times("ffn", _sizes(FFN))


def test_a_device_says_how_far_it_is_off(board: Device) -> None:
    said = load_device("pixel6").describe()
    assert said.startswith(
        "pixel6 (Google Pixel 6, TensorFlow Lite, batch 1): XGBoost block model, 5-fold: 99."
    )
    assert said.endswith("mean error 0.6 %")
    assert board.describe().startswith("board (a board, somewhere, batch 1): table of 1 units; else XGBoost")


@pytest.mark.parametrize("name", ["pixel1", "pixel4", "pixel6", "xiaomi11"])
def test_shipped_devices(name: str) -> None:
    device = load_device(name)
    assert device.name == name
    space = load_space("elasticvit")
    kinds = {slot.kind for slot in space.lower(space.sample(1, seed=0))}
    assert set(device.kinds) | set(device.file.free) == kinds
    assert device.file.threads == device.file.runtime.version == device.file.compute_unit == "unknown"
    assert "MIT" in device.file.licence
    assert device.errors is not None


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("predictor", "predicter", 12, "Did you mean 'predictor'?"),
        ("threads: 1", "threads: many", 7, "threads"),
        ("batch: 1", "batch: 0", 8, "batch"),
        ("licence: none\n", "", None, "'licence' is missing"),
        ("version: 1", "version: 2", 1, "version"),
        ("to_map: a view", "to_mop: a view", 13, "Did you mean 'to_map'?"),
        ("to_map: a view", "to_map: ''", 13, "say why"),
        ("predictor: pixel6", "predictor: pixel66", 12, "Did you mean 'pixel6'?"),
        ("table: table.csv\npredictor: pixel6\n", "", None, "'table', a 'predictor', or both"),
    ],
)
def test_a_wrong_device_file_is_explained(
    tmp_path: Path, old: str, new: str, line: int | None, says: str
) -> None:
    with pytest.raises(ConfigError) as error:
        load_device(_write(tmp_path / "board", YAML.replace(old, new)))
    assert says in str(error.value)
    assert error.value.line == line


def test_a_wrong_table_line_is_named(tmp_path: Path) -> None:
    folder = _write(tmp_path / "board")
    with (folder / "table.csv").open("a") as file:
        file.write("to_map h=1 w=1 channels=1,fast,,,measured,\n")
    with pytest.raises(ConfigError, match=r"table\.csv:3: median_ms"):
        load_device(folder)


def test_an_unknown_device_lists_the_known() -> None:
    with pytest.raises(NasError, match=r"unknown device 'pixl6'\. Did you mean 'pixel6'\? Known: .*xiaomi11"):
        load_device("pixl6")


@dataclass
class MadeSlot:
    """A slot as lowering makes them."""

    kind: str
    sizes: dict[str, Any] = field(repr=False)
    active: Any = True


def _slots(rng: np.random.Generator, count: int) -> list[MadeSlot]:
    constant = {key: int(value[0]) for key, value in _sizes(FFN).items()}
    ffns = [{**constant, "channels": 16 * rng.integers(3, 21, count)} for _ in range(4)]
    heads = {**{key: int(value[0]) for key, value in _sizes(HEAD).items()}, "h": 3}
    slots = [MadeSlot("ffn", sizes, rng.random(count) < 0.5) for sizes in ffns]
    converter = MadeSlot("to_map", {"h": 8, "w": 8, "channels": 16})
    return [*slots, converter, MadeSlot("pooled_head", heads, True)]


HEAD = "pooled_head h=3 w=3 channels=200 expanded=1200 hidden=1984 classes=1000 act=hard_swish"


Z, RHO, FACTOR = 1.6448536269514722, 0.3, 2.5


def test_a_network_is_the_sum_of_its_active_units() -> None:
    """The interval is that of a sum of errors with correlation ρ, summed pair by pair."""
    device, count = load_device("pixel6"), 40
    assert device.predictor is not None
    spread = device.predictor.report.spread
    assert spread is not None
    spread = spread.model_copy(update={"correlation": RHO, "factor": FACTOR})
    report = device.predictor.report.model_copy(update={"spread": spread})
    device = replace(device, predictor=replace(device.predictor, report=report))
    slots = _slots(np.random.default_rng(0), count)
    latency = network_latency(device.units, slots, count)
    for index in range(count):
        parts = []
        for slot in slots:
            if np.broadcast_to(slot.active, count)[index]:
                one = {key: int(np.broadcast_to(value, count)[index]) for key, value in slot.sizes.items()}
                parts.append(device.unit_times(slot.kind, one))
        assert latency[index] == pytest.approx(sum(part.ms[0] for part in parts), rel=1e-12)
        ms = sum(part.ms[0] for part in parts)
        sigmas = [part.ms[0] * math.log(part.high[0] / part.low[0]) / 2 / Z for part in parts if part.ms[0]]
        variance = sum(
            a * b * (1 if i == j else RHO) for i, a in enumerate(sigmas) for j, b in enumerate(sigmas)
        )
        half = FACTOR * math.sqrt(variance) / ms
        assert latency.low[index] == pytest.approx(ms * math.exp(-half), rel=1e-9)
        assert latency.high[index] == pytest.approx(ms * math.exp(half), rel=1e-9)
        assert latency.codes[index] == max(part.provenance[0] for part in parts)
    assert (latency.unit, latency.detail, latency.provenance) == ("ms", "pixel6", "predicted")


def test_one_estimated_unit_makes_an_estimated_network() -> None:
    slots = [MadeSlot("ffn", {**_sizes(FFN), "channels": np.array([96, 4096])})]
    latency = network_latency(load_device("pixel6").units, slots, 2)
    assert list(latency.provenance) == ["predicted", "estimated"]


def test_inactive_layers_are_never_looked_up() -> None:
    junk = {**_sizes(GELU), "h": np.array([-1, -1]), "w": -1}
    slots = [MadeSlot("ffn", _sizes(FFN)), MadeSlot("ffn", junk, False)]
    latency = network_latency(load_device("pixel6").units, slots, 2)
    assert latency[0] == latency[1] > 0


def test_real_networks() -> None:
    from nas.space.load import load_space

    space = load_space("elasticvit")
    latency = load_device("pixel6").latency(space, space.sample(200, seed=0))
    assert latency.shape == (200,)
    assert latency.provenance == "predicted"
    assert ((latency > 2.7) & (latency < 195)).all()
    one = load_device("pixel6").latency(space, space.presets["S1"])
    assert one[0] == pytest.approx(13.5769, rel=0.02)
    assert one.low[0] < 13.5769 < one.high[0]


def test_arrays_keep_what_they_are() -> None:
    ms, codes = np.array([2.0, 1.0, 3.0]), np.array([3, 3, 4], dtype=np.uint8)
    array = MetricArray(ms, unit="ms", codes=codes, low=ms - 0.5, high=ms + 0.5, detail="board")
    assert list(array.provenance) == ["predicted", "predicted", "estimated"]
    assert array[:2].provenance == "predicted"
    order = np.argsort(array)
    assert array[order].high.tolist() == [1.5, 2.5, 3.5]
    assert array[array > 2.5].unit == "ms"
    metric = array.metric(2)
    assert (metric.value, metric.unit, metric.provenance) == (3.0, "ms", "estimated")
    assert (metric.low, metric.high, metric.detail) == (2.5, 3.5, "board")


def test_arithmetic_gives_plain_arrays() -> None:
    ms = np.array([2.0, 1.0])
    array = MetricArray(ms, unit="ms", codes=np.zeros(2, dtype=np.uint8), low=ms, high=ms)
    assert type(array / 2) is np.ndarray
    assert type(array <= 1) is np.ndarray
    assert isinstance(array.sum(), float)
    assert array.metric(0).low is None
