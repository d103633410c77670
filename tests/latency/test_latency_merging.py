"""Times of one device brought together: exported, read back, merged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.device import app
from nas.errors import ConfigError, NasError
from nas.latency.device import load_device
from nas.latency.exchange import read_exported
from nas.latency.importer import Stated, import_table
from nas.latency.network_table import NetworkTable
from nas.latency.signature import parse_signature
from nas.latency.table import Entry, LatencyTable

RUN = CliRunner()
UNITS = [f"ffn h=8 w=8 channels={c} hidden={2 * c} act=relu norm=layer_norm" for c in (32, 48, 64, 80)]
MEASURED = Entry(1 / 3, "measured", "board 2026-01-01", 0.0123, 36)


def table(units: list[str], entry: Entry = MEASURED) -> LatencyTable:
    return LatencyTable({parse_signature(unit): entry for unit in units})


def bring(tmp_path: Path, units: list[str], entry: Entry = MEASURED, **more: object) -> object:
    file = tmp_path / "new.csv"
    table(units, entry).write(file)
    stated = Stated(hardware="a board", runtime="onnxruntime", threads=1)
    return import_table(file, "board", tmp_path / "board", stated, **more)[0]  # type: ignore[arg-type]


def test_what_is_exported_can_be_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(tmp_path, UNITS)
    exported = tmp_path / "all.csv"
    monkeypatch.chdir(tmp_path)
    done = RUN.invoke(app, ["export", str(tmp_path / "board"), str(exported)])
    assert done.exit_code == 0, done.exception
    done = RUN.invoke(app, ["import", "table", str(exported), "--name", "again", "--hardware", "a board"])
    assert done.exit_code == 0, done.exception
    assert "4 times new, 0 known, 0 replaced" in done.output
    again = load_device("again")
    assert again.table is not None and dict(again.table.items()) == dict(table(UNITS).items())
    assert (again.file.hardware, again.file.runtime.name, again.file.threads) == (
        "a board",
        "unknown",
        "unknown",
    )


def test_predictions_are_not_imported(tmp_path: Path) -> None:
    exported = tmp_path / "all.csv"
    done = RUN.invoke(app, ["export", "pixel6", str(exported), "--space", "elasticvit"])
    assert done.exit_code == 0, done.exception
    with pytest.raises(NasError, match="are predictions"):
        read_exported(exported)


def test_tables_of_one_device_are_merged(tmp_path: Path) -> None:
    bring(tmp_path, UNITS[:2])
    brought = bring(tmp_path, UNITS[1:])
    assert (brought.new, brought.same, brought.replaced) == (2, 1, 0)  # type: ignore[attr-defined]
    merged = load_device(tmp_path / "board").table
    assert merged is not None and dict(merged.items()) == dict(table(UNITS).items())


def test_times_that_contradict_each_other_are_listed(tmp_path: Path) -> None:
    bring(tmp_path, UNITS)
    before = (tmp_path / "board/table.csv").read_bytes()
    other = Entry(0.5, "measured", "board 2026-02-02", 0.1, 36)
    with pytest.raises(NasError, match="2 times contradict") as caught:
        bring(tmp_path, UNITS[:2], other)
    for part in (UNITS[0], UNITS[1], "0.333333 ms (board 2026-01-01) there", "0.5 ms (board 2026-02-02) now"):
        assert part in str(caught.value)
    assert (tmp_path / "board/table.csv").read_bytes() == before
    brought = bring(tmp_path, UNITS[:2], other, replace=True)
    assert (brought.new, brought.same, brought.replaced) == (0, 0, 2)  # type: ignore[attr-defined]
    after = load_device(tmp_path / "board").table
    assert after is not None
    assert [after[parse_signature(unit)].median_ms for unit in UNITS] == [0.5, 0.5, 1 / 3, 1 / 3]


def test_another_device_is_not_merged(tmp_path: Path) -> None:
    bring(tmp_path, UNITS)
    table(UNITS[:1]).write(tmp_path / "other.csv")
    with pytest.raises(NasError, match="hardware 'a board' there, 'a phone' now"):
        import_table(tmp_path / "other.csv", "board", tmp_path / "board", Stated(hardware="a phone"))
    import_table(tmp_path / "other.csv", "board", tmp_path / "board", Stated())  # unknown contradicts nothing


def test_folders_are_merged_with_their_networks(tmp_path: Path) -> None:
    bring(tmp_path, UNITS[:2])
    other = tmp_path / "other"
    import_table(tmp_path / "new.csv", "other", other, Stated(hardware="a board"))
    networks = NetworkTable([("tiny", {"depth": 2}, MEASURED)])
    networks.write(other / "networks.csv")
    (other / "device.yaml").write_text((other / "device.yaml").read_text() + "networks: networks.csv\n")
    brought, _ = import_table(other, "board", tmp_path / "board", Stated())
    assert (brought.new, brought.same) == (1, 2)
    assert len(load_device(tmp_path / "board").networks) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ffn h=8,1,1,1,measured,measured,,,x", "after 'ffn' come"),
        (f"{UNITS[0]},1,1,1,measured,guessed,,,x", "unknown level 'guessed'"),
        (f"{UNITS[0]},-2.5,1,1,measured,measured,,,x", "above 0 is needed"),
        (f"{UNITS[0]},1,1,1,measured,measured", "9 are needed"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "all.csv"
    file.write_text(f"signature,ms,low_ms,high_ms,provenance,level,spread_ms,runs,source\n{line}\n")
    with pytest.raises(ConfigError, match=said) as caught:
        read_exported(file)
    assert "all.csv:2" in str(caught.value)
    assert not (tmp_path / "board").exists()


def test_lines_that_time_nothing_are_no_table(tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    heads = "signature,ms,low_ms,high_ms,provenance,level,spread_ms,runs,source"
    file.write_text(
        f"{heads}\n{UNITS[0]},-1,1,1,measured,measured,,,x\n{UNITS[1]},NA,1,1,measured,measured,,,x\n"
    )
    with pytest.raises(NasError, match=r"all\.csv: no line has a time"):
        read_exported(file)


def test_a_lone_published_file_merges_too(tmp_path: Path) -> None:
    for number, keys in enumerate((["mbpool_4_320_1984_6_hard_swish"], ["mbpool_4_160_1984_6_hard_swish"])):
        (tmp_path / f"{number}.json").write_text(json.dumps(dict.fromkeys(keys, 1.5)))
        command = ["import", "nn-meter", str(tmp_path / f"{number}.json"), "--name", "p"]
        done = RUN.invoke(app, [*command, "--output", str(tmp_path / "p")])
        assert done.exit_code == 0, done.exception
    merged = load_device(tmp_path / "p").table
    assert merged is not None and len(merged) == 2
