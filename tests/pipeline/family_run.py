"""The smallest whole run of a family: trained, searched, exported; and its units as the profiler has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import nas
from nas.blocks.counting import describe
from nas.blocks.registry import UNITS
from nas.cli import app
from nas.latency.profiling.modules import unit_model
from nas.latency.profiling.use import space_use
from nas.latency.signature import format_signature, sizes_of
from nas.space.space import Space

SMALL = (
    "threads=1", "train.steps=3", "train.batch=4", "train.resolution_scale=0.25", "train.conflict_every=0",
    "train.sampler.name=sandwich", "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32",
    "search.batch=2",
)  # fmt: skip


def run_and_export(space: str, folder: Path) -> None:
    """Run on a space's text in the working directory; the export compares its answers with the network's itself."""
    pytest.importorskip("onnxruntime")
    path = folder / "space.yaml"
    path.write_text(space)
    study = nas.run(path, settings=SMALL, strategy="random", n_trials=3, study_name="s", report=False)
    trials = study.trials()
    assert len(trials) == 3 and np.isfinite(trials["accuracy"]).all()
    done = CliRunner().invoke(app, ["export", "s/0", "-o", "out"])
    assert done.exit_code == 0, done.output
    assert list(Path("out").glob("*.onnx"))


def units_are_built(space: Space) -> None:
    """The unit with the least input of each kind, as it is timed, hands on what counting says."""
    for kind, use in space_use(space, draws=50).items():
        unit = UNITS[kind]
        row = use.rows[np.argmin(describe(unit, sizes_of(kind, use.rows)).elements_in)]
        model = unit_model(format_signature(kind, row))
        with torch.no_grad():
            out = model.module(model.example)
        assert tuple(out.shape[1:]) == describe(unit, dict(zip(unit.keys, row))).cases[0].out, kind
