"""A network block by block: sums, sizes and bars to scale; what is said where it cannot be drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dashboard_small import NAME, SPACE, five, opened

import nas
from nas.dashboard import pieces
from nas.dashboard.choice import clickable, clicked, find, key_of, options
from nas.dashboard.finding import Finder
from nas.dashboard.network import Network, network_data
from nas.dashboard.network_figure import columns, draw_network
from nas.dashboard.network_panel import look_up
from nas.latency.device import Device
from nas.metrics import Metric
from nas.pipeline.finishing import breakdown
from nas.report.candidates import Candidate, of_front
from nas.report.front import panels
from nas.report.front_figure import draw_view
from nas.report.snapshot import Snapshot, read_snapshot
from nas.space import Space
from nas.store import Storage


@pytest.fixture(scope="module")
def space() -> Space:
    return nas.load_space("elasticvit")


@pytest.fixture(scope="module")
def device() -> Device:
    return nas.load_device("pixel6")


@pytest.fixture(scope="module")
def networks(space: Space, device: Device) -> list[tuple[nas.Arch, Network]]:
    archs = [*space.sample(6, seed=3), *space.presets.values()]
    return [(arch, network_data(space, arch, [device])) for arch in archs]


def test_blocks_add_up_to_what_the_cost_model_counts(
    space: Space, networks: list[tuple[nas.Arch, Network]]
) -> None:
    for arch, network in networks:
        counted = nas.cost(space, arch)
        assert sum(block.macs for block in network.blocks) == counted["macs"][0]
        params = sum(unit.params for block in network.blocks for unit in block.units)
        assert params == counted["params"][0]


def test_latencies_by_stage_are_the_runs_own(
    space: Space, device: Device, networks: list[tuple[nas.Arch, Network]]
) -> None:
    for arch, network in networks:
        stages = breakdown(device, space, {"one": arch})["one"]
        mine = {
            stage: sum(block.ms(0) for block in network.blocks if block.stage == stage)
            for stage in network.stages
        }
        assert list(mine) == list(stages)
        np.testing.assert_allclose(list(mine.values()), list(stages.values()))
        latency = network.latencies[0]
        assert latency is not None
        assert latency.value == pytest.approx(float(device.latency(space, arch)[0]))


def test_depths_widths_and_sizes(networks: list[tuple[nas.Arch, Network]]) -> None:
    for arch, network in networks:
        for stage in ("C1", "C2", "T1", "T2", "T3", "T4"):
            blocks = [block for block in network.blocks if block.stage == stage and "↓" not in block.name]
            assert len(blocks) == arch.values[f"{stage}.depth"]
            assert {block.channels for block in blocks} == {arch.values[f"{stage}.width"]}
        side = arch.values["resolution"]
        assert isinstance(side, int)
        assert network.blocks[0].side == (side // 2, side // 2)
        kinds = [unit.kind for block in network.blocks if block.stage == "T2" for unit in block.units]
        assert kinds.count("attention") == kinds.count("ffn") == arch.values["T2.depth"]


def test_bars_are_as_long_as_their_numbers(networks: list[tuple[nas.Arch, Network]]) -> None:
    _, network = networks[0]
    width, macs, latency = columns(network)
    assert width.lengths == [block.channels for block in network.blocks]
    assert [start + length / 2 for start, length in zip(width.starts, width.lengths)] == [0] * len(width.rows)
    units = [unit for block in network.blocks for unit in block.units]
    np.testing.assert_allclose(np.array(macs.lengths) * 1e6, [unit.macs for unit in units])
    np.testing.assert_allclose(latency.lengths, [unit.ms[0] for unit in units])
    for column in (macs, latency):
        ends = np.array(column.starts) + np.array(column.lengths)
        same = np.flatnonzero(np.diff(column.rows) == 0)
        np.testing.assert_allclose(np.array(column.starts)[same + 1], ends[same])
    figure = draw_network(network)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [list(bar.x) for bar in bars] == [width.lengths, macs.lengths, latency.lengths]
    assert "attention" in " ".join(bars[1].hovertext)


@pytest.mark.parametrize("narrow", [False, True])
def test_no_bar_is_cut_off(networks: list[tuple[nas.Arch, Network]], narrow: bool) -> None:
    for _, network in networks:
        figure = draw_network(network, narrow=narrow)
        for bar in (trace for trace in figure.data if trace.type == "bar"):
            low, high = figure.layout[bar.xaxis.replace("x", "xaxis", 1)].range
            assert low <= min(bar.base)
            assert max(start + length for start, length in zip(bar.base, bar.x)) < high


def test_a_device_that_cannot_time_it_is_named(
    space: Space, device: Device, networks: list[tuple[nas.Arch, Network]]
) -> None:
    blind = replace(device, predictor=None, table=None)
    network = network_data(space, networks[0][0], [blind])
    assert network.devices == ()
    assert network.missing[0].startswith("pixel6: ")
    assert len(columns(network)) == 2


@pytest.fixture(scope="module")
def real(finished: Path) -> Snapshot:
    storage = Storage(f"sqlite:///{finished / 'nas.db'}", read_only=True)
    return read_snapshot(storage, NAME)


def test_a_finished_studys_trials_are_found_and_drawn(real: Snapshot) -> None:
    finder = Finder([SPACE])
    for trial, candidate in zip(real.front, of_front(real)):
        network, told = look_up(finder, real.study, candidate)
        assert network is not None
        assert sum(block.macs for block in network.blocks) == trial.metrics["macs"].value
        latency = network.latencies[0]
        assert latency is not None
        assert latency.value == pytest.approx(trial.metrics["latency"].value)
        assert any(text.startswith("Latencies of its layers on pixel6: ") for text in told)


def test_what_cannot_be_drawn_says_why(real: Snapshot, tmp_path: Path) -> None:
    candidate = of_front(real)[0]
    elsewhere = {**real.study.facts, "space_file": str(tmp_path / "gone.yaml")}
    network, told = look_up(Finder(), replace(real.study, facts=elsewhere), candidate)
    assert network is None
    assert "the space 'small' of study" in told[0]
    assert "with --space" in told[0]
    assert look_up(Finder(), real.study, candidate)[0] is not None
    changed = replace(real.study, space="elasticvit", facts=elsewhere)
    network, told = look_up(Finder(), changed, candidate)
    assert network is None
    assert real.study.space_hash in told[0]
    other: Candidate = replace(candidate, arch={**candidate.arch, "C1.width": 24, "first.width": 16})
    other = replace(other, arch_id="0" * 16)
    assert look_up(Finder([SPACE]), real.study, other)[0] is None
    study = replace(real.study, config={"devices": ["<nowhere>"]})
    network, told = look_up(Finder([SPACE]), study, candidate)
    assert network is not None
    assert network.devices == ()
    assert "No latencies on <nowhere>" in told[0]


def test_points_carry_what_a_click_chooses(small: Snapshot) -> None:
    [panel] = panels(small)
    view = panel.views[0]
    figure = clickable(draw_view(panel, view), view)
    found = {
        (x, y): key
        for trace in figure.data
        if trace.customdata is not None
        for x, y, key in zip(trace.x, trace.y, trace.customdata)
    }
    assert found == {
        (1.0, 50.0): "trial:0",
        (2.0, 60.0): "trial:1",
        (3.0, 55.00000000000001): "trial:2",
        (4.0, 80.0): "trial:3",
        (9.0, 90.0): "trial:4",
        (3.5, 70.0): "preset:P",
    }
    assert clicked({"points": [{"customdata": "trial:3"}]}) == "trial:3"
    assert clicked({"points": [{}]}) is None
    assert clicked(None) is None


def test_a_choice_is_found_again(small: Snapshot) -> None:
    for key in ("trial:0", "trial:2", "trial:4", "preset:P"):
        candidate = find(small, key)
        assert candidate is not None
        assert key_of(candidate) == key
    assert find(small, "trial:9") is find(small, "preset:Q") is find(small, "trial:<b>") is None
    values = [option["value"] for option in options(small, "trial:2")]
    assert values == ["trial:2", "trial:0", "trial:1", "trial:3", "preset:P"]


def test_a_chosen_network_tells_what_was_found_out_after_the_search(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    study = five(storage)
    storage.add_metrics(study, "measured", {0: {"latency": Metric(1.2, "ms", "measured", 1.1, 1.3)}})
    storage.add_metrics(study, "retrained", {0: {"accuracy": Metric(0.9, "fraction", "measured")}})
    chosen = of_front(read_snapshot(storage, "small"))[0]
    terms = [part.children for part in pieces.metrics(chosen).children]
    told = dict(zip(terms[::2], terms[1::2], strict=True))
    assert told["Latency, measured"] == "1.20 ms (1.10–1.30, measured); outside the predicted interval"
    assert told["Top-1 accuracy, retrained"] == "90.0 % (measured)"
    assert told["Top-1 accuracy"] == "50.0 % (48.0–52.0, measured)"
