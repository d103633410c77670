"""Several spaces in one folder, budgets too short for anything, and a baseline that was lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from profiling_samples import TINY, FakeTarget, tiny_space
from test_profiling_run import IDENTITY, NoExports, _law

from nas.errors import NasError
from nas.latency.device import load_device
from nas.latency.profiling.folder import DeviceFolder
from nas.latency.profiling.profiler import Limits, Profiler
from nas.latency.profiling.use import space_use
from nas.pipeline.progress import Silent
from nas.space import load_space


class Heard(Silent):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def run(folder: Path, path: Path, limits: Limits, heard: Heard | None = None, **more: Any) -> None:
    space = load_space(path)
    device = DeviceFolder(folder, "board", IDENTITY, "2026-01-01")
    target = more.pop("target", FakeTarget(_law))
    exports, reporter = NoExports(folder), heard or Heard()
    Profiler(space, str(path), space_use(space), target, exports, device, limits, reporter, **more).run()


def other_space(folder: Path) -> Path:
    path = folder / "other.yaml"
    text = TINY.replace("name: tiny", "name: other").replace("width: [16, 24, 32]", "width: [16, 32, 40]")
    path.write_text(text)
    return path


def test_networks_of_all_spaces_are_learned_from(tmp_path: Path) -> None:
    first, second, folder = tiny_space(tmp_path), other_space(tmp_path), tmp_path / "board"
    run(folder, first, Limits(units=20, networks=6, error=0.0))
    heard = Heard()
    run(folder, second, Limits(units=20, networks=6, error=0.0), heard)
    device = load_device(folder)
    assert device.networks.spaces == ["other", "tiny"] and len(device.networks) == 12
    assert device.predictor is not None and device.predictor.report.residual is not None
    assert device.predictor.report.residual.errors.units == 12
    assert heard.warnings == []


def test_units_of_other_spaces_do_not_count(tmp_path: Path) -> None:
    first, second, folder = tiny_space(tmp_path), other_space(tmp_path), tmp_path / "board"
    run(folder, first, Limits(units=30, networks=0, error=0.0))
    run(folder, second, Limits(units=30, networks=0, error=0.0))
    table = load_device(folder).table
    assert table is not None
    uses = space_use(load_space(second))
    assert sum(len(use.find(table.rows(kind))) for kind, use in uses.items()) == 30


def test_a_space_that_is_gone_is_said(tmp_path: Path) -> None:
    first, second, folder = tiny_space(tmp_path), other_space(tmp_path), tmp_path / "board"
    run(folder, first, Limits(units=20, networks=5, error=0.0))
    first.unlink()
    heard = Heard()
    run(folder, second, Limits(units=20, networks=5, error=0.0), heard)
    assert [text for text in heard.warnings if "5 timed networks of 'tiny' are left out" in text]
    device = load_device(folder)
    assert device.predictor is not None and device.predictor.report.residual is not None
    assert device.predictor.report.residual.errors.units == 5


def test_a_budget_too_short_for_anything_says_what_is_needed(tmp_path: Path) -> None:
    slow = FakeTarget(_law)
    original = slow.time
    slow.time = lambda model, burst: (time.sleep(0.01), original(model, burst))[1]  # type: ignore[method-assign]
    with pytest.raises(
        NasError, match=r"budget of 0\.05 s ended before anything was timed.*Give --budget \d+s"
    ):
        run(tmp_path / "board", tiny_space(tmp_path), Limits(seconds=0.05, networks=0), target=slow)
    assert not (tmp_path / "board/device.yaml").exists()


def test_a_lost_baseline_is_said(tmp_path: Path) -> None:
    path, folder, heard = tiny_space(tmp_path), tmp_path / "board", Heard()
    run(folder, path, Limits(units=14, networks=0, error=0.0), heard)
    assert heard.warnings == []
    (folder / "profiling.json").unlink()
    run(folder, path, Limits(units=16, networks=0, error=0.0), heard)
    assert len(heard.warnings) == 1 and "profiling.json is not there" in heard.warnings[0]
    run(folder, path, Limits(units=18, networks=0, error=0.0), heard)
    assert len(heard.warnings) == 1


def test_folders_from_before_spaces_were_kept_are_read(tmp_path: Path) -> None:
    path, folder = tiny_space(tmp_path), tmp_path / "board"
    run(folder, path, Limits(units=14, networks=0, error=0.0))
    state = json.loads((folder / "profiling.json").read_text())
    assert state.pop("spaces") == {"tiny": str(path)}
    (folder / "profiling.json").write_text(json.dumps(state))
    run(folder, path, Limits(units=16, networks=0, error=0.0))
    assert json.loads((folder / "profiling.json").read_text()) == {**state, "spaces": {"tiny": str(path)}}
