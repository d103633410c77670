"""Opening a storage: the schema, what is wrong with a URL or a file, and what is imported."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from store_samples import new_study, numbers, trial

from nas.errors import NasError
from nas.store import Storage, default_url, schema
from nas.store.engine import parse_url
from nas.store.models import metadata


def told(url: str, **options) -> str:
    """The message with which opening fails."""
    with pytest.raises(NasError) as caught:
        Storage(url, **options)
    return str(caught.value)


def test_the_migrations_make_the_tables_of_the_models(storage):
    with storage._reader.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
        names = set(inspect(connection).get_table_names())
        assert names == {*metadata.tables, schema.VERSION_TABLE}


def test_the_newest_migration_is_the_one_the_code_expects():
    assert ScriptDirectory(str(schema.MIGRATIONS)).get_heads() == [schema.HEAD]


def test_the_baseline_can_be_undone(storage):
    from alembic import command
    from alembic.config import Config

    with storage._writer.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == [schema.VERSION_TABLE]
    again = Storage(storage._url.render_as_string(hide_password=False))
    assert again.studies() == []
    again.close()


def test_reopening_finds_everything(url):
    first = Storage(url)
    study = new_study(first)
    first.add_trials(study.id, [trial(0, 0.5, 5.0), trial(1, 0.4, 6.0)])
    first.close()
    again = Storage(url)
    assert numbers(again.front(study.id)) == [0]
    assert again.add_trials(study.id, [trial(2, 0.6, 4.0)]).tolist() == [2]
    assert numbers(again.front(study.id)) == [2]
    again.close()


def test_a_reader_neither_makes_a_removed_file_nor_reads_on_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Storage("sqlite:///some%23 where?.db").close()
    (file,) = tmp_path.iterdir()
    reader = Storage("sqlite:///some%23 where?.db", read_only=True)
    assert reader.studies() == []
    file.unlink()
    with pytest.raises(NasError, match="there is no such file"):
        reader.studies()
    assert list(tmp_path.iterdir()) == []
    another = Storage(f"sqlite:///{file}")
    new_study(another, "another")
    another.close()
    assert [row.name for row in reader.studies()] == ["another"]
    reader.close()


def test_a_database_of_a_newer_version_is_refused(storage):
    with storage._writer.begin() as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    message = told(storage._url.render_as_string(hide_password=False))
    assert "made by a newer nas (schema 9999" in message
    assert "upgrade nas" in message


def test_tables_of_another_program_are_left_alone(url):
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE studies (study_id INTEGER)"))
    assert "holds tables of another program (studies)" in told(url)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == ["studies"]
    engine.dispose()


def test_read_only_reads_and_never_writes(url):
    assert "`nas run`" in told(url, read_only=True)
    storage = Storage(url)
    study = new_study(storage)
    storage.add_trials(study.id, [trial(0, 0.5, 5.0)])
    reader = Storage(url, read_only=True)
    assert numbers(reader.front(study.id)) == [0]
    storage.add_trials(study.id, [trial(1, 0.6, 5.0)])
    assert numbers(reader.front(study.id)) == [1]
    with pytest.raises(NasError):
        reader.add_trials(study.id, [trial(2)])
    with pytest.raises(NasError):
        new_study(reader)
    assert storage.study(study.name).n_trials == 2
    reader.close()
    storage.close()


def test_read_only_makes_no_file(tmp_path):
    assert "there is no such file" in told(f"sqlite:///{tmp_path / 'none.db'}", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_the_default_is_a_file_here_or_what_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORAGE", raising=False)
    assert default_url() == "sqlite:///nas.db"
    Storage().close()
    assert (tmp_path / "nas.db").exists()
    monkeypatch.setenv("NAS_STORAGE", "sqlite:///other.db")
    storage = Storage()
    assert storage.url == "sqlite:///other.db"
    storage.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nas.db", "is not a URL; one that is: sqlite:///nas.db"),
        ("", "is not a URL; one that is: sqlite:///nas.db"),
        ("sqlite://nas.db", "three slashes: sqlite:///nas.db"),
        ("nosuchdb://host/x", "there is no database 'nosuchdb'"),
        ("sqlite:////proc/nas.db", "cannot be opened"),
        ("sqlite:///HERE/none/nas.db", "HERE/none does not exist"),
        ("sqlite:///HERE", "this is a directory"),
        ("sqlite:///HERE/notes.txt/nas.db", "HERE/notes.txt is a file, not a directory"),
        ("sqlite:///HERE/notes.txt", "not a SQLite database"),
    ],
)
def test_a_storage_that_cannot_be_is_explained(tmp_path, url, expected):
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes\n" * 100)
    message = told(url.replace("HERE", str(tmp_path)))
    assert expected.replace("HERE", str(tmp_path)) in message
    assert "Background on this error" not in message
    assert notes.read_text() == "my notes\n" * 100
    assert list(tmp_path.iterdir()) == [notes]


def test_a_missing_driver_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert 'pip install "nas[postgres]"' in told("postgresql+psycopg://me@localhost/nas")


def test_an_unreachable_server_is_told_without_its_password():
    pytest.importorskip("psycopg")
    message = told("postgresql://me:secret@127.0.0.1:1/nas")
    assert "cannot be reached" in message
    assert "secret" not in message


@pytest.mark.parametrize("url", ["postgresql://h/d", "postgres://h/d", "postgresql+psycopg://h/d"])
def test_postgresql_means_the_driver_of_the_extra(url):
    assert parse_url(url).drivername == "postgresql+psycopg"


def test_a_damaged_database_is_told(tmp_path):
    path = tmp_path / "nas.db"
    storage = Storage(f"sqlite:///{path}")
    study = new_study(storage)
    storage.add_trials(study.id, [trial(i, i / 999, float(i)) for i in range(999)])
    storage.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(NasError, match="damaged"):
        Storage(f"sqlite:///{path}").trials(study.id)


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    path = tmp_path / "nas.db"
    storage = Storage(f"sqlite:///{path}")
    study = new_study(storage)
    with pytest.raises(NasError, match="cannot be written"):
        Storage(f"sqlite:///{path}", read_only=True).set_state(study.id, "failed")
    storage.close()


def test_a_package_path_with_a_percent_sign_migrates(tmp_path, monkeypatch):
    copied = tmp_path / "100% sure"
    shutil.copytree(schema.MIGRATIONS, copied)
    monkeypatch.setattr(schema, "MIGRATIONS", copied)
    storage = Storage(f"sqlite:///{tmp_path / 'nas.db'}")
    assert storage.studies() == []


def test_a_file_is_an_ordinary_sqlite_database(tmp_path):
    storage = Storage(f"sqlite:///{tmp_path / 'nas.db'}")
    study = new_study(storage, "mine")
    storage.add_trials(study.id, [trial(0, 0.5, 5.0)])
    storage.close()
    connection = sqlite3.connect(tmp_path / "nas.db")
    query = "SELECT s.name, k.name, m.value, k.unit FROM metrics m JOIN metric_kinds k ON k.id = m.kind_id"
    query += " JOIN studies s ON s.id = m.study_id ORDER BY k.name"
    assert connection.execute(query).fetchall() == [
        ("mine", "accuracy", 0.5, "fraction"),
        ("mine", "latency", 5.0, "ms"),
    ]
    connection.close()


def test_the_store_imports_neither_torch_nor_what_it_rarely_needs(tmp_path):
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    root = Path(schema.__file__).parents[2]
    for rare in ({"torch", "pandas", "xgboost", "sklearn", "plotly"}, {"torch", "pandas", "alembic"}):
        code = (
            f"import sys; from nas.store import Storage; Storage({url!r}).studies();"
            f"found = {rare!r} & set(sys.modules); assert not found, found"
        )
        environment = {**os.environ, "PYTHONPATH": str(root)}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)


def test_a_storage_does_not_travel_to_another_process(storage):
    import pickle

    with pytest.raises(NasError, match="open it there by its URL"):
        pickle.dumps(storage)
