"""The inquisitor: learns from the responses of built networks to stimuli what matters, and says so per decision.

Generative synthesis pairs the generator with an inquisitor that probes generated networks and proposes an update; how
is not published, this one is ours. Its parameters are two ridge regressions of the performance (accuracy, say),
refitted after every batch. One, on decisions and responses, judges candidates that were probed and not evaluated. The
other, on decisions alone, learns from both, and from blocks left out: a network without the last block of a stage is
its neighbour one less deep. The evidence on a decision is the second one's answer to an intervention: samples of the
generator with that decision set to each of its values, every cost being that of the changed network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.latency.ridge import Ridge, fit_ridge
from nas.space.batch import ArchBatch, concatenate
from nas.space.space import Space

Floats = NDArray[np.float64]
Worth = Callable[[Floats, ArchBatch], Floats]
LOSS, LAST = "loss", "last"
FEWEST = 6  # evaluated candidates before anything is concluded
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


@dataclass(frozen=True)
class Insight:
    """What the inquisitor concludes.

    Attributes:
        effects: `(values,)` per decision: mean change of utility where a decision is set to each value, relative to
            the mean over its values; 0 where no sample allows a value.
        skill: 1 − error / error of the mean, of the performance on candidates left out; at most 1.
        responses: mean response by name, over all that was probed.
    """

    effects: list[Floats]
    skill: float
    responses: dict[str, float]

    @property
    def spreads(self) -> list[float]:
        """How much each decision changes the utility: the standard deviation of its effects."""
        return [float(effect.std()) for effect in self.effects]


@dataclass(frozen=True)
class _Models:
    judge: Ridge
    expect: Ridge
    skill: float


class Inquisitor:
    """Everything it was told, and what follows."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.names: tuple[str, ...] = ()
        self.archs = ArchBatch(space, np.zeros((0, len(space.decisions)), dtype=np.int16))
        self.responses: Floats = np.zeros((0, 0))
        self.performance: Floats = np.zeros(0)
        self._models: _Models | None = None

    def hear(self, batch: ArchBatch, responses: Sequence[Mapping[str, float]]) -> None:
        """Responses of networks that were probed, in the batch's order."""
        self.names = tuple(dict.fromkeys([*self.names, *sorted({key for row in responses for key in row})]))
        known = np.full((len(self.archs), len(self.names)), np.nan)
        known[:, : self.responses.shape[1]] = self.responses
        fresh = np.array([[row.get(name, np.nan) for name in self.names] for row in responses])
        self.responses = np.concatenate([known, fresh.reshape(len(batch), len(self.names))])
        self.archs = concatenate([self.archs, batch])
        self.performance = np.concatenate([self.performance, np.full(len(batch), np.nan)])
        self._models = None

    def learn(self, batch: ArchBatch, performance: Floats) -> None:
        """Performances `(n,)` of evaluated networks; those that were not probed tell nothing."""
        rows = {key: row for row, key in enumerate(self.archs.hashes.tolist())}
        for key, value in zip(batch.hashes.tolist(), performance.tolist()):
            if key in rows:
                self.performance[rows[key]] = value
        self._models = None

    def judged(self, batch: ArchBatch) -> Floats | None:
        """Performance `(n,)` of networks that were probed, by decisions and responses; None before it knows enough."""
        models = self._fitted()
        if models is None:
            return None
        rows = {key: row for row, key in enumerate(self.archs.hashes.tolist())}
        chosen = [rows[key] for key in batch.hashes.tolist()]
        return models.judge.predict(self._inputs(batch, self.responses[chosen]))

    def expected(self, batch: ArchBatch) -> Floats | None:
        """Performance `(n,)` of any networks, by decisions alone; None before it knows enough."""
        models = self._fitted()
        return None if models is None else models.expect.predict(_encoded(batch))

    def insight(self, samples: ArchBatch, worth: Worth) -> Insight | None:
        """Conclusions on every decision; None before it knows enough.

        Args:
            samples: architectures to intervene on.
            worth: utility `(n,)` of performances and architectures; NaN where a requirement is violated.
        """
        models, base = self._fitted(), self.expected(samples)
        if models is None or base is None:
            return None
        changed, origin, decision, value = _interventions(samples)
        known = worth(base, samples)
        gain = worth(np.asarray(self.expected(changed)), changed) - known[origin]
        effects = [
            _means(gain, value, decision == index, len(d)) for index, d in enumerate(self.space.decisions)
        ]
        seen = np.isfinite(self.responses)
        sums = np.where(seen, self.responses, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        return Insight(effects, models.skill, dict(zip(self.names, sums.tolist())))

    def state(self) -> dict[str, Any]:
        """Everything it knows, as plain data; what it concludes is computed again."""
        return {
            "names": list(self.names),
            "codes": self.archs.codes.tolist(),
            "responses": [[_or_none(value) for value in row] for row in self.responses.tolist()],
            "performance": [_or_none(value) for value in self.performance.tolist()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back to a state."""
        self.names = tuple(state["names"])
        codes = np.array(state["codes"], dtype=np.int16).reshape(-1, len(self.space.decisions))
        self.archs = ArchBatch(self.space, codes)
        self.responses = np.array(state["responses"], dtype=np.float64).reshape(len(codes), len(self.names))
        self.performance = np.array(state["performance"], dtype=np.float64)
        self._models = None

    def _fitted(self) -> _Models | None:
        """Both regressions, fitted to all that is known."""
        told = np.flatnonzero(np.isfinite(self.performance))
        if self._models is None and len(told) >= FEWEST:
            values = self.performance[told]
            inputs = self._inputs(self.archs, self.responses)
            judge = _ridge(inputs[told], values)
            judged = np.where(np.isfinite(self.performance), self.performance, judge.predict(inputs))
            shallower, performance = self._shallower(judged, told)
            features = _encoded(concatenate([self.archs, shallower]))
            self._models = _Models(
                judge, _ridge(features, np.concatenate([judged, performance])), _skill(judge, values)
            )
        return self._models

    def _inputs(self, batch: ArchBatch, responses: Floats) -> Floats:
        """Decisions, and responses with the mean where one is missing."""
        known = np.isfinite(self.responses)
        means = np.where(known, self.responses, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return np.concatenate([_encoded(batch), np.where(np.isfinite(responses), responses, means)], axis=1)

    def _shallower(self, judged: Floats, told: NDArray[np.intp]) -> tuple[ArchBatch, Floats]:
        """Neighbours one block less deep, and their performance by what leaving the block out did to the loss."""
        none = self.archs[np.arange(0)]
        if LOSS not in self.names:
            return none, np.zeros(0)
        loss = self.responses[told, self.names.index(LOSS)]
        if not loss.std() > 0:
            return none, np.zeros(0)
        slope = min(float(np.polyfit(loss, self.performance[told], 1)[0]), 0.0)
        found, performance = [none], [np.zeros(0)]
        for column, name in enumerate(self.names):
            stage, _, kind = name.rpartition(".")
            if kind != LAST or f"{stage}.depth" not in self.space.index:
                continue
            batch, there = one_less_deep(self.archs, stage)
            rows = np.flatnonzero(np.isfinite(self.responses[:, column]) & there)
            found.append(batch[rows])
            performance.append(judged[rows] + slope * self.responses[rows, column])
        return concatenate(found), np.concatenate(performance)


def one_less_deep(archs: ArchBatch, stage: str) -> tuple[ArchBatch, NDArray[np.bool_]]:
    """The archs without the last block of a stage whose depth is a decision, and whether the space has each, `(n,)`.

    Where the stage ends in a counted number of another kind of blocks, it is one of these that is missing.
    """
    space, codes = archs.space, archs.codes.copy()
    there = np.ones(len(archs), dtype=bool)
    for name in (f"{stage}.depth", f"{stage}.count"):
        if name not in space.index:
            continue
        column, values = codes[:, space.index[name]], space.decisions[space.index[name]].array
        lower = np.maximum(column - 1, 0)
        some = values[column] > 0
        there &= ~some | (values[column] - values[lower] == 1)
        codes[:, space.index[name]] = np.where(some, lower, column)
    batch = space.decode(codes)
    return batch, there & space.valid(batch)


def _interventions(samples: ArchBatch) -> tuple[ArchBatch, Any, Any, Any]:
    """Every sample with every decision set to each value, where that is valid; rows, decisions and values of them.

    Decisions that have no effect any more (the expansion of a block that is gone) may change with it.
    """
    space = samples.space
    active = space.active(samples.codes)
    codes, origins, decisions, values = [], [], [], []
    for index, decision in enumerate(space.decisions):
        rows = np.flatnonzero(active[:, index])
        for code in range(len(decision)):
            changed = samples.codes[rows].copy()
            changed[:, index] = code
            codes.append(changed)
            origins.append(rows)
            decisions.append(np.full(len(rows), index))
            values.append(np.full(len(rows), code))
    origin, decision_of, value = (np.concatenate(parts) for parts in (origins, decisions, values))
    wanted = np.concatenate(codes)
    batch = space.decode(wanted)
    same = (batch.codes == wanted) | ~space.active(batch.codes)
    kept = np.flatnonzero(space.valid(batch) & same.all(axis=1))
    return batch[kept], origin[kept], decision_of[kept], value[kept]


def _means(gain: Floats, value: Any, mine: Any, size: int) -> Floats:
    """Mean gain of each value of a decision, relative to the mean over its values."""
    use = np.flatnonzero(mine & np.isfinite(gain))
    counts = np.bincount(value[use], minlength=size)
    sums = np.bincount(value[use], weights=gain[use], minlength=size)
    means = sums / np.maximum(counts, 1)
    return np.asarray(
        np.where(counts > 0, means - means[counts > 0].mean() if (counts > 0).any() else 0.0, 0.0)
    )


def _encoded(batch: ArchBatch) -> Floats:
    """The space's features, and a bend for each ordinal decision: the square of its place among its values, -1 … 1."""
    sizes = np.array([len(d) for d in batch.space.decisions])
    ordinal = np.array([d.kind == "ordinal" and len(d) > 2 for d in batch.space.decisions])
    place = 2 * batch.codes[:, ordinal] / (sizes[ordinal] - 1) - 1
    bends = np.where(batch.space.active(batch.codes)[:, ordinal], place**2, 0.0)
    return np.concatenate([batch.space.features(batch)[0].astype(np.float64), bends], axis=1)


def _skill(model: Ridge, values: Floats) -> float:
    """1 − mean error on samples left out / that of the mean of the others."""
    scatter = float(np.abs(values - values.mean()).mean()) * len(values) / (len(values) - 1)
    return 1 - model.error / scatter if scatter > 0 else 0.0


def _ridge(inputs: Floats, values: Floats) -> Ridge:
    return fit_ridge(inputs, values, np.ones(inputs.shape[1]), STRENGTHS)


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
