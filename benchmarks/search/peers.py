"""Other libraries as competitors: pymoo, Optuna and nevergrad itself, each as its documentation uses it.

What they ask for is moved to the nearest valid architecture, and what they ask for again is answered from memory, as
evaluations count that are distinct.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.task import Floats, Task
from nas.search.strategies.nevergrad_encoding import Encoding
from nas.space import ArchBatch

Codes = NDArray[np.int64]
PROPOSALS = 3
"""For each evaluation of the budget: a library that proposes known architectures again and again ends there."""


class Peer(ABC):
    """A library that minimizes, over positions of values.

    Args:
        budget: evaluations that it will have.
    """

    def __init__(self, task: Task, budget: int, batch: int, seed: int) -> None:
        self.task, self.space, self.budget, self.batch, self.seed = task, task.space, budget, batch, seed
        self._signs = np.array([1.0 if direction == "min" else -1.0 for direction in task.directions])
        self._losses: dict[int, Floats] = {}
        self._open: list[int] = []
        self._left = PROPOSALS * budget

    @abstractmethod
    def propose(self, n: int) -> Codes:
        """Positions that it wants to know of, about `n`, `(k, decisions)`; none proposed before is open."""

    @abstractmethod
    def learn(self, losses: Floats) -> None:
        """The losses of all that it proposed last, `(k, m)`."""

    def ask(self, n: int) -> ArchBatch:
        """As `Searcher`."""
        while self._left > 0:
            if not self._open:
                self._propose(n)
            new = [i for i in dict.fromkeys(self._open) if i not in self._losses][:n]
            if new:
                return self._batch[np.array([self._open.index(i) for i in new])]
            self._answer()
        return self._batch[np.arange(0)]

    def tell(self, batch: ArchBatch, values: Floats) -> None:
        """As `Searcher`."""
        self._losses.update(zip(batch.hashes.tolist(), values * self._signs, strict=True))
        if all(i in self._losses for i in self._open):
            self._answer()

    def _propose(self, n: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._batch = self.space.repair(ArchBatch(self.space, self.propose(n)))
        self._open = self._batch.hashes.tolist()
        self._left -= len(self._open)

    def _answer(self) -> None:
        """Tell the library of all that it proposed."""
        losses = np.array([self._losses[i] for i in self._open])
        self._open = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.learn(losses)


class Pymoo(Peer):
    """pymoo's NSGA-II: on integers where all decisions are ordinal, else its algorithm for mixed variables."""

    def __init__(self, task: Task, budget: int, batch: int, seed: int) -> None:
        super().__init__(task, budget, batch, seed)
        from pymoo.config import Config
        from pymoo.core.problem import Problem
        from pymoo.core.termination import NoTermination

        Config.warnings["not_compiled"] = False
        sizes = [len(decision) for decision in self.space.decisions]
        ordinal = all(decision.kind == "ordinal" for decision in self.space.decisions)
        objectives = len(task.directions)
        if ordinal:
            upper = np.array(sizes) - 1
            self._problem = Problem(n_var=len(sizes), n_obj=objectives, xl=0 * upper, xu=upper, vtype=int)
        else:
            self._problem = Problem(vars=self._variables(), n_obj=objectives)
        self._algorithm = self._integer() if ordinal else self._mixed()
        self._algorithm.setup(self._problem, termination=NoTermination(), seed=seed, verbose=False)

    @property
    def _population(self) -> int:
        """A tenth of the budget, within 10 and pymoo's own 100, which would be random search for up to 100."""
        return min(max(self.budget // 10, 10), 100)

    def _variables(self) -> dict[str, Any]:
        from pymoo.core.variable import Choice, Integer

        kinds = [(str(i), decision) for i, decision in enumerate(self.space.decisions)]
        return {
            name: Integer(bounds=(0, len(decision) - 1))
            if decision.kind == "ordinal"
            else Choice(options=list(range(len(decision))))
            for name, decision in kinds
        }

    def _integer(self) -> Any:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.repair.rounding import RoundingRepair
        from pymoo.operators.sampling.rnd import IntegerRandomSampling

        return NSGA2(
            pop_size=self._population,
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            eliminate_duplicates=True,
        )

    def _mixed(self) -> Any:
        from pymoo.algorithms.moo.nsga2 import RankAndCrowdingSurvival
        from pymoo.core.mixed import MixedVariableGA

        return MixedVariableGA(pop_size=self._population, survival=RankAndCrowdingSurvival())

    def propose(self, n: int) -> Codes:
        self._asked = self._algorithm.ask()
        rows = [individual.X for individual in self._asked]
        if rows and isinstance(rows[0], dict):
            rows = [[row[str(i)] for i in range(len(self.space.decisions))] for row in rows]
        return np.array(rows, dtype=np.int64).reshape(-1, len(self.space.decisions))

    def learn(self, losses: Floats) -> None:
        from pymoo.core.evaluator import Evaluator
        from pymoo.problems.static import StaticProblem

        Evaluator().eval(StaticProblem(self._problem, F=losses), self._asked)
        self._algorithm.tell(infills=self._asked)


class _Optuna(Peer):
    """Optuna's samplers.

    Attributes:
        most: how many it is asked for at once; 0: as many as are wanted.
        integers: whether ordinal decisions are integers to it; else numbers, which are rounded.
    """

    most, integers = 0, True

    def __init__(self, task: Task, budget: int, batch: int, seed: int) -> None:
        super().__init__(task, budget, batch, seed)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(
            directions=["minimize"] * len(task.directions), sampler=self._sampler(optuna)
        )
        made = optuna.distributions
        ordinal = made.IntDistribution if self.integers else made.FloatDistribution
        self._distributions: dict[str, Any] = {
            f"{i:03d}": ordinal(0, len(decision) - 1)
            if decision.kind == "ordinal"
            else made.CategoricalDistribution(list(range(len(decision))))
            for i, decision in enumerate(self.space.decisions)
        }

    @abstractmethod
    def _sampler(self, optuna: Any) -> Any:
        """The sampler."""

    def propose(self, n: int) -> Codes:
        count = min(n, self.most or n)
        self._trials = [self._study.ask(self._distributions) for _ in range(count)]
        rows = [[trial.params[name] for name in self._distributions] for trial in self._trials]
        return np.rint(rows).astype(np.int64)

    def learn(self, losses: Floats) -> None:
        for trial, row in zip(self._trials, losses, strict=True):
            self._study.tell(trial, row.tolist())


class OptunaTPE(_Optuna):
    """Its default; asked for several at once, with its constant liar."""

    def _sampler(self, optuna: Any) -> Any:
        return optuna.samplers.TPESampler(seed=self.seed, constant_liar=self.batch > 1)


class OptunaGP(_Optuna):
    """Its Gaussian process, asked one by one; on 30 integers each proposal would take 8 s, on numbers 0.3 s."""

    most, integers = 1, False

    def _sampler(self, optuna: Any) -> Any:
        return optuna.samplers.GPSampler(seed=self.seed)


class Nevergrad(Peer):
    """An optimizer of nevergrad's, told vectors of losses; without what `nevergrad:` adds to it here."""

    optimizer = "TwoPointsDE"

    def __init__(self, task: Task, budget: int, batch: int, seed: int) -> None:
        super().__init__(task, budget, batch, seed)
        import nevergrad

        self._encoding = Encoding(self.space.decisions)
        parameters = self._encoding.parameters(nevergrad)
        parameters.random_state = np.random.RandomState(seed)
        made = nevergrad.optimizers.registry[self.optimizer]
        self._built = made(parameters, budget=budget, num_workers=batch)

    def propose(self, n: int) -> Codes:
        self._asked = [self._built.ask() for _ in range(n)]
        width = len(self.space.decisions)
        return np.array([self._encoding.codes(candidate, width) for candidate in self._asked])

    def learn(self, losses: Floats) -> None:
        for candidate, row in zip(self._asked, losses, strict=True):
            self._built.tell(candidate, row.tolist())


PEERS: dict[str, tuple[type[Peer], str]] = {
    "pymoo:NSGA2": (Pymoo, "pymoo"),
    "optuna:TPE": (OptunaTPE, "optuna"),
    "optuna:GP": (OptunaGP, "optuna"),
    "plain-nevergrad:TwoPointsDE": (Nevergrad, "nevergrad"),
}
"""By name, and the package that each needs."""
