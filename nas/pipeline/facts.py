"""Run facts: what must be known to repeat a run."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.errors import NasError
from nas.pipeline.data import fingerprints
from nas.plugins.records import all_facts
from nas.settings import WHY, RunSettings, differences, make_settings
from nas.space.space import Space
from nas.store.resume import differences as differing

if TYPE_CHECKING:
    from nas.pipeline.data import RunData
    from nas.scale.workers import Workers
    from nas.store import StudyRow

PACKAGES = ("nas", "torch", "numpy", "scipy", "scikit-learn", "xgboost", "sqlalchemy", "kornia")
DISTRIBUTION_DRAWS = 20_000
_OF_SAMPLERS = {"performance": "sampler.banks.", "relaxed": "relaxed."}


def run_facts(settings: RunSettings, space: Space, source: str, command: Sequence[str]) -> dict[str, Any]:
    """Seed, versions, git revision, plug-ins, machine, command, the space's file and its own distribution of values.

    `form` is that of the network whose MACs, parameters and memory are counted; studies of before it was priced as
    deployed have none.

    Args:
        source: name or file the space was read from.
    """
    file = Path(source)
    return {
        "seed": settings.seed,
        "threads": settings.threads,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": f"{platform.system()} {platform.machine()}",
        "git": git_revision(),
        "plugins": all_facts(),
        "form": "deploy",
        "command": shlex.join(command or sys.argv),
        "space_file": str(file.resolve()) if file.is_file() else None,
        "space_distribution": distribution(space),
    }


def data_facts(data: RunData) -> dict[str, Any]:
    """The data's name, classes, fingerprints and images of each split."""
    counts = {split: data.count(split) for split in ("train", "search", "test")}
    return {
        "name": data.name,
        "classes": data.classes,
        **fingerprints(data),
        **counts,
    }


def check_same_data(study: StudyRow, data: RunData) -> None:
    """Make sure that a study is continued on the images it began with, as far as it says which those were.

    Raises:
        NasError: they have changed; with every difference.
    """
    then = study.facts.get("data", {})
    changed = differing(then, {key: value for key, value in data_facts(data).items() if key in then}, "data")
    if changed:
        listed = "\n  ".join(changed)
        raise NasError(
            f"study {study.name!r} cannot be continued, its data have changed:\n  {listed}\n"
            "Put the images back as they were, or use --study-name OTHER for a new study."
        )


def distribution(space: Space) -> dict[str, dict[str, float]]:
    """Share of each value of each decision among 20,000 uniform draws (seed 0)."""
    codes = space.sample(DISTRIBUTION_DRAWS, seed=0).codes
    active = space.active(codes)
    found = {}
    for index, decision in enumerate(space.decisions):
        used = codes[active[:, index], index]
        counts = np.bincount(used, minlength=len(decision)) / max(len(used), 1)
        found[decision.name] = {str(v): float(c) for v, c in zip(decision.values, counts)}
    return found


def spread(workers: Workers) -> str:
    """How candidates and training were spread; asynchronous searches are told results in an order of chance."""
    order = "asynchronous" if workers.asynchronous else "synchronous"
    together = f", training by {workers.training} processes" if workers.training > 1 else ""
    return f"{workers.count} of Ray, {order}{together}"


def deviations(settings: RunSettings, space: Space) -> list[list[Any]]:
    """Training settings that differ from the space's `paper` recipe, which is ElasticViT's where the space says nothing
    else: key, paper, here, why."""
    paper = make_settings("paper", [space.recipes.get("paper", {})]).train.model_dump()
    changed = differences(paper, settings.train.model_dump())
    shown = {"steps": f"{paper['epochs']} epochs"}
    unused = (*_OF_SAMPLERS.values(), *(("epochs", "cooldown_epochs") if settings.train.steps else ()))
    used = _OF_SAMPLERS.get(settings.train.sampler.name, "-")
    return [
        [f"train.{key}", shown.get(key, there), here, WHY.get(f"train.{key}", "")]
        for key, (there, here) in changed.items()
        if key.startswith(used) or not key.startswith(unused)
    ]


def git_revision() -> str | None:
    """Revision of the checkout that the package lies in, with `+` if it is changed; None outside of one."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        revision = _git(folder, "rev-parse", "--short=12", "HEAD")
        return revision + ("+" if _git(folder, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
