"""The search of a run: ask, evaluate, store, tell; a checkpoint after every batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nas.accuracy.predictor import rank_correlation
from nas.errors import NasError
from nas.kept import is_there
from nas.metrics import Metric
from nas.pipeline.looking import Looking
from nas.pipeline.openers import Opening, opening_of
from nas.pipeline.plan import RunPlan, outlook_of
from nas.pipeline.pool import Evaluated, Pool
from nas.pipeline.progress import Interrupt, Reporter
from nas.pipeline.replay import evaluated, replay
from nas.pipeline.search_log import LOG, SearchLog
from nas.pipeline.search_state import (
    CHECKPOINT,
    PAIRS,
    UNREADABLE,
    no_way_on,
    read_state,
    with_log,
    write_state,
)
from nas.pipeline.stopping import End
from nas.pipeline.stream import Stream
from nas.pipeline.supernet_card import CARD
from nas.pipeline.training import Interrupted
from nas.search.objective import explain_empty, total_violation
from nas.search.strategies import Strategy, strategy
from nas.search.strategies.base import Probe
from nas.space.batch import ArchBatch
from nas.store import SeriesPoint, Storage, TrialRecord, TrialRow

REFERENCE_DRAWS = 20_000
LOOKS = "looks"


@dataclass
class Progress:
    """Where a search is.

    Attributes:
        generation: batches told so far.
        trials: evaluations so far.
        wall_s: seconds spent evaluating and proposing, over all sessions.
        pairs: predicted and evaluated accuracy of archs the predictor had not seen.
        unfinished: codes of archs that were asked for and not evaluated when the state was written.
        cut: whether the last batch was not evaluated whole, because the trials ended there.
        opened: openers that were asked for.
        looks: candidates that were looked at.
    """

    generation: int = 0
    trials: int = 0
    wall_s: float = 0.0
    pairs: list[tuple[float, float]] = field(default_factory=list)
    unfinished: list[list[int]] = field(default_factory=list)
    cut: bool = False
    opened: int = 0
    looks: int = 0


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
        self.cheap = plan.cheap
        facts = storage.study(plan.name).facts
        self.budget = int(facts.get("budget", plan.settings.search.n_trials))
        self.size = plan.settings.search.batch_of(self.budget)
        self._openers = opening_of(plan, facts.get("openers", []))
        self._looking: Looking | None = None
        self._log = SearchLog(plan.folder / LOG)
        self.progress = Progress()
        self._begin(self._fresh())
        self._kept = 0
        self._open: tuple[ArchBatch, dict[str, Evaluated]] | None = None
        self._prepared: Callable[[Strategy], None] = lambda made: None

    def _begin(self, made: Strategy, opened: int = 0) -> None:
        """Search by a strategy, so many openers having been asked for."""
        self.strategy, self._opening = made, Opening(made, self._openers, self.budget, opened)

    def ask(self, n: int) -> ArchBatch:
        """The next candidates, at most `n`: openers, then what the strategy asks for."""
        batch = self._opening.ask(n)
        self.progress.opened = self._opening.at
        return batch

    def _fresh(self) -> Strategy:
        """The strategy at its beginning; its budget stays what the study began with."""
        settings, plan = self.plan.settings, self.plan
        made = strategy(
            settings.search.strategy,
            plan.space,
            [objective.direction for objective in plan.objectives],
            seed=settings.seed,
            cheap=self.cheap,
            budget=self.budget,
            **settings.search.options,
        )
        if plan.pool is None:
            made.draw_from(plan.region.draws)
        else:
            made.bind(plan.region.inside(plan.pool))
        return made

    def prepare(
        self,
        importance: Mapping[str, Sequence[float]],
        probe: Probe | None,
        looking: Looking | None = None,
        classes: int | None = None,
    ) -> None:
        """Tell the strategy what the run can say: as its `check`, `hear`, `equip` and `look_with`.

        Args:
            classes: of the data; None: not known.
        """
        self._looking = looking

        def prepare(made: Strategy) -> None:
            made.check(replace(outlook_of(self.plan), classes=classes))
            made.hear(importance)
            made.equip(self.plan.metrics.values, probe)
            if looking is not None and self.plan.settings.evaluate.looks:
                made.look_with(looking, self.plan.settings.evaluate.looks)

        self._prepared = prepare
        prepare(self.strategy)

    def run(self, reporter: Reporter, interrupt: Interrupt) -> Progress:
        """Search to the last trial, or to an earlier end.

        Raises:
            Interrupted: stopped between two batches.
        """
        self._resume(reporter)
        total = self.plan.settings.search.n_trials
        if self.strategy.aim():
            reporter.say(self.strategy.aim())
        with reporter.task("searching", total, self.progress.trials) as task:
            self._finish_open(task)
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
                batch = self.ask(self.size)
                if not len(batch):
                    self.say_exhausted(reporter)
                    break
                left = total - self.progress.trials
                self.progress.cut = len(batch) > left
                self._evaluate(batch[np.arange(min(left, len(batch)))], task, started)
        return self.progress

    def _finish_open(self, task: Any) -> None:
        """Evaluate the rest of a batch of which the storage has the beginning."""
        if self._open is not None:
            (batch, known), self._open = self._open, None
            left = self.plan.settings.search.n_trials - self.progress.trials
            self.progress.cut = len(batch) > left
            batch = batch[np.arange(min(max(left, len(known)), len(batch)))]
            self._evaluate(batch, task, time.monotonic(), known)

    def _finish_unfinished(self, task: Any) -> None:
        """Evaluate what an asynchronous run was asked for and did not get to."""
        if self.progress.unfinished:
            codes = np.array(self.progress.unfinished, dtype=np.int16)
            self.progress.unfinished = []
            self._evaluate(ArchBatch(self.plan.space, codes), task, time.monotonic())

    def _evaluate(
        self, batch: ArchBatch, task: Any, started: float, found: dict[str, Evaluated] | None = None
    ) -> None:
        """Evaluate a batch, but those that were `found` before, and learn from all of it."""
        predicted = self.predict(batch)
        found = dict(found or {})
        new = [arch for arch in batch if arch.id not in found]
        for arch in new:
            self.pool.submit(arch)
        for _ in new:
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
        metrics, values, violations = self._tell(self.strategy, batch, results)
        walls = [result.wall_s for result in results]
        self._store(batch, metrics, values, violations, walls, predicted, started)

    def _tell(
        self, told: Strategy, batch: ArchBatch, results: list[Evaluated]
    ) -> tuple[list[dict[str, Metric]], Any, Any]:
        """Metrics, objective values and violations of a batch, which the strategy is told."""
        metrics = self.plan.metrics.metrics(batch)
        for row, result in zip(metrics, results):
            row.update(result.metrics)
        values, violations = self._values(batch, metrics)
        seen = {
            name: np.array([row[name].value if name in row else np.nan for row in metrics])
            for name in told.observes
            if any(name in row for row in metrics)
        }
        told.tell(batch, values, violations, seen)
        return metrics, values, violations

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
        """Accuracy of a batch as the strategy expects it before it is evaluated, for the held-out correlation.

        None where the strategy ranks by no predictions, or has none yet, or where a table knows the accuracies.
        """
        objectives = [objective.metric for objective in self.plan.objectives]
        if "accuracy" not in objectives or self.plan.accuracy_table is not None or not len(batch):
            return None
        if self.progress.opened and batch.ids[0] in set(self._openers.ids):
            return None
        values = self.strategy.expects(batch)
        return None if values is None else values[:, objectives.index("accuracy")]

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
        if self.storage.study(self.plan.name).reference_point is None:
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
        self._store_looks()
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

    def _store_looks(self) -> None:
        """Store what candidates were looked at since the last batch."""
        looks = [] if self._looking is None else self._looking.taken()
        if looks:
            first = self.progress.looks
            points = [SeriesPoint(LOOKS, first + index, data) for index, data in enumerate(looks)]
            self.storage.add_series(self.study_id, points)
            self.progress.looks += len(looks)

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

    def pairs(self) -> Any:
        """Expected and evaluated accuracies, `(n, 2)`, of what was evaluated."""
        pairs = np.array(self.progress.pairs).reshape(-1, 2)
        return pairs[~np.isnan(pairs).any(axis=1)]

    def correlation(self) -> float:
        """Kendall τ of predictions and evaluations on archs the predictor had not seen; NaN if too few."""
        pairs = self.pairs()
        if len(pairs) < 3:
            return float("nan")
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
        if not len(known):
            raise NasError(f"none of {len(archs)} architectures could be evaluated.")
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
        known = self._log.lengths
        state = {"strategy": self.strategy.state(), **asdict(self.progress)}
        pairs = state.pop(PAIRS)[known.get(PAIRS, 0) :]
        grown = {**self.strategy.log(known), PAIRS: pairs}
        write_state(self._file, self.storage.study(self.plan.name), state, self._log, grown)

    def _resume(self, reporter: Reporter) -> None:
        """Go on from the state that was written down, or made again from the trials where none fits them."""
        study, trials = self.storage.study(self.plan.name), self.storage.trials(self.study_id)
        if not is_there(self._file) and not trials:
            self._checkpoint()
            return
        total = self.plan.settings.search.n_trials
        try:
            record = read_state(self._file, study, self.plan.space, trials)
            self._restore(record.data)
        except NasError as error:
            why = str(error).strip()
        else:
            if record.warning:
                reporter.warn(record.warning)
            if self.progress.cut and self.progress.trials < total:
                self._reopen(record.data)
            return
        if self._looking is not None and self.plan.settings.evaluate.looks:
            reporter.say(
                "the search's state is made again from its trials; what was looked at is looked at again"
            )
        if not self._replay(trials):
            trained = is_there(self.plan.folder / CARD)
            raise no_way_on(self._file, study, why.rstrip("."), trained)
        reporter.warn(f"{why} The state was made again from the {len(trials)} trials that are stored.")

    def _reopen(self, state: dict[str, Any]) -> None:
        """Go on inside the batch that the trials ended in, as if they had not; behind it where that cannot be."""
        if not self._replay(self.storage.trials(self.study_id)):
            self._restore(state)

    def _restore(self, state: dict[str, Any]) -> None:
        """Back to a state, and the storage with it.

        Raises:
            NasError: it cannot be what this strategy wrote.
        """
        mark, state = state.get("log"), with_log(self._file, state)
        self._begin(self._fresh(), int(state.get("opened", 0)))
        self._prepared(self.strategy)
        try:
            self.strategy.restore(dict(state["strategy"]))
            self._kept = len(self.strategy.course())
        except UNREADABLE as error:
            raise NasError(f"{self._file}: not the state of this strategy ({error}).") from None
        self.progress = Progress(
            int(state["generation"]),
            int(state["trials"]),
            float(state["wall_s"]),
            [(float(p), float(t)) for p, t in state["pairs"]],
            [list(codes) for codes in state["unfinished"]],
            bool(state.get("cut", False)),
            int(state.get("opened", 0)),
            int(state.get("looks", 0)),
        )
        if mark is not None:
            self._log.go_on(mark)
        if int(state["revision"]) < self.storage.study(self.plan.name).revision:
            self.storage.rollback_to(self.study_id, int(state["revision"]))

    def _replay(self, trials: list[TrialRow]) -> bool:
        """Make the state again from stored trials; False where the strategy asks for others now."""
        fresh = self._fresh()
        opening = Opening(fresh, self._openers, self.budget)
        self._prepared(fresh)
        done = replay(opening, trials, self.size, self._tell)
        looks = [] if self._looking is None else self._looking.taken()
        if done is None:
            return False
        history = self.storage.hypervolume_history(self.study_id)
        points = self.storage.series(self.study_id, "predictor")
        self.strategy, self._opening, self._kept = fresh, opening, len(fresh.course())
        self._log = SearchLog(self._file.with_name(LOG))
        self.progress = Progress(
            done.batches,
            done.trials,
            history[-1].wall_s or 0.0 if history else 0.0,
            [(data["predicted"], data["evaluated"]) for n, data in points if n < done.trials],
            opened=opening.at,
            looks=len(looks),
        )
        if done.open is not None:
            self._open = (done.open, {trial.arch_id: evaluated(trial) for trial in trials[done.trials :]})
        else:
            self._checkpoint()
        return True

    @property
    def _file(self) -> Path:
        return self.plan.folder / CHECKPOINT
