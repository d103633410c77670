"""Power cuts: what was not yet on the disk is taken back, and from whatever is left a run goes on or says what is lost.

A search is recorded after each of its commits and each of its files; then storages of one moment are paired with
the folder of another, as if the disk had kept one and not the other.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from endings_small import outcome, search, write_cells
from sqlalchemy import text

from nas.errors import NasError
from nas.files import replace_by, write_atomically
from nas.kept import previous_of, read_record, write_record
from nas.pipeline.progress import Silent
from nas.pipeline.search_log import LOG
from nas.pipeline.search_state import SearchState
from nas.store import Storage

FILE = Path("nas-runs/s/search.json")
TRIALS = 30


class Told(Silent):
    """Remembers warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, told: str) -> None:
        self.warnings.append(told)


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Copies of storage and folder, one after every batch of a search; the last is of its end."""
    home = tmp_path_factory.mktemp("moments")
    patch = pytest.MonkeyPatch()
    work = home / "work"
    write_cells(work)
    patch.chdir(work)
    patch.delenv("NAS_STORAGE", raising=False)
    kept: list[Path] = []

    def keep() -> None:
        to = home / str(len(kept))
        to.mkdir()
        source, target = sqlite3.connect("nas.db"), sqlite3.connect(to / "nas.db")
        source.backup(target)
        target.close()
        source.close()
        for file in (FILE, previous_of(FILE), FILE.with_name(LOG)):
            if file.exists():
                shutil.copy(file, to / file.name)
        kept.append(to)

    from nas.pipeline import searching

    write = searching.write_state

    def recorded(*given: Any) -> None:
        write(*given)
        keep()

    patch.setattr(searching, "write_state", recorded)
    search(n_trials=TRIALS)
    keep()
    whole = outcome()
    (home / "whole").write_text(repr(whole))
    patch.undo()
    kept.append(home / "whole")
    yield kept


def placed(tmp_path: Path, database: Path, folder: Path) -> None:
    write_cells(tmp_path)
    shutil.copy(database / "nas.db", tmp_path / "nas.db")
    run = tmp_path / "nas-runs" / "s"
    run.mkdir(parents=True)
    for file in folder.glob("search.*"):
        shutil.copy(file, run / file.name)


def pairs() -> list[tuple[int, int]]:
    """(storage, folder): moments 0 … 5 are batches of six, 6 is the end."""
    return [(a, b) for a in range(7) for b in range(7)]


@pytest.mark.parametrize(("database", "folder"), pairs())
def test_a_run_goes_on_from_any_storage_with_any_state(
    moments: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: int, folder: int
) -> None:
    monkeypatch.chdir(tmp_path)
    placed(tmp_path, moments[database], moments[folder])
    told = Told()
    search(n_trials=TRIALS, resume=True, reporter=told)
    assert repr(outcome()) == moments[-1].read_text()
    assert Storage().study("s").state == "finished"
    if min(folder, 5) > database + 1:  # both generations are newer than the storage
        assert "the storage is at" in told.warnings[0] and "made again from the" in told.warnings[0]


@pytest.mark.parametrize("lost", ["both", "current"])
def test_a_state_whose_rename_was_undone_is_gone_on_from(
    moments: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.chdir(tmp_path)
    placed(tmp_path, moments[3], moments[3])
    FILE.unlink()
    if lost == "both":
        previous_of(FILE).unlink()
        (tmp_path / "nas-runs/s/supernet.json").write_text(
            "{}"
        )  # so that the folder is known to be the right one
    search(n_trials=TRIALS, resume=True)
    assert repr(outcome()) == moments[-1].read_text()


def test_a_storage_that_went_another_way_is_told_and_loses_nothing(
    moments: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trials are not those that the strategy would ask for: nothing is guessed."""
    monkeypatch.chdir(tmp_path)
    placed(tmp_path, moments[4], moments[6])
    store = Storage()
    with store._writer.begin() as connection:
        connection.execute(text("UPDATE trials SET arch_id = 'f' || substr(arch_id, 2) WHERE number = 3"))
    with pytest.raises(NasError, match="asked again its strategy wants other") as error:
        search(n_trials=TRIALS, resume=True)
    assert "--study-name OTHER" in str(error.value) and str(FILE) in str(error.value)
    study = store.study("s")
    assert (study.n_trials, study.state) == (24, "failed")
    search(n_trials=TRIALS, study_name="OTHER")  # what the message says
    assert repr(outcome("OTHER")) == moments[-1].read_text()


def test_a_commit_is_on_the_disk_before_a_file_names_it(tmp_path: Path) -> None:
    store = Storage(f"sqlite:///{tmp_path / 'nas.db'}")
    with store._reader.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_file_is_synced_before_its_name_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        sync(handle)

    def renamed(self: Path, target: Path) -> Path:
        done.append(f"rename to {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    write_atomically(tmp_path / "a.json", "{}")
    assert done == ["sync .a.json.writing", "rename to a.json", f"sync {tmp_path.name}"]


@pytest.mark.parametrize("undone", [0, 1, 2])
def test_any_prefix_of_the_steps_of_a_write_leaves_a_whole_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undone: int
) -> None:
    """The system may do renames that were not synced in any number: each leaves a record that can be read."""
    file = tmp_path / "search.json"
    state = {
        "revision": 1,
        "strategy": {},
        "generation": 0,
        "trials": 0,
        "wall_s": 0.0,
        "pairs": [],
        "unfinished": [],
    }
    write_record(file, state)
    steps = 0
    replace = Path.replace

    def until(self: Path, target: Path) -> Path:
        nonlocal steps
        steps += 1
        if steps > undone:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", until)
    with suppress(KeyboardInterrupt):
        write_record(file, {**state, "revision": 2})
    monkeypatch.undo()
    assert read_record(file, SearchState, "").data["revision"] == (2 if undone == 2 else 1)


def test_where_there_are_no_links_the_previous_generation_is_read_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    def no_links(*given: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    file = tmp_path / "a"
    for content in (b"1", b"2"):
        replace_by(file, lambda sink, data=content: sink.write(data), previous=tmp_path / "b")  # type: ignore[misc]
    assert (file.read_bytes(), (tmp_path / "b").read_bytes()) == (b"2", b"1")
