"""Tables of units as others publish them: what is taken, what is left and said, what is refused."""

from __future__ import annotations

import json
import pickle
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import nas
from nas.cli.device import app
from nas.errors import ConfigError, NasError
from nas.latency import nn_meter, ofa
from nas.latency.exchange import read_exported
from nas.latency.network_table import NetworkTable
from nas.latency.signature import format_signature
from nas.latency.table import COLUMNS, LatencyTable
from nas.pipeline.table import read_table

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MBCONV = "conv_48_16_24_3_2_hard_swish_3_nose"
BLOCK = "expanded_conv-input:{0}x{0}x{1}-output:{0}x{0}x{1}-expand:{2}-kernel:{3}-stride:1-idskip:{4}"


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_keys_of_another_family_are_left_and_said() -> None:
    keys = {MBCONV: 0.42, "mbpool_4_320_1984_6_hard_swish": 1.0}
    strange = {f"nasvit_transattn_14_{c}_swish_4_ln": 1.0 for c in range(5)} | {"dwconv_7": 2, "": 3}
    Path("lut.json").write_text(json.dumps(keys | strange | {"firstconv_96_3_16_2_3": -1}))
    taken = nn_meter.take("lut.json")
    assert len(taken.table) == 2
    told = "\n".join(taken.lines())
    assert "2 of 10 keys were taken, 8 left" in told and "7 of no known family: nasvit_transattn_14_0" in told
    assert "1 not timed (empty, -1 or 0): firstconv_96_3_16_2_3" in told and told.count("nasvit") == 3
    done = CliRunner().invoke(app, ["import", "nn-meter", "lut.json", "--name", "phone"])
    assert done.exit_code == 0 and "7 of no known family" in done.output
    assert len(nas.load_device("devices/phone").table or ()) == 2


def test_all_wrong_times_at_once() -> None:
    wrong = {
        f"conv_{hw}_16_24_3_2_hard_swish_3_nose": value
        for hw, value in enumerate([-3, "x", True, [1], "inf"], 40)
    }
    Path("lut.json").write_text(json.dumps({MBCONV: 1.0} | wrong))
    with pytest.raises(NasError) as caught:
        nn_meter.read("lut.json")
    assert all(key in str(caught.value) for key in wrong) and "5 times in this file are wrong" in str(
        caught.value
    )


def test_a_lookup_table_of_once_for_all() -> None:
    table = {
        BLOCK.format(56, 24, 6, 5, 1): {"mean": 1.5, "std": 0.2, "count": 40},
        BLOCK.format(28, 40, 3, 3, 1): {"mean": 0.75},
        BLOCK.format(28, 40, 3, 3, 0): {"mean": 0.7},
        "expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:5-stride:2-idskip:0": {"mean": 2.0},
        "Conv-input:224x224x3-output:112x112x32": {"mean": 3.25, "std": 0, "count": 10},
        "Conv_1-input:7x7x320-output:7x7x1280": {"mean": 1.125},
        "Logits-input:7x7x1280-output:1000": {"mean": 0.5},
        "AvgPool2D-input:7x7x960-output:1x1x960": {"mean": -1},
        BLOCK.format(14, 80, 6, 7, 1): {"mean": 0},
    }
    Path("lut.json").write_text(json.dumps(table))
    lines = [
        f"{key}:\n  {', '.join('')}" + "\n  ".join(f"{k}: {v}" for k, v in value.items())
        for key, value in table.items()
    ]
    Path("lut.yaml").write_text("\n".join(lines) + "\n")
    for name in ("lut.json", "lut.yaml"):
        taken = ofa.read(Path(name))
        units = {format_signature(*key): entry for key, entry in taken.table.items()}
        assert {text: entry.median_ms for text, entry in units.items()} == {
            "mbconv h=56 w=56 cin=24 cout=24 kernel=5 stride=1 expansion=6 se=0 act=relu": 1.5,
            "mbconv h=28 w=28 cin=40 cout=40 kernel=3 stride=1 expansion=3 se=0 act=relu": 0.75,
            "conv_stem h=224 w=224 cin=3 cout=32 kernel=3 stride=2 act=relu": 3.25,
            "conv_stem h=7 w=7 cin=320 cout=1280 kernel=1 stride=1 act=relu": 1.125,
        }
        first = next(entry for entry in units.values() if entry.median_ms == 1.5)
        assert first.runs == 40 and first.spread_ms == pytest.approx(0.329) and first.provenance == "table"
        told = "\n".join(taken.lines())
        assert "4 of 9 keys were taken, 5 left" in told and "2 without a shortcut" in told
        assert (
            "1 of no known type: Logits-input" in told
            and "2 not timed" in told
            and "nas device import table" in told
        )


