"""One search with one strategy under the trained weights of a supernet, every evaluation kept."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nas.files import write_atomically
from nas.pipeline.evaluating import supernet_evaluator, supernet_probing
from nas.pipeline.load_data import load_run_data
from nas.pipeline.plan import make_plan, study_folder
from nas.pipeline.training import load, set_threads
from nas.search.pareto import hypervolume
from nas.search.strategies import strategy
from nas.search.utility import Utility
from nas.settings import make_settings
from nas.space.batch import Arch, ArchBatch
from nas.space.load import load_space

SPACE, BOX = "turbovit", "turbovit"
BATCH = 8
OBJECTIVES = ["accuracy:max", "params:min", "macs:min"]
METHODS: dict[str, tuple[str, dict[str, object]]] = {
    "generative": ("generative", {"prototype": "Hiera-T"}),
    "generative, no inquisitor": ("generative", {"prototype": "Hiera-T", "probes": 0}),
    "predictor": ("predictor", {"first": 2 * BATCH}),
    "nsga2": ("nsga2", {"population": 2 * BATCH}),
    "random": ("random", {}),
}


@dataclass(frozen=True)
class Trace:
    """One search.

    Attributes:
        archs: what was evaluated, in order.
        accuracy, params, macs: of each; accuracy on search images with inherited weights.
        feasible: share of the different, new candidates a round looked at that lie in the box, a number per round.
        asking_s, evaluating_s: processor seconds of all rounds; asking includes probing.
    """

    method: str
    seed: int
    archs: list[dict[str, object]]
    accuracy: list[float]
    params: list[float]
    macs: list[float]
    feasible: list[float]
    asking_s: float
    evaluating_s: float

    @property
    def utilities(self) -> np.ndarray:
        """NetScore of each, in dB."""
        costs = {"params": np.array(self.params), "macs": np.array(self.macs)}
        return Utility()(np.array(self.accuracy), costs)

    @property
    def best(self) -> np.ndarray:
        """The best NetScore after each evaluation."""
        return np.asarray(np.maximum.accumulate(self.utilities))

    def volume(self, box: Mapping[str, float]) -> float:
        """Hypervolume of accuracy and both costs over the box, 0 … 1."""
        values = np.stack(
            [self.accuracy, np.array(self.params) / box["params"], np.array(self.macs) / box["macs"]], axis=1
        )
        return float(hypervolume(values, [0.0, 1.0, 1.0], ("max", "min", "min")))


class Bench:
    """What every search is given: the same weights, images and box.

    Args:
        supernet: study with the trained weights, in the working folder.
        settings: as of `--set`.
        kept: folder for what is evaluated, so that nothing is evaluated twice.
    """

    def __init__(self, supernet: str, settings: Sequence[str], kept: Path) -> None:
        self.space, self.kept = load_space(SPACE), kept
        chosen = make_settings(
            "embedded", [self.space.recipes["embedded"], {"objectives": OBJECTIVES}], settings
        )
        self.plan = make_plan(self.space, chosen, requirements=[BOX], supernet=supernet, name="searches")
        self.box = {constraint.metric: constraint.bound for constraint in self.plan.constraints}
        set_threads(chosen)
        self.data = load_run_data(self.plan)
        trained = load(self.plan, study_folder(supernet), self.data)
        self.evaluator = supernet_evaluator(self.plan, trained, self.data)
        self.probing = supernet_probing(self.plan, trained, self.data)

    def trace(self, method: str, seed: int, trials: int) -> Trace:
        """The search, from its file if it is there."""
        file = self.kept / f"{method.replace(', ', '-').replace(' ', '-')}-{seed}-{trials}.json"
        if not file.exists():
            self.kept.mkdir(parents=True, exist_ok=True)
            write_atomically(file, json.dumps(asdict(self._search(method, seed, trials))))
        return Trace(**json.loads(file.read_text(encoding="utf-8")))

    def accuracy(self, arch: Arch) -> float:
        """On search images, weights inherited."""
        return self.evaluator.evaluate(arch)["accuracy"].value

    def _search(self, method: str, seed: int, trials: int) -> Trace:
        name, options = METHODS[method]
        looked: list[tuple[np.ndarray, np.ndarray]] = []

        def cheap(batch: ArchBatch) -> tuple[np.ndarray, np.ndarray]:
            values, violations = self.plan.cheap(batch)
            looked.append((batch.hashes, violations == 0))
            return values, violations

        directions = [objective.direction for objective in self.plan.objectives]
        search = strategy(name, self.space, directions, seed=seed, cheap=cheap, **options)
        search.equip(self.plan.metrics.values, self.probing)
        accuracy: list[float] = []
        feasible: list[float] = []
        asking = evaluating = 0.0
        while len(accuracy) < trials:
            looked.clear()
            known = search.archs.hashes
            begun = time.process_time()
            batch = search.ask(min(BATCH, trials - len(accuracy)))
            asked = time.process_time()
            feasible.append(_share(looked, known))
            found = np.array([self.accuracy(arch) for arch in batch])
            evaluated = time.process_time()
            values, violations = self.plan.cheap(batch)
            values[:, 0] = found
            search.tell(batch, values, violations, {"accuracy": found})
            asking += asked - begun + time.process_time() - evaluated
            evaluating += evaluated - asked
            accuracy += found.tolist()
        costs = self.plan.metrics.values(search.archs)
        return Trace(
            method,
            seed,
            [dict(values) for values in search.archs.to_dicts()],
            accuracy,
            costs["params"].tolist(),
            costs["macs"].tolist(),
            feasible,
            asking,
            evaluating,
        )


def _share(looked: Sequence[tuple[np.ndarray, np.ndarray]], known: np.ndarray) -> float:
    hashes = np.concatenate([ids for ids, _ in looked])
    fits = np.concatenate([good for _, good in looked])
    _, first = np.unique(hashes, return_index=True)
    fresh = first[~np.isin(hashes[first], known)]
    return float(fits[fresh].mean()) if len(fresh) else float("nan")
