"""Sweep files: a grid of studies, or a sample of it.

version: 1
name: samplers
run: {recipe: embedded, n_trials: 40}    # also data, supernet, init, objectives, constraints, settings, …
grid:
  space: [elasticvit]
  device: [pixel6, [pixel6, pixel4]]
  strategy: [predictor, "nevergrad:TwoPointsDE"]
  seed: [0, 1, 2]
  set:
    train.sampler.name: [uniform, performance]
sample: 8
resources: {cpu: 1}
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from nas.errors import NasError, unknown
from nas.settings import known_keys
from nas.yamlfile import load_document, validate

Value = str | int | float | bool | list[str]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Fixed(_Part):
    """What all studies of a sweep share: arguments of `nas run`."""

    recipe: str = "embedded"
    data: str | None = None
    n_trials: int | None = Field(default=None, ge=1)
    objectives: list[str] = []
    constraints: list[str] = []
    requirements: list[str] = []
    accuracy: str = "supernet"
    latency: str | None = None
    supernet: str | None = None
    init: str | None = None
    settings: dict[str, Any] = {}


class Grid(_Part):
    """What varies; every combination is a study.

    Attributes:
        device: each value one device, or a list of devices searched for at once.
        set: values by key of `--set`.
    """

    space: list[str] = Field(min_length=1)
    device: list[str | list[str]] = Field(default=[], min_length=1)
    strategy: list[str] = Field(default=[], min_length=1)
    seed: list[Annotated[int, Field(strict=True, ge=0)]] = Field(default=[0], min_length=1)
    set: dict[str, list[Any]] = {}

    @field_validator("set")
    @classmethod
    def _keys_exist(cls, values: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for key, choices in values.items():
            if key not in known_keys() and not key.startswith("search.options."):
                raise ValueError(unknown("setting", key, known_keys()))
            if key in ("seed", "search.strategy"):
                raise ValueError(f"{key!r} is varied by the grid's own key of that name.")
            if not choices:
                raise ValueError(f"{key!r} has no value to try.")
        return values


class Resources(_Part):
    """What each study occupies while it runs."""

    cpu: float = Field(default=1, gt=0)
    gpu: float = Field(default=0, ge=0)


class SweepFile(_Part):
    """A sweep.

    Attributes:
        sample: number of combinations drawn from the grid; all where left out.
        sample_seed: of that draw.
    """

    version: Literal[1]
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    run: Fixed = Fixed()
    grid: Grid
    sample: int | None = Field(default=None, ge=1)
    sample_seed: int = 0
    resources: Resources = Resources()


@dataclass(frozen=True)
class Member:
    """One study of a sweep.

    Attributes:
        name: of the study.
        group: what it shares with the studies that differ in nothing but the seed.
        arguments: of `nas.run`.
    """

    name: str
    group: str
    seed: int
    arguments: dict[str, Any]

    @property
    def digest(self) -> str:
        """12 hexadecimal digits over the arguments and the contents of the space, tables and weights they name."""
        arguments = {key: value for key, value in self.arguments.items() if (key, value) != ("init", None)}
        digest = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode())
        for name in map(self.arguments.get, ("space", "accuracy", "latency", "init")):
            path = Path(str(name).removeprefix("table:").partition("#")[0]).expanduser()
            if path.is_file():
                digest.update(path.read_bytes())
        return digest.hexdigest()[:12]


def load_sweep(path: str | Path) -> SweepFile:
    """A sweep from its file.

    Raises:
        ConfigError: what is wrong with the file, and where.
    """
    return validate(load_document(path), SweepFile)


def members(file: SweepFile) -> list[Member]:
    """The studies of a sweep, in the order of the grid.

    Raises:
        NasError: two combinations that would have one name.
    """
    grid = file.grid
    axes: list[tuple[str, list[Any]]] = [("space", grid.space)]
    axes += [("device", grid.device)] * bool(grid.device) + [("strategy", grid.strategy)] * bool(
        grid.strategy
    )
    axes += list(grid.set.items())
    found = []
    for values in itertools.product(*[values for _, values in axes]):
        chosen = {name: value for (name, _), value in zip(axes, values)}
        group = "-".join(_shown(name, value) for name, value in chosen.items())
        found += [_member(file, group, chosen, seed) for seed in grid.seed]
    names = [member.name for member in found]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice:
        raise NasError(
            f"sweep {file.name!r}: two combinations would be named {twice!r}; leave one out, or give files of "
            "spaces names of their own."
        )
    if file.sample is None or file.sample >= len(found):
        return found
    drawn = np.random.default_rng(file.sample_seed).permutation(len(found))[: file.sample]
    return [found[index] for index in sorted(drawn.tolist())]


def _member(file: SweepFile, group: str, chosen: dict[str, Any], seed: int) -> Member:
    fixed = file.run.model_dump(exclude={"settings"})
    own = {key: value for key, value in chosen.items() if key not in ("space", "device", "strategy")}
    settings = [f"{key}={_written(key, value)}" for key, value in {**file.run.settings, **own}.items()]
    arguments = {
        **fixed,
        "space": chosen["space"],
        "device": chosen.get("device", ()),
        "strategy": chosen.get("strategy"),
        "settings": settings,
        "seed": seed,
    }
    return Member(f"{file.name}-{group}-s{seed}", group, seed, arguments)


def _written(key: str, value: Any) -> str:
    def text(other: Any) -> str:
        if isinstance(other, date):  # what YAML reads as a date is text to every setting
            return str(other)
        raise NasError(f"{key}: {other!r} is no value of a setting.")

    return json.dumps(value, default=text)


def _shown(name: str, value: Any) -> str:
    text = "+".join(map(str, value)) if isinstance(value, list) else str(value)
    if name == "space":
        return Path(text).stem
    return text if name in ("device", "strategy") else f"{name.rsplit('.', 1)[-1]}={text}"
