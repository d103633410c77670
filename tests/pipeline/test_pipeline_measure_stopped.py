"""Ctrl-C while a run's front is timed: what was timed is kept, and the run goes on with the rest."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.latency.profiling.known_device import Reach
from nas.latency.table import Entry
from nas.pipeline.progress import Silent, Task
from nas.space.batch import Arch
from nas.store import Storage

SPACE = Path(__file__).parent / "small.yaml"


class _Board:
    """Times networks in an instant; every timing gives another result."""

    def __init__(self) -> None:
        self.timed = list[str]()

    @contextmanager
    def reached(self, *_: object) -> Iterator[_Board]:
        yield self

    def times(self, archs: Sequence[Arch]) -> dict[str, Entry]:
        self.timed += [arch.id for arch in archs]
        return {arch.id: Entry(float(len(self.timed)), "measured", "board", 0.1, 5) for arch in archs}


class _Presses(Silent):
    """Presses Ctrl-C once when the first network of a front is timed, and keeps what it is told."""

    def __init__(self, presses: bool) -> None:
        self.presses, self.said = presses, list[str]()

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[_Presses | Task]:
        with Silent().task(name, total, done) as quiet:
            yield self if name.startswith("timing on") else quiet

    def advance(self, text: str = "") -> None:
        if self.presses:
            self.presses = False
            signal.raise_signal(signal.SIGINT)


def test_a_run_stopped_while_its_front_is_timed_says_so_and_goes_on_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    board = _Board()
    monkeypatch.setattr("nas.pipeline.measuring.network_timing", board.reached)
    arguments: dict[str, Any] = {
        "device": "pixel6", "objectives": ["latency:min", "params:max"], "strategy": "random", "n_trials": 40,
        "study_name": "stopped", "measured": Reach(),
    }  # fmt: skip
    with pytest.raises(
        KeyboardInterrupt, match=r"the study is finished; 4 of \d+ networks of its front are timed on pixel6"
    ):
        nas.run(SPACE, reporter=_Presses(True), **arguments)
    storage = Storage()
    study = storage.study("stopped")
    before = {trial.number: trial.at("measured") for trial in storage.front(study.id)}
    assert study.state == "finished" and sum(map(bool, before.values())) == 4 < len(before)
    assert (tmp_path / "nas-runs" / "stopped" / "report.html").exists()

    told = _Presses(False)
    nas.run(SPACE, reporter=told, resume=True, **arguments)
    front = storage.front(study.id)
    assert sorted(board.timed) == sorted(trial.arch_id for trial in front)
    after = {trial.number: trial.at("measured") for trial in front}
    assert all(after[number] == metrics for number, metrics in before.items() if metrics)
    known = f"4 of {len(before)} networks were timed before; nas measure --study stopped"
    assert any(line.startswith(known) for line in told.said)
