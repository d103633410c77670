"""NAS-Bench-201: accuracies of 15,625 trained networks, and their latencies measured on real devices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.search.task import Floats, Task, with_front
from nas.errors import NasError
from nas.pipeline.table import read_table
from nas.space import ArchBatch, load_space

FILE = "nasbench201.csv.gz"


def nasbench201(data: Path | None, device: str) -> Task:
    """Accuracy on CIFAR-100 and the latency of a device, which is free.

    Args:
        data: the folder with the table.
        device: its column without `_ms`.

    Raises:
        NasError: no folder, or no table in it.
    """
    if data is None or not (data / FILE).is_file():
        raise NasError(f"NAS-Bench-201 needs a folder with {FILE}: name it with --data.")
    space = load_space("nasbench201")
    text = f"table:{data / FILE}"
    accuracy = read_table(f"{text}#cifar100_top1", space, metric="accuracy", percent=True)
    latency = read_table(f"{text}#{device}_ms", space, metric="latency")

    def values(batch: ArchBatch) -> Floats:
        return np.stack([accuracy.values(batch), latency.values(batch)], axis=1)

    every = values(accuracy.known(space))
    worst = float(every[:, 0].min()), float(every[:, 1].max())
    task = Task(f"nasbench201-{device}", space, ("max", "min"), values, (False, True), worst, 1.0)
    return with_front(task, every)
