"""Latency tables: written, read, checked, merged, looked up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.errors import ConfigError
from nas.latency.signature import parse_signature
from nas.latency.table import COLUMNS, Entry, Key, LatencyTable
from nas.latency.times import CODES

HEADER = ",".join(COLUMNS)
GOOD = "to_map h=8 w=8 channels=16,0.25,0.01,50,measured,host"


def _key(side: int, channels: int = 16) -> Key:
    return parse_signature(f"to_map h={side} w={side} channels={channels}")


def _table() -> LatencyTable:
    return LatencyTable(
        {
            _key(16): Entry(0.5, "measured", "host, run 1", 0.02, 50),
            _key(8): Entry(0.1 + 0.2, "table", 'a "quoted" source'),
            _key(8, 24): Entry(1e-5, "measured", ""),
        }
    )


def test_a_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    _table().write(path)
    again = LatencyTable.read(path)
    assert dict(again.items()) == dict(_table().items())
    lines = path.read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [
        "to_map h=8 w=8 channels=16",
        "to_map h=8 w=8 channels=24",
        "to_map h=16 w=16 channels=16",
    ]


def test_lookup_gives_times_interval_and_provenance() -> None:
    rows = np.array([[16, 16, 16], [9, 9, 16], [8, 8, 16], [16, 16, 16]])
    found, times = _table().lookup("to_map", rows)
    assert found.tolist() == [True, False, True, True]
    assert times.ms.tolist() == [0.5, 0.1 + 0.2, 0.5]
    assert times.low.tolist() == [0.48, 0.1 + 0.2, 0.48]
    assert times.high.tolist() == [0.52, 0.1 + 0.2, 0.52]
    assert times.provenance.tolist() == [CODES["measured"], CODES["table"], CODES["measured"]]


def test_lookup_of_a_kind_it_does_not_have() -> None:
    found, times = _table().lookup("to_tokens", np.array([[8, 8, 16]]))
    assert not found.any()
    assert len(times.ms) == 0


def test_merge_keeps_the_better_entry() -> None:
    published, once, often = (
        Entry(1.0, "table", ""),
        Entry(2.0, "measured", ""),
        Entry(3.0, "measured", "", 0.1, 9),
    )
    other = Entry(4.0, "measured", "", 0.1, 9)
    for mine, theirs, kept in [
        (published, once, once),
        (once, published, once),
        (once, often, often),
        (often, once, often),
        (often, other, other),
    ]:
        merged = LatencyTable({_key(8): mine, _key(4): once}).merge(LatencyTable({_key(8): theirs}))
        assert merged[_key(8)] == kept
        assert _key(4) in merged
        assert len(merged) == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (GOOD.replace("to_map", "to_mop"), "Did you mean 'to_map'?"),
        (GOOD.replace("0.25", "0"), "above 0"),
        (GOOD.replace("0.25", "nan"), "finite"),
        (GOOD.replace("0.25", "fast"), "number of milliseconds"),
        (GOOD.replace("0.01", "-1"), "from 0"),
        (GOOD.replace(",50,", ",0,"), "runs"),
        (GOOD.replace("measured", "guessed"), "Known: measured, table"),
        (GOOD + ",more", "6 are needed"),
        (GOOD + "\n" + GOOD, "stands twice"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{HEADER}\n{line}\n")
    with pytest.raises(ConfigError) as error:
        LatencyTable.read(path)
    assert says in str(error.value)
    assert error.value.line == 2 + line.count("\n")


@pytest.mark.parametrize("data", [b"", b"a,b\n", b"\xff\xfe\x00"])
def test_what_is_no_table(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"table\.csv"):
        LatencyTable.read(path)