def test_the_mobilenet_v3_grammar() -> None:
    key = "expanded_conv-input:28x28x40-output:28x28x40-expand:{0}-kernel:5-stride:1-idskip:1-se:{1}-hs:{2}"
    Path("lut.json").write_text(
        json.dumps(
            {
                key.format(240, 1, 1): {"mean": 2.0},
                key.format(120, 0, 0): {"mean": 1.0},
                key.format(130, 0, 0): {"mean": 1.5},
                "Conv-input:224x224x3-output:112x112x16": 4.0,
            }
        )
    )
    taken = ofa.read(Path("lut.json"))
    assert [format_signature(*key) for key, _ in taken.table.items()] == [
        "conv_stem h=224 w=224 cin=3 cout=16 kernel=3 stride=2 act=hard_swish",
        "mbconv h=28 w=28 cin=40 cout=40 kernel=5 stride=1 expansion=3 se=0 act=relu",
        "mbconv h=28 w=28 cin=40 cout=40 kernel=5 stride=1 expansion=6 se=1 act=hard_swish",
        "ofa_bottleneck h=28 w=28 cin=40 cout=40 kernel=5 stride=1 hidden=120 squeezed=0 act=relu eps=5",
        "ofa_bottleneck h=28 w=28 cin=40 cout=40 kernel=5 stride=1 hidden=240 squeezed=64 act=hard_swish eps=5",
    ]
    assert "1 with sizes that no unit has: expanded_conv" in "\n".join(taken.lines())


def test_the_command_imports_it_twice_alike() -> None:
    Path("lut.json").write_text(json.dumps({BLOCK.format(56, 24, 6, 5, 1): {"mean": 1.5}, "what": 1}))
    words = ["import", "ofa", "lut.json", "--name", "edge", "--hardware", "a board", "--licence", "mine"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0 and "1 of 2 keys were taken" in done.output and "1 times new" in done.output
    assert "1 known" in CliRunner().invoke(app, words).output


@QUICK
@given(
    data=st.dictionaries(
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(
                [
                    MBCONV,
                    BLOCK.format(8, 8, 1, 3, 1),
                    "Conv-input:1x1x1-output:0x0x0",
                    BLOCK.format(0, 0, 0, 0, 1),
                    BLOCK.format(10**30, 8, 1, 3, 1),
                ]
            ),
        ),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda x: st.lists(x, max_size=2) | st.dictionaries(st.sampled_from(["mean", "std", "count"]), x),
        ),
        max_size=4,
    )
)
def test_any_mapping_is_read_or_a_message(data: dict[str, object]) -> None:
    Path("lut.json").write_text(json.dumps(data))
    for read in (nn_meter.take, ofa.read):
        try:
            taken = read(Path("lut.json"))
        except NasError as error:
            assert "lut.json" in str(error)
        else:
            assert all(0 < entry.median_ms < float("inf") for _, entry in taken.table.items())


@QUICK
@given(data=st.binary(max_size=80), name=st.sampled_from(["l.json", "l.yaml"]))
def test_any_bytes_are_a_message(data: bytes, name: str) -> None:
    Path(name).write_bytes(data)
    with pytest.raises(NasError, match=name):
        ofa.read(Path(name))


UNIT = "to_map h={0} w={0} channels=16"


def test_every_wrong_line_of_a_table_is_told() -> None:
    rows = [f"{UNIT.format(i + 1)},{'fast' if i % 2 else 1.5},,,measured,here" for i in range(30)]
    Path("table.csv").write_text(
        "\n".join([",".join(COLUMNS), *rows, "to_mop h=1,1,,,table,x", "a,b"]) + "\n"
    )
    with pytest.raises(ConfigError) as caught:
        LatencyTable.read("table.csv")
    text = str(caught.value)
    assert caught.value.line == 3 and text.count("number of milliseconds") == 10
    assert "17 places in this file are wrong" in text


