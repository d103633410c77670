"""A run's plan: everything that was asked for, loaded and checked before anything is trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError, unknown
from nas.latency.device import Device, load_device
from nas.pipeline.feasible import Region
from nas.pipeline.metrics import CheapMetrics, cheap_function
from nas.pipeline.supernet_card import trained_relaxed
from nas.pipeline.table import MeasuredTable, common, read_table
from nas.pipeline.tabulated import tabulated
from nas.search.objective import (
    Constraint,
    Objective,
    kind_of,
    parse_constraint,
    parse_objectives,
)
from nas.search.strategies import check_options, strategy
from nas.search.strategies.base import Outlook
from nas.settings import RunSettings
from nas.space.batch import ArchBatch
from nas.space.choices import needed_choices
from nas.space.space import Space
from nas.store.studies import check_name

if TYPE_CHECKING:
    from nas.weights.initial import Initial

Floats = NDArray[np.float64]
RUNS = Path("nas-runs")
NAME = re.compile(r"[A-Za-z][\w.-]*")
LONGEST_NAME = 240


@dataclass(frozen=True)
class RunPlan:
    """What a run does.

    Attributes:
        space: to search.
        settings: of the recipe, as changed.
        objectives, constraints: parsed.
        metrics: those that follow from the architecture alone.
        accuracy_table: measured accuracies instead of a supernet.
        supernet: name of a study whose trained weights are used instead of training.
        name: of the study.
        storage: URL.
        init: weights from elsewhere that the supernet begins with, in the place of new ones.
        warm_start: names of studies whose fronts are evaluated first.
        enqueue: networks that are evaluated first: `STUDY/NUMBER`, a file, or values by decision.
        openers: what is evaluated first, by decision, where another run wrote that down; None: it follows from the
            above.
    """

    space: Space
    settings: RunSettings
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    metrics: CheapMetrics
    accuracy_table: MeasuredTable | None
    supernet: str | None
    name: str
    storage: str | None
    init: Initial | None = None
    warm_start: tuple[str, ...] = ()
    enqueue: tuple[str | Mapping[str, Any], ...] = ()
    openers: tuple[Mapping[str, Any], ...] | None = None

    @property
    def folder(self) -> Path:
        """Where the run's files go: `nas-runs/STUDY`."""
        return study_folder(self.name)

    @property
    def keeps(self) -> bool:
        """Whether weights from elsewhere are searched as they are, without any training."""
        return self.init is not None and self.settings.train.init == "keep"

    @property
    def cheap(self) -> Callable[[ArchBatch], tuple[Floats, Floats]]:
        """Cheap objective values and constraint violations of many archs at once."""
        return cheap_function(self.metrics, self.objectives, self.constraints, self.pool)

    @cached_property
    def pool(self) -> ArchBatch | None:
        """The architectures that the run's tables know, which alone can be evaluated; None: all of the space."""
        return common([table for name, table in self.tables if name in self.used_metrics], self.space)

    @property
    def tables(self) -> list[tuple[str, MeasuredTable]]:
        """The run's tables of measured architectures, by metric."""
        both = (("accuracy", self.accuracy_table), ("latency", self.metrics.latency_table))
        return [(name, table) for name, table in both if table is not None]

    @property
    def remarks(self) -> list[str]:
        """How the tables were read, and how much of the space they know, one line each."""
        lines = [line for _, table in self.tables for line in table.notes]
        if self.pool is not None:
            size, exact = self.space.size()
            of = f"{'' if exact else 'about '}{size:,}"
            lines.append(f"the tables know {len(self.pool):,} of {of} architectures; only these are searched")
        return list(dict.fromkeys(lines))

    @cached_property
    def region(self) -> Region:
        """The architectures that satisfy all cheap constraints."""
        return Region(self.metrics, self.constraints, self.pool)

    @property
    def wants_accuracy(self) -> bool:
        """Whether a metric of the networks' answers is an objective or constrained."""
        return any(not kind_of(name).cheap for name in self.used_metrics)

    @property
    def used_metrics(self) -> tuple[str, ...]:
        """Metrics of all objectives and constraints."""
        constrained = tuple(constraint.metric for constraint in self.constraints)
        return (*[objective.metric for objective in self.objectives], *constrained)

    def bare(self) -> RunPlan:
        """What other processes need of it: space and settings."""
        nothing = CheapMetrics(self.space, ())
        return replace(self, objectives=(), constraints=(), metrics=nothing, supernet=None, init=None)

    def config(self) -> dict[str, Any]:
        """What must be equal for a study to be continued, as plain data."""
        return {
            "settings": self.settings.model_dump(),
            "objectives": [str(objective) for objective in self.objectives],
            "constraints": [constraint.text for constraint in self.constraints],
            "devices": [device.name for device in self.metrics.devices],
            "accuracy": self.accuracy_table.detail if self.accuracy_table else "supernet",
            "latency": self.metrics.latency_table.detail if self.metrics.latency_table else "devices",
            "supernet": self.supernet,
            **({} if self.init is None else {"init": self.init.identity()}),
            **({"warm_start": list(self.warm_start)} if self.warm_start else {}),
            **(
                {"enqueue": [dict(e) if isinstance(e, Mapping) else e for e in self.enqueue]}
                if self.enqueue
                else {}
            ),
        }


