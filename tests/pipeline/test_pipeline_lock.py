"""One process at a time works on a study."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import nas
from nas.errors import NasError
from nas.pipeline.lock import only_run
from nas.store import Storage

HOLD = """
import sys, time
from pathlib import Path
from nas.pipeline.lock import only_run
with only_run(Path(sys.argv[1]), "one"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_study_that_another_process_runs_is_refused_until_that_process_is_gone(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "one")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(NasError, match="being run by another process"), only_run(tmp_path / "one", "one"):
            pass
    finally:
        holder.kill()
        holder.wait()
    with only_run(tmp_path / "one", "one"):
        pass


def test_a_second_run_of_a_study_leaves_the_first_ones_state_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = {"objectives": ["macs:min", "params:max"], "strategy": "random", "n_trials": 3}
    nas.run("elasticvit", study_name="one", **arguments)
    with only_run(tmp_path / "nas-runs" / "one", "one"), pytest.raises(NasError, match="another process"):
        nas.run("elasticvit", study_name="one", resume=True, **arguments)
    assert Storage().study("one").state == "finished"
