"""Several processes and threads on one storage."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path

import numpy as np
from sqlalchemy import make_url
from store_samples import new_study, numbers, trial

from nas.search.pareto import non_dominated
from nas.store import Storage, trials
from nas.store.engine import connect

WRITERS, BATCHES, SIZE = 8, 6, 5
_spawn = multiprocessing.get_context("spawn")


def values(key: int) -> tuple[float, float]:
    """Objectives of an architecture, the same in every process."""
    draws = np.random.default_rng(key).random(2)
    return float(draws[0]), float(draws[1] + draws[0] / 2)


def drive(url: str, name: str, writer: int, start) -> None:
    """Open the storage, and store batches of which neighbours store half, too."""
    start.wait()
    storage = Storage(url)
    study = storage.study(name)
    for batch in range(BATCHES):
        first = (writer * BATCHES + batch) * SIZE // 2
        storage.add_trials(study.id, [trial(key, *values(key)) for key in range(first, first + SIZE)])
        storage.record_front(study.id, batch)
    storage.close()


def open_and_create(url: str, name: str, start) -> None:
    start.wait()
    storage = Storage(url)
    new_study(storage, name)
    storage.close()


def together(target, *arguments, count: int = WRITERS) -> None:
    start = _spawn.Event()
    workers = [
        _spawn.Process(target=target, args=(*(a(i) if callable(a) else a for a in arguments), start))
        for i in range(count)
    ]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * count


def test_eight_drivers_of_one_study_lose_and_double_nothing(storage, url):
    study = new_study(storage, "shared")
    together(drive, url, "shared", lambda i: i)
    rows = storage.trials(study.id)
    keys = {key for w in range(WRITERS) for b in range(BATCHES) for key in _keys(w, b)}
    assert {row.arch_id for row in rows} == {f"arch-{key}" for key in keys}
    assert numbers(rows) == list(range(len(keys)))
    table = np.array([[row.metrics[name].value for name in ("accuracy", "latency")] for row in rows])
    front = np.flatnonzero(non_dominated(table, study.directions)).tolist()
    assert numbers(storage.front(study.id)) == front
    found = storage.study("shared")
    assert (found.n_trials, found.n_complete) == (len(keys), len(keys))
    assert found.revision == 2 * WRITERS * BATCHES
    assert [row.generation for row in storage.hypervolume_history(study.id)] == list(range(BATCHES))


def _keys(writer: int, batch: int) -> range:
    first = (writer * BATCHES + batch) * SIZE // 2
    return range(first, first + SIZE)


def test_a_new_storage_may_be_opened_by_several_at_once(url):
    together(open_and_create, url, lambda i: f"study {i}")
    storage = Storage(url)
    assert sorted(row.name for row in storage.studies()) == [f"study {i}" for i in range(WRITERS)]
    storage.close()


def test_readers_and_a_writer_do_not_wait_for_one_another(storage):
    """While a transaction is open and has written, readers see the last commit at once."""
    study = new_study(storage)
    storage.add_trials(study.id, [trial(0, 0.5, 5.0)])
    with storage._reader.begin() as reading:
        before = reading.exec_driver_sql("SELECT count(*) FROM trials").scalar()
        with storage._writing(study.id) as write:
            write.connection.exec_driver_sql("UPDATE trials SET generation = 9")
            start = time.perf_counter()
            assert [row.generation for row in storage.trials(study.id)] == [0]
            assert numbers(storage.front(study.id)) == [0]
            assert time.perf_counter() - start < 5
        assert reading.exec_driver_sql("SELECT count(*) FROM trials").scalar() == before
    assert [row.generation for row in storage.trials(study.id)] == [9]


def test_threads_share_a_storage(storage):
    study = new_study(storage)
    failures = []

    def work(thread: int) -> None:
        try:
            for key in range(10):
                storage.add_trials(study.id, [trial(key * 4 + thread, *values(key * 4 + thread))])
                storage.front(study.id)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    rows = storage.trials(study.id)
    assert {row.arch_id for row in rows} == {f"arch-{key}" for key in range(40)}
    table = np.array([[row.metrics[name].value for name in ("accuracy", "latency")] for row in rows])
    assert numbers(storage.front(study.id)) == np.flatnonzero(non_dominated(table, study.directions)).tolist()


def test_all_that_a_reader_asks_at_once_is_of_one_moment(storage, url):
    study, other = new_study(storage), Storage(url)
    with storage._reading() as connection:
        before = len(trials.read(connection, study.id, trials.since(0)))
        other.add_trials(study.id, [trial("late", 0.5, 1.0)])
        assert len(trials.read(connection, study.id, trials.since(0))) == before == 0
    assert len(storage.trials(study.id)) == 1
    other.close()


def test_connections_that_make_a_database_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """SQLite's own wait does not hold for the switch to its write-ahead log: some failed in one of 20 races."""

    def opened(file: Path, barrier: threading.Barrier, failures: list[Exception]) -> None:
        engine = connect(make_url(f"sqlite:///{file}"))
        barrier.wait()
        try:
            with engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        except Exception as error:
            failures.append(error)
        engine.dispose()

    failures: list[Exception] = []
    for race in range(60):
        barrier = threading.Barrier(8)
        threads = [
            threading.Thread(target=opened, args=(tmp_path / f"{race}.db", barrier, failures))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures
