"""The built wheel, installed elsewhere, finds its content and runs from any directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    subprocess.run([*pip, *build], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True, capture_output=True
    )
    return target


def nas(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "nas", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)


def test_content_travels_with_the_wheel(installed: Path, tmp_path: Path) -> None:
    told = nas(installed, tmp_path, "space", "presets", "elasticvit", "--device", "pixel6", "-f", "json")
    assert told.returncode == 0, told.stderr
    assert '"preset": "L3"' in told.stdout
    doctor = nas(installed, tmp_path, "doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert "xiaomi11" in doctor.stdout


def test_the_main_job_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    small = {
        "threads": 1,
        "train.steps": 4,
        "train.batch": 8,
        "train.checkpoint_every": 4,
        "train.conflict_every": 0,
        "evaluate.recalibrate": 1,
        "evaluate.final_recalibrate": 1,
        "evaluate.images": 32,
        "search.batch": 4,
        "search.options.first": 8,
    }
    sets = [part for key, value in small.items() for part in ("--set", f"{key}={value}")]
    done = nas(installed, tmp_path, "run", "elasticvit", "--device", "pixel6", "--n-trials", "8", *sets)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "nas-runs" / "elasticvit-pixel6" / "report.html").exists()
    assert str(ROOT) not in done.stderr
