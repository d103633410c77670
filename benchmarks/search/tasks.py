"""The tasks by name, each with its noisy twin."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from benchmarks.search import measured, phones, synthetic
from benchmarks.search.task import Task
from nas.errors import NasError, unknown

NOISY = "-noisy"
_PLAIN: dict[str, Callable[[Path | None], Task]] = {
    "zdt1": lambda _: synthetic.zdt1(),
    "zdt1-shifted": lambda _: synthetic.zdt1_shifted(),
    "zdt1-shuffled": lambda _: synthetic.zdt1_shuffled(),
    "dtlz2": lambda _: synthetic.dtlz2(),
    "nasbench201-pixel3": partial(measured.nasbench201, device="pixel3"),
    "nasbench201-raspi4": partial(measured.nasbench201, device="raspi4"),
    "elasticvit": lambda _: phones.elasticvit(),
}
TASKS = tuple(name + ending for name in _PLAIN for ending in ("", NOISY))


@cache
def task(name: str, data: Path | None) -> Task:
    """A task.

    Args:
        data: folder of published tables, for the tasks that have one.

    Raises:
        NasError: no such task, or one whose table is not there.
    """
    if name not in TASKS:
        raise NasError(unknown("task", name, TASKS))
    plain = _PLAIN[name.removesuffix(NOISY)](data)
    return plain.noisy() if name.endswith(NOISY) else plain