def test_lines_without_a_time_are_left_out_of_an_import_and_refused_in_a_device() -> None:
    marks = ["-1", "0", "", "NA", "1.5"]
    rows = [f"{UNIT.format(i + 1)},{mark},,,table,x" for i, mark in enumerate(marks)]
    Path("table.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    read = read_exported(Path("table.csv"))
    assert len(read.table) == 1 and read.untimed == (2, 3, 4, 5)
    done = CliRunner().invoke(app, ["import", "table", "table.csv", "--name", "edge"])
    assert "4 lines hold no time" in done.output and done.exit_code == 0
    with pytest.raises(NasError, match="4 places in this file are wrong"):
        LatencyTable.read("table.csv")


@QUICK
@given(
    fields=st.lists(st.text(max_size=8), min_size=5, max_size=5),
    runs=st.sampled_from(["²", "9" * 5000, "1e3", "-1"]),
)
def test_any_fields_are_a_message(fields: list[str], runs: str) -> None:
    quoted = ['"' + field.replace('"', '""') + '"' for field in fields]
    for head, first in (
        (",".join(COLUMNS), UNIT.format(4)),
        ("space,arch," + ",".join(COLUMNS[1:]), 's,"{""a"":1}"'),
    ):
        text = f'{head}\n{first},{",".join(quoted)}\n{first},1.5,,"{runs}",measured,x\n'
        Path("table.csv").write_text(text, encoding="utf-8", errors="replace")
        with pytest.raises(NasError, match=r"table\.csv"):
            (LatencyTable if head.startswith("sig") else NetworkTable).read("table.csv")


CELLS = [
    "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|avg_pool_3x3~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
]


def hw(**lists: object) -> Path:
    config = [{"arch_str": cell, "C": 16} for cell in CELLS]
    data = {"nasbench201": {"cifar10": {"config": config, **lists}}, "fbnet": {"x": 1}}
    Path("hw.json").write_text(json.dumps(data))
    return Path("hw.json")


def test_hw_nas_bench_as_json() -> None:
    hw(pixel3_latency=[4.5, 2.5], eyeriss_latency=[1, -1], fpga_energy=[1, 2])
    space = nas.load_space("nasbench201")
    table = read_table("table:hw.json#cifar10.pixel3_latency", space, metric="latency")
    assert sorted(table.numbers) == [2.5, 4.5] and table.detail == "hw.json#cifar10.pixel3_latency"
    part = read_table("table:hw.json#cifar10.eyeriss_latency", space, metric="latency")
    assert len(part.known(space)) == 1 and "1 of 2 rows have no measured" in part.notes[0]
    with pytest.raises(NasError, match=r"Did you mean 'cifar10\.pixel3_latency'"):
        read_table("table:hw.json#cifar10.pixel_latency", space, metric="latency")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"nasbench201": {}}',
        '{"nasbench201": {"c": {"config": 3}}}',
        "NaN",
        '{"nasbench201": {"c": {"config": [{}]}}}',
        '{"cifar10": {"config": [3]}}',
        "[" * 9999,
        '{"cifar10": {"config": [{"arch_str": "x"}], "ms": [1, 2]}}',
    ],
)
def test_other_json(text: str) -> None:
    Path("hw.json").write_text(text)
    with pytest.raises(NasError, match=r"hw\.json"):
        read_table("table:hw.json#a", nas.load_space("nasbench201"), metric="latency")


def test_help_shows_a_signature_of_each_kind() -> None:
    shown = CliRunner().invoke(app, ["import", "--help"]).output
    for part in (
        "nn-meter (JSON)",
        "expanded_conv-input:",
        "signature,median_ms",
        "arch_str",
        "HW-NAS-Bench",
        "#COLUMN",
    ):
        assert part in shown


def test_published_tables_are_taken_whole(shared_data: Path) -> None:
    for file in sorted((shared_data / "nn_meter_lut").glob("*.json")):
        taken = nn_meter.take(file)
        assert len(taken.table) == taken.total == 12_116 and taken.lines() == []


def test_the_documented_line_turns_the_published_pickle_into_json(space_of_cells: nas.space.Space) -> None:
    text = (Path(__file__).parents[2] / "docs" / "measured-tables.md").read_text()
    command = next(line.strip() for line in text.splitlines() if line.strip().startswith("python -c"))
    config = [{"arch_str": cell, "C": np.int64(16)} for cell in CELLS]
    content = {"config": config, "pixel3_latency": np.array([4.5, 2.5]), "fpga_energy": [np.float64(1), 2.0]}
    Path("HW-NAS-Bench-v1_0.pickle").write_bytes(
        pickle.dumps({"nasbench201": {"cifar10": content}, "fbnet": {}})
    )
    words = shlex.split(command)
    subprocess.run([sys.executable, *words[1:]], check=True, timeout=300)
    table = read_table("table:hw.json#cifar10.pixel3_latency", space_of_cells, metric="latency")
    assert sorted(table.numbers) == [2.5, 4.5]


@pytest.fixture
def space_of_cells() -> nas.space.Space:
    return nas.load_space("nasbench201")
