"""The search of a run: ask, evaluate, store, tell; a checkpoint after every batch."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nas.accuracy.predictor import ArchPredictor, rank_correlation
from nas.errors import NasError
from nas.files import write_atomically
from nas.metrics import Metric
from nas.pipeline.plan import RunPlan
from nas.pipeline.pool import Evaluated, Pool
from nas.pipeline.progress import Interrupt, Reporter
from nas.pipeline.stream import Stream
from nas.pipeline.training import Interrupted
from nas.search.objective import explain_empty, total_violation
from nas.search.strategies import Strategy, strategy
from nas.search.strategies.predictor import PredictorSearch, extra_features
from nas.space.batch import ArchBatch
from nas.store import SeriesPoint, Storage, TrialRecord

CHECKPOINT = "search.json"
REFERENCE_DRAWS = 20_000
PREDICT_FROM = 20


@dataclass
class Progress:
    """Where a search is.

    Attributes:
        generation: batches told so far.
        trials: evaluations so far.
        wall_s: seconds spent evaluating and proposing, over all sessions.
        pairs: predicted and evaluated accuracy of archs the predictor had not seen.
        unfinished: codes of archs that were asked for and not evaluated when the state was written.
    """

    generation: int = 0
    trials: int = 0
    wall_s: float = 0.0
    pairs: list[tuple[float, float]] = field(default_factory=list)
    unfinished: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True)
class End:
    """When a search ends before its last trial.

    Attributes:
        deadline: `time.monotonic()` after which no further batch is begun; None: no limit.
        trials: after which none is begun: where a run that is repeated was ended by its deadline; None: no limit.
    """

    deadline: float | None = None
    trials: int | None = None

    @property
    def why(self) -> str:
        """What ends it, in words."""
        return "--timeout" if self.trials is None else "the end of the run that is repeated"

    def reached(self, trials: int) -> bool:
        """Whether no further batch may be begun after so many trials."""
        if self.trials is not None:
            return trials >= self.trials
        return self.deadline is not None and time.monotonic() > self.deadline


class Search:
    """One study's search.

    Args:
        pool: evaluates.
        end: when it ends before its last trial.
    """

    def __init__(
        self, plan: RunPlan, pool: Pool, storage: Storage, study_id: int, end: End | None = None
    ) -> None:
        self.plan, self.pool, self.storage, self.study_id = plan, pool, storage, study_id
        self.end, self.ended_early = end or End(), False
        settings = plan.settings
        self.cheap = plan.cheap
        self.strategy: Strategy = strategy(
            settings.search.strategy,
            plan.space,
            [objective.direction for objective in plan.objectives],
            seed=settings.seed,
            cheap=self.cheap,
            budget=settings.search.n_trials,
            **settings.search.options,
        )
        if plan.pool is None:
            self.strategy.draw_from(plan.region.draws)
        else:
            self.strategy.bind(plan.region.inside(plan.pool))
        self.progress = Progress()
        self._kept = 0

    def run(self, reporter: Reporter, interrupt: Interrupt) -> Progress:
        """Search to the last trial, or to an earlier end.

        Raises:
            Interrupted: stopped between two batches.
        """
        self._resume()
        total = self.plan.settings.search.n_trials
        if self.strategy.aim():
            reporter.say(self.strategy.aim())
        with reporter.task("searching", total, self.progress.trials) as task:
            if self.pool.asynchronous:
                Stream(self, task).run(reporter, interrupt)
                return self.progress
            self._finish_unfinished(task)
            while self.progress.trials < total:
                if interrupt.asked:
                    raise Interrupted
                if self.late(reporter):
                    break
                started = time.monotonic()
                batch = self.strategy.ask(min(self.plan.settings.search.batch, total - self.progress.trials))
                if not len(batch):
                    self.say_exhausted(reporter)
                    break
                self._evaluate(batch, task, started)
        return self.progress

    def _finish_unfinished(self, task: Any) -> None:
        """Evaluate what an asynchronous run was asked for and did not get to."""
        if self.progress.unfinished:
            codes = np.array(self.progress.unfinished, dtype=np.int16)
            self.progress.unfinished = []
            self._evaluate(ArchBatch(self.plan.space, codes), task, time.monotonic())

    def _evaluate(self, batch: ArchBatch, task: Any, started: float) -> None:
        predicted = self.predict(batch)
        for arch in batch:
            self.pool.submit(arch)
        found = {}
        for _ in range(len(batch)):
            result = self.pool.next()
            found[result.arch_id] = result
            task.advance()
        self.learn(batch, [found[arch_id] for arch_id in batch.ids], predicted, started)

    def late(self, reporter: Reporter) -> bool:
        """Whether no further candidates may be asked for; says so."""
        if not self.end.reached(self.progress.trials):
            return False
        total = self.plan.settings.search.n_trials
        reporter.warn(f"{self.end.why} reached after {self.progress.trials} of {total} trials")
        self.ended_early = True
        return True

    def say_exhausted(self, reporter: Reporter) -> None:
        """Say why the strategy has nothing more to ask for."""
        reporter.say(f"{self.strategy.ending()} ({self.progress.trials:,} evaluated)")

    def learn(self, batch: ArchBatch, results: list[Evaluated], predicted: Any, started: float) -> None:
        """Tell the strategy what a batch is worth, and store it."""
        metrics = self.plan.metrics.metrics(batch)
        for row, result in zip(metrics, results):
            row.update(result.metrics)
        values, violations = self._values(batch, metrics)
        seen = {
            name: np.array([row[name].value if name in row else np.nan for row in metrics])
            for name in self.strategy.observes
            if any(name in row for row in metrics)
        }
        self.strategy.tell(batch, values, violations, seen)
        walls = [result.wall_s for result in results]
        self._store(batch, metrics, values, violations, walls, predicted, started)

    def _values(self, batch: ArchBatch, metrics: list[dict[str, Metric]]) -> tuple[Any, Any]:
        def column(name: str) -> Any:
            return np.array([row[name].value if name in row else np.nan for row in metrics])

        values = np.stack([column(objective.metric) for objective in self.plan.objectives], axis=1)
        known = ~np.isnan(values).any(axis=1)
        violations = np.full(len(batch), np.inf)
        names = [constraint.metric for constraint in self.plan.constraints]
        bounded = {name: column(name)[known] for name in names}
        violations[known] = total_violation(self.plan.constraints, bounded, int(known.sum()))
        return values, violations

    def predict(self, batch: ArchBatch) -> Any:
        """Accuracy of a batch as predicted from all earlier evaluations, for the held-out correlation.

        None where the strategy ranks by no predictions, or where there is nothing to judge them by.
        """
        objectives = [objective.metric for objective in self.plan.objectives]
        if not self.predicts or "accuracy" not in objectives or len(self.strategy.archs) < PREDICT_FROM:
            return None
        if self.plan.accuracy_table is not None:
            return None
        column = objectives.index("accuracy")
        cheap = [j for j, objective in enumerate(self.plan.objectives) if objective.cheap]
        model = ArchPredictor(seed=self.plan.settings.seed, threads=self.plan.settings.threads)
        known = self.strategy.values
        model.fit(self.strategy.archs, known[:, column], extra_features(known, cheap))
        return model.predict(batch, extra_features(self.cheap(batch)[0], cheap))

    def _store(
        self,
        batch: ArchBatch,
        metrics: list[dict[str, Metric]],
        values: Any,
        violations: Any,
        walls: list[float],
        predicted: Any,
        started: float,
    ) -> None:
        progress = self.progress
        failed = np.isnan(values).any(axis=1)
        states = np.where(failed, "failed", np.where(violations > 0, "infeasible", "complete"))
        records = [
            TrialRecord(
                arch_id=arch_id,
                arch=arch,
                generation=progress.generation,
                state=str(state),  # type: ignore[arg-type]
                metrics={name: metric for name, metric in row.items() if metric.value == metric.value},
                wall_s=wall,
                violation=0.0 if np.isinf(violation) else float(violation),
            )
            for arch_id, arch, state, row, wall, violation in zip(
                batch.ids, batch.to_dicts(), states, metrics, walls, violations
            )
        ]
        numbers = self.storage.add_trials(self.study_id, records)
        if progress.generation == 0:
            self.storage.set_reference_point(self.study_id, self._reference(values))
        if predicted is not None:
            column = [objective.metric for objective in self.plan.objectives].index("accuracy")
            truth = values[:, column]
            progress.pairs += [(float(p), float(t)) for p, t in zip(predicted, truth)]
            points = [
                SeriesPoint("predictor", int(n), {"predicted": float(p), "evaluated": float(t)})
                for n, p, t in zip(numbers, predicted, truth)
            ]
            self.storage.add_series(self.study_id, points)
        taken = self.strategy.course()
        steps = [SeriesPoint(self.strategy.series, n, taken[n]) for n in range(self._kept, len(taken))]
        if steps:
            self.storage.add_series(self.study_id, steps)
        self._kept = len(taken)
        progress.trials += len(batch)
        progress.wall_s += time.monotonic() - started
        self.storage.record_front(self.study_id, progress.generation, wall_s=progress.wall_s)
        progress.generation += 1
        self._checkpoint()

    def _reference(self, values: Any) -> dict[str, float]:
        """Fixed corner of the hypervolume: 0 for accuracy, for costs the largest of 20,000 uniform draws."""
        pool = self.plan.pool
        drawn = self.cheap(self.plan.space.sample(REFERENCE_DRAWS, seed=0) if pool is None else pool)[0]
        point = {}
        for j, objective in enumerate(self.plan.objectives):
            if not objective.cheap:
                point[objective.metric] = 0.0 if objective.direction == "max" else 1.0
            else:
                worst = np.nanmax if objective.direction == "min" else np.nanmin
                point[objective.metric] = float(worst(np.concatenate([drawn[:, j], values[:, j]])))
        return point

    @property
    def predicts(self) -> bool:
        """Whether the strategy ranks by predictions."""
        return isinstance(self.strategy, PredictorSearch)

    def correlation(self) -> float:
        """Kendall τ of predictions and evaluations on archs the predictor had not seen; NaN if too few."""
        if len(self.progress.pairs) < 3:
            return float("nan")
        pairs = np.array(self.progress.pairs)
        return rank_correlation(pairs[:, 0], pairs[:, 1])

    def check_found(self) -> None:
        """Explain an empty feasible set.

        Raises:
            NasError: nothing evaluated satisfies the constraints.
        """
        archs = self.strategy.archs
        feasible = self.strategy.violations == 0
        if not len(archs) or feasible.any():
            return
        known = np.flatnonzero(np.isfinite(self.strategy.violations))
        values: dict[str, Any] = dict(self.plan.metrics.values(archs[known]))
        for j, objective in enumerate(self.plan.objectives):
            values[objective.metric] = self.strategy.values[known, j]
        for constraint in self.plan.constraints:
            if constraint.metric not in values:
                raise NasError(
                    f"no feasible architecture among {len(archs)}: {constraint.text!r} is never satisfied."
                )
        told = explain_empty(self.plan.constraints, values, archs[known].ids)
        raise NasError(f"{told} {self.strategy.advice()}".strip())

    def _checkpoint(self) -> None:
        revision = self.storage.study(self.plan.name).revision
        state = {
            "revision": revision,
            "strategy": self.strategy.state(),
            "generation": self.progress.generation,
            "trials": self.progress.trials,
            "wall_s": self.progress.wall_s,
            "pairs": self.progress.pairs,
            "unfinished": self.progress.unfinished,
        }
        write_atomically(self._file, json.dumps(state))

    def _resume(self) -> None:
        if not self._file.exists():
            self._checkpoint()
            return
        state: Mapping[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
        self.storage.rollback_to(self.study_id, int(state["revision"]))
        self.strategy.restore(dict(state["strategy"]))
        self._kept = len(self.strategy.course())
        self.progress = Progress(
            int(state["generation"]),
            int(state["trials"]),
            float(state["wall_s"]),
            [(float(p), float(t)) for p, t in state["pairs"]],
            [list(codes) for codes in state["unfinished"]],
        )

    @property
    def _file(self) -> Path:
        return self.plan.folder / CHECKPOINT
