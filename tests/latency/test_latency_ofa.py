"""A Once-for-all lookup table answers for its networks: their latency is the sum of the table's times."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nas
from nas.cli.device import app
from nas.content import find
from nas.latency.device import load_device
from nas.pipeline.metrics import CheapMetrics
from nas.space.batch import Arch

WIDTHS = (24, 40, 80, 112, 160)
STRIDES = (2, 2, 2, 1, 2)
GATES = (0, 1, 0, 1, 1)
SWISH = (0, 0, 1, 1, 1)


SIDES = (128, 132, 224)
BLOCK = "expanded_conv-input:{0}x{0}x{1}-output:{2}x{2}x{3}-expand:{4}-kernel:{5}-stride:{6}-idskip:{7}-se:{8}-hs:{9}"


def block(side: int, cin: int, stage: int, position: int, kernel: int, expansion: int) -> tuple[str, int]:
    """Key of a block, as `MBv3LatencyTable` of the authors' code makes it, and the side of its output."""
    step, width = STRIDES[stage] if position == 0 else 1, WIDTHS[stage]
    out, skip = (side - 1) // step + 1, int(step == 1 and cin == width)
    hidden, gate, swish = cin * expansion, GATES[stage], SWISH[stage]
    return BLOCK.format(side, cin, out, width, hidden, kernel, step, skip, gate, swish), out


def ends(side: int) -> list[str]:
    """Keys that every network asks for."""
    half, last = (side + 1) // 2, -(-side // 32)
    return [
        f"Conv-input:{side}x{side}x3-output:{half}x{half}x16",
        BLOCK.format(half, 16, half, 16, 16, 3, 1, 1, 0, 0),
        f"Conv_1-input:{last}x{last}x160-output:{last}x{last}x960",
        f"AvgPool2D-input:{last}x{last}x960-output:1x1x960",
        "Conv_2-input:1x1x960-output:1x1x1280",
        "Logits-input:1x1x1280-output:1000",
    ]


def keys_of(arch: Arch) -> list[str]:
    """Keys of one network."""
    side, cin, keys = int(arch["resolution"]), 16, ends(int(arch["resolution"]))
    side = (side + 1) // 2
    for stage in range(5):
        for position in range(int(arch[f"S{stage + 1}.depth"])):
            kernel, expansion = (
                int(arch[f"S{stage + 1}.{what}[{position}]"]) for what in ("kernel", "expansion")
            )
            key, side = block(side, cin, stage, position, kernel, expansion)
            keys, cin = [*keys, key], WIDTHS[stage]
    return keys


def keys_of_all(side: int) -> list[str]:
    """Keys of every network for images of one side."""
    keys, now, cin = ends(side), (side + 1) // 2, 16
    for stage in range(5):
        for position in range(2):
            found = [block(now, cin, stage, position, k, e) for k, e in product((3, 5, 7), (3, 4, 6))]
            keys, now, cin = [*keys, *(key for key, _ in found)], found[0][1], WIDTHS[stage]
    return keys


def test_a_networks_latency_is_the_sum_of_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = find("spaces", "ofa_mobilenetv3").read_text()
    Path("three_sides.yaml").write_text(
        text.replace("{min: 128, max: 224, step: 4}", str(list(SIDES))).replace(
            "resolution: 160", "resolution: 132"
        )
    )
    space = nas.load_space("three_sides.yaml")
    every = dict.fromkeys(key for side in SIDES for key in keys_of_all(side))
    times = {key: 0.25 + 0.001 * index for index, key in enumerate(every)}
    Path("lut.json").write_text(
        json.dumps({key: {"mean": ms, "std": 0.1, "count": 9} for key, ms in times.items()})
    )
    done = CliRunner().invoke(app, ["import", "ofa", "lut.json", "--name", "phone", "--output", "phone"])
    assert done.exit_code == 0, done.output
    assert " left" not in done.output
    metrics = CheapMetrics(space, (load_device(Path("phone")),))
    batch = space.sample(50, seed=3)
    for arch, ms in zip(batch, metrics.values(batch)["latency"]):
        assert ms == pytest.approx(sum(times[key] for key in keys_of(arch)), rel=1e-9)
