"""HW-NAS-Bench written as JSON: costs of NAS-Bench-201's cells on several devices, as a table.

Source: GATECH-EIC/HW-NAS-Bench, `hw_nas_bench_api`: `{"nasbench201": {DATASET: {"config": […], METRIC: […], …}}}`, one
value per cell, the cell's string under `arch_str` of its config; `fbnet` holds tables of layers, which are no cells.
The published file is a pickle, which may run code when it is read: docs/measured-tables.md says how it becomes JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.measured.sheet import Sheet

SPACE, CONFIG, ARCH = "nasbench201", "config", "arch_str"
SHAPE = '{"nasbench201": {"cifar10": {"config": [{"arch_str": "|…|"}, …], "pixel3_latency": [1.5, …]}}}'


def read_benchmark(path: Path) -> Sheet:
    """A table with `arch` and a column `DATASET.METRIC` for every list of one value per cell.

    Raises:
        NasError: no such file, no JSON, or JSON of another shape.
    """
    try:
        data = json.loads(path.read_bytes(), parse_constant=str)
    except OSError as error:
        raise NasError(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise NasError(f"{path}: not valid JSON: {error}.") from None
    sets = data.get(SPACE, data) if isinstance(data, dict) else {}
    columns: dict[str, list[Any]] = {}
    archs: list[str] | None = None
    for name, content in sets.items() if isinstance(sets, dict) else ():
        if not isinstance(content, dict) or CONFIG not in content:
            continue
        listed = _archs(path, name, content)
        if archs is not None and listed != archs:
            raise NasError(
                f"{path}: the cells of {name!r} are others than those before, or in another order."
            )
        archs = listed
        columns.update(_metrics(path, name, content, len(listed)))
    if archs is None or not columns:
        raise NasError(f"{path}: no table of measured cells; JSON of HW-NAS-Bench looks like {SHAPE}.")
    rows = [[arch, *(_text(values[row]) for values in columns.values())] for row, arch in enumerate(archs)]
    return Sheet(path, ("arch", *columns), rows, list(range(1, len(rows) + 1)))


def _archs(path: Path, name: str, content: Mapping[str, Any]) -> list[str]:
    configs = content[CONFIG]
    if not isinstance(configs, list):
        raise NasError(f"{path}: {name}.{CONFIG} is no list of cells.")
    for index, config in enumerate(configs):
        if not isinstance(config, dict) or not isinstance(config.get(ARCH), str):
            raise NasError(f"{path}: {name}.{CONFIG}[{index}] has no {ARCH!r}.")
    return [config[ARCH].strip() for config in configs]


def _metrics(path: Path, name: str, content: Mapping[str, Any], n: int) -> dict[str, list[Any]]:
    lists = {key: values for key, values in content.items() if key != CONFIG and isinstance(values, list)}
    for key, values in lists.items():
        if len(values) != n:
            raise NasError(f"{path}: {name}.{key} has {len(values):,} values for {n:,} cells.")
    return {f"{name}.{key}": values for key, values in lists.items()}


def _text(value: object) -> str:
    return "" if value is None else str(value)
