"""Network tables: written, read, checked, merged, and the ids of their archs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.errors import ConfigError
from nas.latency.network_table import COLUMNS, NetworkTable
from nas.latency.table import Entry
from nas.latency.times import CODES
from nas.space.batch import Arch
from nas.space.load import load_space

SPACE = load_space("elasticvit")
BATCH = SPACE.sample(30, seed=0).unique()
HEADER = ",".join(COLUMNS)
GOOD = 'tiny,"{""a"":1,""b"":""x""}",0.25,0.01,50,measured,host'


def _table() -> NetworkTable:
    entries = [Entry(1.0 + i, "measured", "a, b", 0.1 * i, 50) for i in range(len(BATCH))]
    return NetworkTable((SPACE.name, arch, entry) for arch, entry in zip(BATCH.to_dicts(), entries))


def test_a_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path, table = tmp_path / "networks.csv", _table()
    table.write(path)
    again = NetworkTable.read(path)
    assert again.entries == table.entries
    assert list(again.entries) == list(table.entries)
    lines = path.read_text().splitlines()
    assert len(lines) == 1 + len(BATCH)
    assert lines[1:] == sorted(lines[1:])
    assert " " not in lines[1].split(",1")[0]


def test_keys_are_the_archs_own_ids() -> None:
    table = _table()
    assert {key for key, _ in table.items()} == {(SPACE.name, arch_id) for arch_id in BATCH.ids}
    archs, times = table.of(SPACE)
    assert sorted(arch.id for arch in archs) == sorted(BATCH.ids)
    by_id = dict(zip(BATCH.ids, range(len(BATCH))))
    assert times.ms.tolist() == [1.0 + by_id[arch.id] for arch in archs]
    assert set(times.provenance) == {CODES["measured"]}
    assert table.spaces == [SPACE.name]


def test_presets_outside_the_ranges_have_their_place(tmp_path: Path) -> None:
    outside = Arch(SPACE, {**SPACE.presets["S1"].values, "resolution": 200})
    assert not SPACE.contains(outside)
    NetworkTable([(SPACE.name, outside.values, Entry(2.0, "table", "paper"))]).write(tmp_path / "n.csv")
    archs, times = NetworkTable.read(tmp_path / "n.csv").of(SPACE)
    assert archs == [outside]
    assert times.ms.tolist() == [2.0]


def test_merge_keeps_the_better_entry() -> None:
    arch = {"a": 1}
    published, once = Entry(1.0, "table", ""), Entry(2.0, "measured", "")
    often = Entry(3.0, "measured", "", 0.1, 9)
    for mine, theirs, kept in [(published, once, once), (often, once, often), (once, often, often)]:
        merged = NetworkTable([("x", arch, mine)]).merge(
            NetworkTable([("x", arch, theirs), ("y", arch, mine)])
        )
        assert [entry for _, (_, entry) in merged.items()] == [kept, mine]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (GOOD.replace("tiny", ""), "space is empty"),
        (GOOD.replace('"{""a"":1,""b"":""x""}"', "{"), "not valid JSON"),
        (GOOD.replace('"{""a"":1,""b"":""x""}"', "[]"), "JSON object"),
        (GOOD.replace('""x""', "null"), "b is null"),
        (GOOD.replace('""x""', "NaN"), "NaN is no number"),
        (GOOD.replace("0.25", "0"), "above 0"),
        (GOOD.replace("measured", "guessed"), "Known: measured, table"),
        (GOOD + ",more", "7 are needed"),
        (GOOD + "\n" + GOOD.replace('""a"":1,""b"":""x""', '""b"":""x"",""a"":1.0'), "stands twice"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "networks.csv"
    path.write_text(f"{HEADER}\n{line}\n")
    with pytest.raises(ConfigError) as error:
        NetworkTable.read(path)
    assert says in str(error.value)
    assert error.value.line == 2 + line.count("\n")


def test_what_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("space,arch\n")
    with pytest.raises(ConfigError, match=r"n\.csv:1"):
        NetworkTable.read(tmp_path / "n.csv")
    with pytest.raises(ConfigError, match=r"none\.csv"):
        NetworkTable.read(tmp_path / "none.csv")


def test_values_of_every_type_survive(tmp_path: Path) -> None:
    arch = {"ratio": 0.5, "act": "gelu", "width": 16}
    NetworkTable([("x", arch, Entry(1.0, "measured", ""))]).write(tmp_path / "n.csv")
    ((found, _),) = NetworkTable.read(tmp_path / "n.csv").entries.values()
    assert found == arch
    assert {name: type(value) for name, value in found.items()} == {"ratio": float, "act": str, "width": int}
    assert json.dumps(found) == json.dumps(dict(sorted(arch.items())))
