"""Rows of a storage that somebody or something has altered, and storages that are none."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from endings_damage import message, stood
from endings_small import search, write_cells

from nas.errors import NasError
from nas.store import Storage


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with the studies `s` and `whole`."""
    home = tmp_path_factory.mktemp("made")
    patch = pytest.MonkeyPatch()
    write_cells(home)
    patch.chdir(home)
    patch.delenv("NAS_STORAGE", raising=False)
    search(n_trials=6)
    search(n_trials=6, study_name="whole")
    patch.undo()
    return home


@pytest.fixture
def connection(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    """A copy of that storage in the working directory, for altering it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORAGE", raising=False)
    write_cells(tmp_path)
    source, target = sqlite3.connect(made / "nas.db"), sqlite3.connect(tmp_path / "nas.db")
    source.backup(target)
    source.close()
    target.isolation_level = None
    return target


OF_STUDY = [
    "config = '{'",
    "config = '[]'",
    "config = 'null'",
    "facts = 'no'",
    "facts = x'ff00'",
    "objectives = '[]]'",
    "objectives = '[{\"name\": 1}]'",
    'objectives = \'{"name": "accuracy"}\'',
    "constraints = '3'",
    "state = 'sleeping'",
    "created = 'yesterday'",
    "updated = ''",
    "n_trials = 'many'",
    "revision = 'x'",
    "reference_point = '[1'",
    'reference_point = \'{"accuracy": "high"}\'',
]


@pytest.mark.parametrize("change", OF_STUDY)
def test_an_altered_row_of_a_study_is_told_and_the_others_are_shown(
    connection: sqlite3.Connection, change: str
) -> None:
    connection.execute(f"UPDATE studies SET {change} WHERE name = 's'")
    store = Storage(read_only=True)
    with pytest.raises(
        NasError, match=r"storage sqlite:///nas\.db: the row of study 's' is damaged"
    ) as error:
        store.study("s")
    assert "nas study delete" in str(error.value)
    assert [study.name for study in store.studies()] == ["whole"]
    assert [mark.name for mark in store.marks()] == ["whole"]
    (wrong,) = store.damaged()
    assert "'s'" in wrong
    listed = stood("study", "list")
    assert "whole" in listed.output and "the row of study 's' is damaged" in listed.output
    assert "the row of study 's' is damaged" in message(stood("study", "show", "s"))
    assert "whole" in stood("study", "show", "whole").output
    assert not message(stood("study", "delete", "s", "--yes"))  # what the message says
    assert Storage(read_only=True).names() == ["whole"]
    search(n_trials=6)
    assert Storage(read_only=True).study("s").state == "finished"


OF_TRIALS = [
    ("trials", "arch = '{'"),
    ("trials", "arch = '7'"),
    ("trials", "state = 'gone'"),
    ("trials", "violation = 'x'"),
    ("trials", "created = 'x'"),
    ("trials", "finished = 'x'"),
    ("metrics", "value = 'x'"),
    ("metrics", "low = 'x'"),
    ("metrics", "kind_id = kind_id + 900"),
    ("metric_kinds", "provenance = 'guessed'"),
    ("generations", "hypervolume = 'x'"),
    ("generations", "created = 'x'"),
]


@pytest.mark.parametrize(("table", "change"), OF_TRIALS)
def test_an_altered_row_of_a_trial_is_told_and_other_studies_are_shown(
    connection: sqlite3.Connection, table: str, change: str
) -> None:
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute(
        f"UPDATE {table} SET {change} WHERE study_id = (SELECT id FROM studies WHERE name = 's')"
    )
    for words in (
        ("front", "s"),
        ("study", "show", "s"),
        ("report", "s"),
        ("show", "s/0"),
        ("export", "s/0"),
    ):
        told = message(stood(*words))
        assert not told or "nas.db" in told or "export" in words, (words, told)
    assert "whole" in stood("study", "list").output
    assert not message(stood("front", "whole"))


def test_the_trial_whose_row_is_altered_is_named(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE trials SET arch = '{' WHERE number IN (2, 4) AND study_id = 1")
    store = Storage(read_only=True)
    with pytest.raises(NasError, match="the rows of trials 2, 4 of study 's' cannot be read"):
        store.trials(store.study("s").id)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("ALTER TABLE trials DROP COLUMN wall_s", "not those of this version"),
        ("ALTER TABLE studies DROP COLUMN epoch", "not those of this version"),
        ("DROP TABLE metrics", "not those of this version"),
        ("DROP TABLE leases", "not those of this version"),
        ("UPDATE nas_schema SET version_num = '9999'", "made by a newer nas"),
        ("DELETE FROM nas_schema", "holds tables of another program"),
    ],
)
def test_tables_that_lack_something_are_told(
    connection: sqlite3.Connection, statement: str, told: str
) -> None:
    connection.execute(statement)
    connection.close()
    for words in (("study", "list"), ("front", "s")):
        stood(*words)
    with pytest.raises(NasError, match=told):
        search(n_trials=12, resume=True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"notes\n" * 400, "not a SQLite database"),
        (b"", "not a storage of this version"),
        (b"SQLite format 3\0", ""),
    ],
)
def test_a_file_that_is_no_storage_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORAGE", raising=False)
    (tmp_path / "nas.db").write_bytes(content)
    for words in (("study", "list"), ("front", "s"), ("study", "delete", "s", "--yes")):
        said = message(stood(*words))
        assert "nas.db" in said and told in said, said


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://u:p@127.0.0.1/x", "pip install mysqlclient"),
        ("mysql+pymysql://u:p@127.0.0.1/x", "pip install PyMySQL"),
        ("mysql+mysqlconnector://u:p@127.0.0.1/x", "pip install mysql-connector-python"),
        ("postgresql+psycopg2://u:p@127.0.0.1/x", "pip install psycopg2-binary"),
        ("postgresql+pg8000://u:p@127.0.0.1/x", "pip install pg8000"),
        ("oracle+oracledb://u:p@127.0.0.1/x", "pip install oracledb"),
        ("mssql+pyodbc://u:p@127.0.0.1/x", "pip install pyodbc"),
        ("mariadb+mariadbconnector://u:p@127.0.0.1/x", "pip install mariadb"),
        ("postgresql+psycopg2cffi://u:p@127.0.0.1/x", "install the package that has the Python module"),
    ],
)
def test_a_missing_driver_is_told_by_the_name_of_its_package(url: str, told: str) -> None:
    with pytest.raises(NasError) as error:
        Storage(url)
    assert told in str(error.value) and "u:p@" not in str(error.value)
