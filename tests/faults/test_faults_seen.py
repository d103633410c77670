"""What a user would meet: names that no file has, storages that are none, remedies as they stand."""

from __future__ import annotations

import os
import shlex
import sqlite3
import threading
from pathlib import Path

import pytest
from endings_small import search, write_cells

import nas
from nas.cli import main
from nas.errors import NasError
from nas.pipeline.table import read_table
from nas.search.objective import parse_constraint
from nas.store import Storage
from nas.store.engine import parse_url
from nas.yamlfile import load_document


@pytest.fixture(autouse=True)
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORAGE", raising=False)
    write_cells(Path())


def typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str]:
    """Exit status of a command, and what it printed."""
    monkeypatch.setattr("sys.argv", ["nas", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out + printed.err


LONG = "a" * 300

TABLES = ["--accuracy", "table:t.csv#acc", "--latency", "table:t.csv#ms", "--strategy", "random"]


@pytest.mark.parametrize(
    "words",
    [
        ["space", "check", LONG],
        ["run", f"{LONG}.yaml"],
        ["run", "s.yaml", "--accuracy", f"table:{LONG}.csv#acc"],
        ["run", "elasticvit", "--init", f"{LONG}.safetensors"],
        ["run", "elasticvit", "--data", f"imagefolder:{LONG}"],
        ["study", "list", "--storage", f"sqlite:///{LONG}"],
        ["device", "show", "x/" * 3000],
        ["device", "import", "table", LONG, "--name", "d"],
        ["predictor", "show", LONG],
        ["sweep", LONG],
        ["--plugin", f"{LONG}.py", "study", "list"],
    ],
)
def test_names_that_no_file_can_have_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    status, printed = typed(monkeypatch, capsys, *words)
    assert status == 1 and printed.startswith("error: ") and "File name too long" in printed
    assert len(printed) < 300


@pytest.mark.parametrize("words", [["report", "x\udc80"], ["generate", "x\udc80"], ["run", "x\udc80.yaml"]])
def test_arguments_that_are_no_text_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    status, printed = typed(monkeypatch, capsys, *words)
    assert status == 1 and "is not UTF-8 text" in printed and "damaged" not in printed


def test_a_table_may_come_through_a_pipe() -> None:
    os.mkfifo("pipe")
    writing = threading.Thread(target=lambda: Path("pipe").write_bytes(Path("t.csv").read_bytes()))
    writing.start()
    table = read_table("table:pipe#acc", nas.load_space("s.yaml"), metric="accuracy")
    writing.join()
    assert len(table.numbers) == 144


def test_a_file_without_end_is_no_document() -> None:
    with pytest.raises(NasError, match=r"/dev/zero: the file has more than 1,000,000 characters"):
        load_document("/dev/zero")


@pytest.mark.parametrize("text", ["accuracy>=101%", "accuracy>=7e3%"])
def test_no_percent_of_percent_is_advised(text: str) -> None:
    with pytest.raises(NasError, match=r"lies between 0 % and 100 %\.$"):
        parse_constraint(text)


def test_all_of_a_small_space_is_looked_at() -> None:
    with pytest.raises(NasError, match=r"no feasible architecture among 144: .* The space has no others"):
        search(constraints=["latency<=20ms", "latency>=20.5ms"])


@pytest.mark.parametrize("url", ["postgresql://[::1", "postgresql://h:port/x", "sqlite:///x%00.db", "  "])
def test_what_is_no_url_of_a_storage_is_told(url: str) -> None:
    with pytest.raises(NasError, match=r"^storage "):
        parse_url(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_run_into_memory_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    status, printed = typed(monkeypatch, capsys, "run", "s.yaml", *TABLES, "--storage", url)
    assert status == 1 and "gone when the command ends; name a file" in printed
    assert not Path("nas-runs").exists()


def test_another_programs_database_is_told_on_reading_too() -> None:
    with sqlite3.connect("other.db") as connection:
        connection.execute("CREATE TABLE studies (a)")
    for read_only in (True, False):
        with pytest.raises(NasError, match="tables of another program"):
            Storage("sqlite:///other.db", read_only=read_only)


def test_what_makes_room_deletes_in_the_storage_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    search(study_name="-s")
    search(study_name="-s", storage="sqlite:///other.db")
    with pytest.raises(NasError, match="exists already") as caught:
        search(study_name="-s", storage="sqlite:///other.db")
    command = shlex.split(str(caught.value).split("another one, ")[1].removesuffix(" makes room."))
    status, _ = typed(monkeypatch, capsys, *command[1:3], "--yes", *command[3:])
    assert status == 0
    assert Storage("sqlite:///other.db").names() == [] and Storage().names() == ["-s"]


def test_what_follows_a_study_reads_the_storage_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    search(study_name="-s", storage="sqlite:///other.db")
    _, printed = typed(monkeypatch, capsys, "study", "show", "--storage", "sqlite:///other.db", "--", "-s")
    for command in printed.split("Next: ")[1].splitlines()[0].split(", "):
        status, printed = typed(monkeypatch, capsys, *shlex.split(command)[1:])
        assert status == 0, printed


@pytest.mark.parametrize("metric", ["accuracy", "latency"])
@pytest.mark.parametrize("cell", ["99", ""])
def test_a_table_that_was_edited_is_not_gone_on_with(metric: str, cell: str) -> None:
    search()
    last = Storage().trials(Storage().study("s").id)[-1]
    kept = Path("t.csv").read_text()
    key = ",".join(str(value) for value in last.arch.values())
    lines = [line.split(",") for line in kept.splitlines()]
    edited = next(line for line in lines if ",".join(line[:4]) == key)
    edited[4 if metric == "accuracy" else 5] = cell
    Path("t.csv").write_text("\n".join(map(",".join, lines)) + "\n")
    with pytest.raises(
        NasError, match=rf"(?s){metric} of trial {last.number}: was .*put t.csv back"
    ) as caught:
        search(n_trials=20, resume=True)
    assert "--supernet" not in str(caught.value)
    Path("t.csv").write_text(kept)
    assert len(search(n_trials=20, resume=True).trials()) == 20


def test_rows_that_a_table_gained_are_gone_on_with() -> None:
    whole = Path("t.csv").read_text().splitlines()
    Path("t.csv").write_text("\n".join(whole[:100]) + "\n")
    search()
    Path("t.csv").write_text("\n".join(whole) + "\n")
    assert len(search(n_trials=20, resume=True).trials()) == 20


def test_run_it_as_it_began_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "s.yaml", *TABLES, "--n-trials", "6", "--study-name", "s"]
    typed(monkeypatch, capsys, *words)
    status, printed = typed(monkeypatch, capsys, *words, "--seed", "9", "--resume")
    assert status == 1
    command = printed.split("Run it as it began (")[1].split("), or use")[0]
    assert typed(monkeypatch, capsys, *shlex.split(command)[1:])[0] == 0


def test_what_learns_a_generator_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, capsys, "run", "s.yaml", *TABLES, "--n-trials", "6", "--study-name", "s")
    status, printed = typed(monkeypatch, capsys, "generate", "s")
    assert status == 1
    command = shlex.split(printed.split("Search for one: ")[1].strip().removesuffix("."))
    status, printed = typed(monkeypatch, capsys, *command[1:])
    assert status == 1 and "search.options.utility" in printed  # tables have no counted costs
    status, printed = typed(monkeypatch, capsys, *command[1:], "--set", "search.options.utility=objective")
    assert status == 0, printed
    assert typed(monkeypatch, capsys, "generate", "s-generative")[0] == 0


@pytest.mark.parametrize("rule", ["a < 3", "a + 1 > 0", "min(a, b) > 1", "not a", "-a > 1"])
@pytest.mark.parametrize("scope", ["local", "global"])
def test_a_rule_that_takes_a_word_for_a_number_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rule: str, scope: str
) -> None:
    decisions = "version: 1\nname: r\ndecisions:\n  a: [x, y]\n  b: [1, 2]\n"
    Path("r.yaml").write_text(f"{decisions}rules:\n  - {{require: {rule!r}, scope: {scope}}}\n")
    status, printed = typed(monkeypatch, capsys, "space", "sample", "r.yaml")
    assert status == 1 and "has no truth value: a word is no number; words are compared by ==" in printed


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--data", "imagefolder: photos", "photos: no such folder"),
        ("--data", "imagefolder:photos #2", "photos #2: no such folder"),
        ("--data", "", "unknown data ''"),
        ("--data", "7", "unknown data '7'"),
        ("--strategy", "nevergrad:", "nevergrad"),
        ("--strategy", "random # fast", "unknown strategy 'random # fast'"),
    ],
)
def test_what_an_option_says_is_text_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, value: str, says: str
) -> None:
    status, printed = typed(monkeypatch, capsys, "run", "elasticvit", option, value, "--timeout", "0")
    assert status == 1 and says in printed and "a text is needed" not in printed
