"""One network trained alone: processor seconds of its training, and top-1 on the test images."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from seeds import Contender
from study import say

from nas.accuracy.inherited import classify
from nas.files import write_atomically

DATA = "digits"


@dataclass(frozen=True)
class Outcome:
    """What a training gave.

    Attributes:
        seconds: of the processor, for the steps alone: images, forward, backward, update.
        top1: on the test images, of averaged weights with recalibrated batch norms.
    """

    seconds: float
    top1: float


def trained(contender: Contender, seed: int, folder: Path) -> Outcome:
    """Train one network, or read what its training gave."""
    job, data = contender.job(DATA, seed)
    path = folder / f"{job.plan.name}.csv"
    if path.exists():
        with path.open(newline="") as file:
            row = next(csv.DictReader(file))
        return Outcome(float(row["seconds"]), float(row["top1"]))
    trainer = job.trainer(data)
    begun = time.process_time()
    for _ in trainer.steps():
        pass
    seconds = time.process_time() - begun
    network = job.network(data, job.finished(data, trainer).weights).eval()
    with torch.no_grad():
        top1 = classify(network, data.evaluation("test", job.plan.settings.evaluate.batch, 0)).accuracy
    trainer.checkpoints.clear()
    write_atomically(path, f"seconds,top1\n{seconds!r},{top1!r}\n")
    say(f"{contender.name}, seed {seed}: {seconds:.1f} s, top-1 {100 * top1:.1f} %")
    return Outcome(seconds, top1)
