"""Generative search: a generator and an inquisitor that learn from each other which networks satisfy requirements.

Source: the problem is that of generative synthesis (Wong et al., FermiNets, arXiv 1809.05989), by which TurboViT was
found: `G* = argmax U(G(s))  s.t.  1_r(G(s)) = 1`, with a generator G, seeds s, a performance function U and the
indicator 1_r of the operational requirements, solved by iteration from a prototype. How G is parameterised, what the
inquisitor asks and how G is updated is not published: `nas.search.generator` and `nas.search.inquisitor` are ours.

A round: the generator is sampled; what violates a requirement that follows from the architecture is dropped before
anything is built; the inquisitor probes some of the rest and picks those worth an evaluation; the elite of all that was
evaluated, feasible ones first, then by U, and the inquisitor's evidence move the generator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nas.errors import NasError
from nas.metrics import Direction
from nas.search.generator import Generator, divergence
from nas.search.inquisitor import Inquisitor, Insight
from nas.search.prototype import prototype_of
from nas.search.strategies.base import Cheap, Costs, Floats, Outlook, Probe, Strategy
from nas.search.utility import WORDS, Utility
from nas.space.batch import ArchBatch, concatenate
from nas.space.space import Space

ACCURACY = "accuracy"
POOL = 1_000
FEWEST_ELITE = 4
LARGEST_POOL = 10_000
ROUNDS = 40
IN_VAIN = 1_000
SAMPLES, BOUND, STEP = 128, 4.0, 8


class Generative(Strategy):
    """Search by a learned generator; see the module.

    Args:
        prototype: preset to start from, shrunk until it is feasible; "": the middle of the space.
        utility, cost, target, weight: of the performance function, see `nas.search.utility`.
        peak: weight of the prototype in the generator's first distribution.
        floor: share of the generator's tables that stays uniform.
        elite: share of the evaluated candidates that the generator moves towards.
        rate: how far it moves after eight evaluations or more, in [0, 1]; after fewer, less in proportion.
        probes: candidates the inquisitor probes for each that is evaluated, where the run builds networks; 0: it is
            not asked.
        evidence: logits that its evidence adds, as often as `rate`, for an effect as large as the scatter of the
            utilities so far.
        explore: share of each batch, and of what is probed, that is not chosen by the inquisitor.
        trained: how many of the best are trained alone in the end, where the run has a supernet.
        trained_steps: for how many steps, from inherited weights.

    Raises:
        NasError: no such preset or performance function, or a share outside its range.
    """

    observes = (ACCURACY,)
    series = "generator"

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        *,
        seed: int = 0,
        cheap: Cheap | None = None,
        prototype: str = "",
        utility: str = "netscore",
        cost: str = "",
        target: float = 1.0,
        weight: float = -0.07,
        peak: float = 0.5,
        floor: float = 0.05,
        elite: float = 0.25,
        rate: float = 0.5,
        probes: int = 2,
        evidence: float = 0.5,
        explore: float = 0.2,
        trained: int = 0,
        trained_steps: int = 100,
    ) -> None:
        super().__init__(space, directions, seed=seed, cheap=cheap)
        shares = {"peak": peak, "floor": floor, "elite": elite, "rate": rate, "explore": explore}
        for name, value in shares.items():
            if not 0 < value < 1:
                raise NasError(f"search.options.{name} is {value}; a number between 0 and 1 is needed.")
        if probes < 0 or not 0 <= evidence < np.inf or trained < 0 or trained_steps < 1:
            raise NasError(
                "search.options: probes, evidence and trained are numbers from 0 on, trained_steps from 1 on."
            )
        self.utility = Utility(utility, cost, target, weight)
        self.elite, self.rate, self.explore = elite, rate, explore
        self.probes, self.evidence = probes, evidence
        self.trained, self.trained_steps = trained, trained_steps
        self.inquisitor = Inquisitor(space)
        self._probe: Probe | None = None
        self.prototype = prototype_of(space, prototype, self.violation)
        self.generator = Generator(space, self.prototype.codes[0], peak=peak, floor=floor)
        self.costs: Costs = _counted
        self.utilities: Floats = np.zeros(0)
        self._start = self._marginals()
        self._drawn, self._feasible = 0, 0
        self._course: list[dict[str, Any]] = []

    def bind(self, pool: ArchBatch) -> None:
        super().bind(pool)
        assert self.pool is not None
        self.prototype = self.pool.nearest(self.prototype)

    def check(self, outlook: Outlook) -> None:
        weighed = self.utility.among(outlook.costs, outlook.steps)
        self.utility = replace(weighed, classes=outlook.classes)
        if self.utility.name != "objective" and ACCURACY not in outlook.evaluated:
            raise NasError(self._needs_accuracy)

    def aim(self) -> str:
        return (
            f"generative: looks for the best {WORDS[self.utility.name]} (search.options.utility); other metrics count "
            "by --constraint, and as objectives for the front alone"
        )

    def equip(self, costs: Costs, probe: Probe | None) -> None:
        self.costs, self._probe = costs, probe if self.probes else None

    def propose(self, n: int) -> ArchBatch:
        candidates = self._candidates()
        if not len(self.archs):
            candidates = concatenate([self.prototype, candidates]).unique().without(self._asked)
        return candidates if self._probe is None else self._picked(candidates, n)

    def tell(
        self,
        batch: ArchBatch,
        values: Any,
        violations: Any = None,
        observations: Mapping[str, Floats] | None = None,
    ) -> None:
        before = len(self.archs)
        super().tell(batch, values, violations)
        performance = self._performance(self.values[before:], observations or {})
        worth = self.utility(performance, self.costs(batch))
        failed = np.isnan(worth) | ~np.isfinite(self.violations[before:])
        self.utilities = np.concatenate([self.utilities, np.where(failed, -np.inf, worth)])
        if self._probe is not None:
            self.inquisitor.learn(batch, performance)
        self._learn(min(len(batch) / STEP, 1.0))

    def _performance(self, values: Floats, observations: Mapping[str, Floats]) -> Floats:
        """What the utility weighs against costs, `(n,)`."""
        if self.utility.name == "objective":
            return values[:, 0] if self.directions[0] == "max" else -values[:, 0]
        if ACCURACY not in observations:
            raise NasError(self._needs_accuracy)
        return np.asarray(observations[ACCURACY], dtype=np.float64)

    @property
    def _needs_accuracy(self) -> str:
        return (
            f"the utility {self.utility.name!r} needs accuracies, which this run has not. Make accuracy an objective, "
            "or choose search.options.utility=objective: the first objective alone."
        )

    def generate(self, n: int, rng: np.random.Generator, violation: Any = None) -> ArchBatch:
        """At most `n` different feasible archs that this search has not asked for, from the learned generator.

        Fewer where 1,000 feasible samples bring nothing new, or after 400,000 samples (4 n where that is more).

        Args:
            violation: of an arch batch, `(n,)`; None: that of the search's own cheap constraints.
        """
        missed = violation or self.violation
        found = self.prototype[np.arange(0)]
        pool, in_vain = min(max(2 * n, POOL), LARGEST_POOL), 0
        for _ in range(max(ROUNDS, 4 * n // pool)):
            drawn = self.generator.sample(pool, rng)
            feasible, before = np.flatnonzero(missed(drawn) == 0), len(found)
            found = concatenate([found, drawn[feasible].without(self._asked)]).unique()
            in_vain = in_vain + len(feasible) if len(found) == before else 0
            if len(found) >= n or in_vain >= IN_VAIN:
                break
        return found[np.arange(min(n, len(found)))]

    def finalists(self) -> tuple[ArchBatch, int]:
        order = self.ranking()
        feasible = order[self.violations[order] == 0]
        return self.archs[feasible[: self.trained]], self.trained_steps

    def course(self) -> list[dict[str, Any]]:
        """What was learned after each batch: best utility, share of feasible samples, every decision's distribution."""
        return self._course

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "generator": self.generator.state(),
            "inquisitor": self.inquisitor.state(),
            "drawn": [self._drawn, self._feasible],
        }

    def log(self, since: Mapping[str, int]) -> dict[str, list[Any]]:
        return {
            **super().log(since),
            "utilities": self.utilities[since.get("utilities", 0) :].tolist(),
            "course": self._course[since.get("course", 0) :],
        }

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.generator.restore(state["generator"])
        self.inquisitor.restore(state["inquisitor"])
        self.utilities = np.array(state["utilities"], dtype=np.float64)
        self._drawn, self._feasible = (int(count) for count in state["drawn"])
        self._course = [dict(step) for step in state["course"]]

    def _candidates(self) -> ArchBatch:
        """Feasible samples of the generator that were never asked for."""
        drawn = self.within(self.generator.sample(POOL, self.rng))
        feasible = np.flatnonzero(self.violation(drawn) == 0)
        self._drawn, self._feasible = self._drawn + POOL, self._feasible + len(feasible)
        return drawn[feasible].unique().without(self._asked)

    def _picked(self, candidates: ArchBatch, n: int) -> ArchBatch:
        """Candidates the inquisitor thinks best after it has probed some; a few are left to chance."""
        assert self._probe is not None
        expected = self.inquisitor.expected(candidates)
        few = self._ordered(candidates, expected, self.probes * n)
        few = few[np.arange(min(self.probes * n, len(few)))]
        unknown = few.without(self.inquisitor.archs.hashes)
        self.inquisitor.hear(unknown, [self._probe(arch) for arch in unknown])
        return self._ordered(few, self.inquisitor.judged(few), n)

    def _ordered(self, candidates: ArchBatch, performance: Floats | None, n: int) -> ArchBatch:
        """Those of the highest utility first, then as drawn; of the first `n` a share is drawn whatever its utility."""
        if performance is None:
            return candidates
        best = np.argsort(-self.utility(performance, self.costs(candidates)), kind="stable")
        best = best[: n - round(self.explore * n)]
        rest = np.setdiff1d(np.arange(len(candidates)), best)
        return candidates[np.concatenate([best, rest])]

    def _learn(self, share: float) -> None:
        """Move the generator a share of a step towards the elite and by the evidence, and note where it is."""
        ranking = self.ranking()
        order = ranking[np.isfinite(self.utilities[ranking])]
        insight = self._insight() if self._probe is not None else None
        if len(order):
            kept = order[: max(round(self.elite * len(ranking)), min(FEWEST_ELITE, len(order)))]
            logits = None if insight is None else self._logits(insight, order, share)
            self.generator.update(self.archs[kept], rank_weights(len(kept)), share * self.rate, logits)
        self._course.append(self._noted(order, insight))
        self._drawn = self._feasible = 0

    def _insight(self) -> Insight | None:
        def worth(performance: Floats, archs: ArchBatch) -> Floats:
            utility = self.utility(performance, self.costs(archs))
            return np.asarray(np.where(self.violation(archs) > 0, np.nan, utility))

        return self.inquisitor.insight(self.generator.sample(SAMPLES, self.rng), worth)

    def _logits(self, insight: Insight, order: Any, share: float) -> list[Floats] | None:
        """A share of the evidence in units of the scatter of utilities, bounded."""
        scatter = float(self.utilities[order].std())
        if not scatter > 0:
            return None
        return [
            share * self.evidence * np.clip(effect / scatter, -BOUND, BOUND) for effect in insight.effects
        ]

    def ranking(self) -> Any:
        """Rows of what was evaluated, best first: feasible ones by utility, then by violation, failed ones last."""
        return np.lexsort((-self.utilities, self.violations))

    def _noted(self, order: Any, insight: Insight | None) -> dict[str, Any]:
        shares = self._marginals()
        best = order[:1]
        found = {} if insight is None else {"skill": insight.skill, "responses": insight.responses}
        return {
            **found,
            "probed": len(self.inquisitor.archs),
            "evaluated": len(self.archs),
            "utility": self.utility.name,
            "best": float(self.utilities[best[0]]) if len(best) and not self.violations[best[0]] else None,
            "arch_id": self.archs[best].ids[0] if len(best) else None,
            "feasible": self._feasible / self._drawn if self._drawn else None,
            "decisions": {
                decision.name: {
                    "values": list(decision.values),
                    "start": start.tolist(),
                    "now": now.tolist(),
                    "moved": divergence(now, start),
                    "effects": None if insight is None else insight.effects[index].tolist(),
                }
                for index, (decision, start, now) in enumerate(zip(self.space.decisions, self._start, shares))
            },
        }

    def _marginals(self) -> list[Floats]:
        """Shares of every decision's values among samples drawn with a generator of their own."""
        return self.generator.marginals(self.generator.sample(POOL, np.random.default_rng(0)))


def rank_weights(n: int) -> Floats:
    """Weights of `n` samples, best first: `log(n + 1/2) − log(rank)`, with sum 1 (CMA-ES; Hansen 2016)."""
    weights = np.log(n + 0.5) - np.log(np.arange(1, n + 1))
    shares: Floats = weights / weights.sum()
    return shares


def _counted(batch: ArchBatch) -> dict[str, Floats]:
    from nas.costs.counts import cost

    if batch.space.blueprint is None:
        return {}
    return {name: values.astype(np.float64) for name, values in cost(batch.space, batch).items()}
