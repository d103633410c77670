"""A network of the study trained alone, with the recipe of the supernets and as many images."""

from __future__ import annotations

from pathlib import Path

import torch
from protocol import Judge, Scale, judged, settings_of
from tables import write_rows

from nas.accuracy.inherited import classify
from nas.pipeline.plan import make_plan
from nas.pipeline.retraining import RetrainJob
from nas.pipeline.training import compute_device
from nas.space.load import load_space


def run_alone(scale: Scale, index: int, judge: Judge, seed: int, folder: Path) -> None:
    """Train one of the judges from new weights and write its test accuracy, `alone-SEED-INDEX`."""
    settings = settings_of(scale, "uniform", seed, steps=scale.alone_steps)
    plan = make_plan(load_space(scale.space), settings, name=f"alone-{seed}-{index:02}")
    job = RetrainJob(plan, judge.arch, "scratch", None)
    data, device = job.data(), compute_device()
    trainer = job.trainer(data)
    for _ in trainer.steps():
        pass
    network = job.network(data, job.finished(data, trainer).weights).to(device).eval()
    batches = data.evaluation("test", settings.evaluate.batch, 0)
    with torch.no_grad():
        found = classify(network, ((x.to(device), y.to(device)) for x, y in batches))
    write_rows(folder / f"{plan.name}.alone.csv", [judged(judge, seed, found)])
    trainer.checkpoints.clear()