def study_folder(name: str) -> Path:
    """Folder of a study; characters that file names should not have are percent-encoded."""
    return RUNS / quote(name, safe=" +@=,").replace(".", "%2E" if name.strip(".") == "" else ".")


def make_plan(
    space: Space,
    settings: RunSettings,
    *,
    devices: Sequence[str | Device] = (),
    accuracy: str = "supernet",
    latency: str | None = None,
    requirements: Sequence[str] = (),
    supernet: str | None = None,
    name: str | None = None,
    storage: str | None = None,
    init: str | None = None,
    warm_start: Sequence[str] = (),
    enqueue: Sequence[str | Mapping[str, Any]] = (),
) -> RunPlan:
    """Load and check everything a run needs.

    Args:
        init: weights from elsewhere for the supernet to begin with: a path, or `timm:NAME`.
        warm_start, enqueue: what is evaluated first; see `RunPlan`.

    Raises:
        NasError: what is unknown, missing, contradictory or cannot be evaluated.
    """
    loaded = tuple(device if isinstance(device, Device) else load_device(device) for device in devices)
    names = [device.name for device in loaded]
    if len(set(names)) != len(names):
        raise NasError(f"--device {next(n for n in names if names.count(n) > 1)} is given twice.")
    latency_table = _latency_table(latency, space, loaded)
    metrics = CheapMetrics(space, loaded, latency_table)
    accuracy_table = _accuracy_table(accuracy, space)
    texts = settings.objectives or ["accuracy:max", *_cost_objectives(space, metrics)]
    constraints = [*_written_out(space, settings.constraints), *_required(space, requirements)]
    plan = RunPlan(
        space=space,
        settings=settings,
        objectives=parse_objectives(_expanded(texts, metrics)),
        constraints=tuple(parse_constraint(text) for text in _expanded(constraints, metrics)),
        metrics=metrics,
        accuracy_table=accuracy_table,
        supernet=supernet,
        name=name or "-".join([space.name, *(names or ["macs" if latency_table is None else "table"])]),
        storage=storage,
        warm_start=tuple(warm_start),
        enqueue=tuple(enqueue),
    )
    _check_name(plan)
    _check_metrics(plan)
    _ = plan.pool  # tables that know no architecture in common are an error
    if plan.wants_accuracy and accuracy_table is None:
        check_classifier(space)
    _check_relaxed(plan)
    chosen, directions = settings.search, [objective.direction for objective in plan.objectives]
    check_options(chosen.options)
    probe = strategy(chosen.strategy, space, directions, budget=chosen.n_trials, **chosen.options)
    probe.check(outlook_of(plan))
    if init is None:
        if settings.train.init == "keep":
            raise NasError(
                "train.init=keep searches weights from elsewhere without training: name them with --init WEIGHTS, or "
                "write train.init=begin to train a supernet of one's own."
            )
        return plan
    return _beginning_with(plan, init)


def _beginning_with(plan: RunPlan, init: str) -> RunPlan:
    """The plan with weights from elsewhere, read now: before anything is trained."""
    from nas.weights.initial import initial_of_supernet

    if plan.supernet is not None:
        raise NasError("--init and --supernet both say where weights come from; give one of them.")
    if plan.accuracy_table is not None or not plan.wants_accuracy:
        raise NasError("--init: this run trains no supernet that could begin with these weights.")
    begun = replace(plan, init=initial_of_supernet(plan.space, init))
    if begun.keeps and begun.init is not None:
        if not begun.init.whole:
            raise NasError(
                f"train.init=keep: {begun.init.name} holds the weights of {plan.space.name}:{begun.init.network}, not "
                "those of a supernet, whose networks were trained together: write train.init=begin."
            )
        if plan.settings.train.sampler.name == "relaxed":
            raise NasError("train.init=keep trains no logits, which train.sampler.name=relaxed is for.")
    return begun


def check_classifier(space: Space) -> None:
    """Training and evaluating need networks that answer with class scores.

    Raises:
        NasError: the space names several outputs, or ends in something else.
    """
    outputs = space.blueprint.outputs if space.blueprint else ()
    if len(outputs) > 1:
        raise NasError(
            f"space {space.name!r} has the outputs {', '.join(outputs)}; a classifier has one. Such networks can be "
            "costed, built and timed, not trained: name one of them, 'outputs: [NAME]', or none."
        )
    slots = space.lower(space.sample(1, seed=0)[0])
    last = next((slot for slot in slots for name in slot.keeps if name in outputs), slots[-1])
    if not last.out.layout.answers:
        raise NasError(
            f"space {space.name!r} answers with {last.out.layout.words} (stage {last.stage!r}), not with class scores; "
            "let it end in a stage of a head, such as 'dual_map_head' or 'pooled_head'."
        )


def check_feasible(plan: RunPlan) -> None:
    """Fail before any training where no architecture can satisfy the cheap constraints.

    Raises:
        NasError: the tightest constraint and the architecture nearest to feasible.
    """
    plan.region.check()


def _cost_objectives(space: Space, metrics: CheapMetrics) -> list[str]:
    if metrics.latency_table is not None or metrics.devices:
        return [f"{name}:min" for name in metrics.latency_names]
    if space.blueprint is None:
        raise NasError(
            f"space {space.name!r} is a table of measured architectures: give --latency table:FILE.csv#COLUMN, or "
            "--objectives accuracy:max."
        )
    return ["macs:min"]


def _expanded(texts: Sequence[str], metrics: CheapMetrics) -> list[str]:
    """`latency` for each device where there are several: `latency@NAME`."""
    if len(metrics.latency_names) < 2:
        single = f"@{metrics.devices[0].name}" if metrics.devices else None
        return [text.replace(f"latency{single}", "latency") if single else text for text in texts]
    found = []
    for text in texts:
        plain = text.strip().startswith("latency") and not text.strip().startswith("latency@")
        found += [text.replace("latency", name, 1) for name in metrics.latency_names] if plain else [text]
    return found


def _written_out(space: Space, constraints: Sequence[str]) -> list[str]:
    """Constraints, those that are names of the space's requirements replaced by what these demand."""
    texts: list[str] = []
    for constraint in constraints:
        named = NAME.fullmatch(constraint.strip()) is not None
        texts += _required(space, [constraint.strip()]) if named else [constraint]
    return texts


def _required(space: Space, names: Sequence[str]) -> list[str]:
    texts: list[str] = []
    for name in names:
        if name not in space.requirements:
            raise NasError(f"space {space.name!r}: {unknown('requirement', name, space.requirements)}")
        texts += space.requirements[name]
    return texts


def _latency_table(text: str | None, space: Space, devices: Sequence[Device]) -> MeasuredTable | None:
    if text is None:
        return None
    if not text.startswith("table:"):
        raise NasError(f"--latency {text!r}: write table:FILE.csv#COLUMN, or name a device with --device.")
    if devices:
        raise NasError("--latency table:… and --device exclude each other.")
    return read_table(text, space, metric="latency")


def _accuracy_table(text: str, space: Space) -> MeasuredTable | None:
    if text == "supernet":
        if space.blueprint is None:
            raise NasError(
                f"space {space.name!r} has no network to train: give --accuracy table:FILE.csv#COLUMN."
            )
        return None
    if not text.startswith("table:"):
        raise NasError(f"--accuracy {text!r}: it is 'supernet' or table:FILE.csv#COLUMN.")
    return read_table(text, space, metric="accuracy", percent=True)


def _check_relaxed(plan: RunPlan) -> None:
    trains = plan.supernet is None and plan.accuracy_table is None and plan.wants_accuracy
    if not trains:
        return
    train = plan.settings.train
    if train.sampler.drop_path and train.sampler.name != "sandwich":
        raise NasError(f"train.sampler.drop_path: the sampler {train.sampler.name!r} has none, sandwich has.")
    if train.sampler.name != "relaxed":
        if train.relaxed.latency:
            raise NasError(
                f"train.relaxed.latency: the sampler {train.sampler.name!r} does not weigh it, relaxed does."
            )
        return
    needed_choices(plan.space)
    if plan.settings.train.relaxed.latency and not plan.metrics.devices:
        raise NasError("train.relaxed.latency weighs the latency of a device: name one with --device.")


def _check_name(plan: RunPlan) -> None:
    check_name(plan.name)
    length = len(plan.folder.name.encode())
    if length > LONGEST_NAME:
        raise NasError(
            f"the study name {plan.name[:40]!r}… is too long: as the name of a folder it has {length} bytes, "
            f"{LONGEST_NAME} are possible."
        )


def outlook_of(plan: RunPlan) -> Outlook:
    """What a planned run will be able to say about architectures."""
    evaluated = ("accuracy",) if plan.accuracy_table is not None else ("accuracy", "loss")
    return Outlook(
        tuple(objective.metric for objective in plan.objectives),
        tuple(_cheap_metrics(plan)),
        evaluated if plan.wants_accuracy else (),
        _relaxed(plan),
        plan.supernet,
        plan.metrics.training_steps,
        tables=lambda: tabulated(plan.metrics, plan.objectives, plan.constraints, plan.pool),
        constraints=tuple(plan.constraints),
    )


def _relaxed(plan: RunPlan) -> bool:
    """Whether the supernet has logits."""
    if plan.supernet is None:
        return plan.settings.train.sampler.name == "relaxed"
    return trained_relaxed(study_folder(plan.supernet))


def _cheap_metrics(plan: RunPlan) -> list[str]:
    return list(plan.metrics.values(plan.space.sample(1, seed=0)))


def _check_metrics(plan: RunPlan) -> None:
    known = ["accuracy", *_cheap_metrics(plan)]
    for name in plan.used_metrics:
        if name not in known:
            hint = " Name a device with --device." if name.startswith("latency") else ""
            raise NasError(f"{name!r} cannot be evaluated in this run; it has {', '.join(known)}.{hint}")
