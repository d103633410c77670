"""Time per trial on a storage, beside one row and one commit per parameter, and reads of a large study.

    python benchmarks/store.py [--trials 20000] [--batch 50] [--storage sqlite:///FILE] [--million]

A trial is an architecture of 30 decisions with four metrics. The comparison is what Optuna stores
for the same trials with its defaults (run where it is installed): a commit per trial, parameter
and value, on a rollback journal.
`--million` fills a study with 1,000,000 trials first; reading its front must not depend on them.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from nas.metrics import Metric
from nas.store import Objective, Storage, TrialRecord

OBJECTIVES = (Objective("accuracy", "max", "fraction"), Objective("latency", "min", "ms"))
DECISIONS = [
    f"stages.{stage}.{part}" for stage in range(5) for part in ("width", "depth", "a", "b", "c", "d")
]
PEER_TRIALS = 40


def batches(trials: int, size: int, rng: np.random.Generator) -> Iterator[list[TrialRecord]]:
    """Random trials whose objectives conflict; a batch is a generation."""
    for start in range(0, trials, size):
        n = min(size, trials - start)
        codes = rng.integers(16, 512, size=(n, len(DECISIONS))).tolist()
        quality = rng.normal(size=(n, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
        generation = start // size
        yield [
            TrialRecord(
                f"{start + index:08x}{rng.integers(2**31):08x}",
                dict(zip(DECISIONS, row, strict=True)),
                generation,
                metrics={
                    "accuracy": Metric(a, "fraction", "measured", a - 0.01, a + 0.01, "digits, search split"),
                    "latency": Metric(b, "ms", "predicted", b - 1, b + 1, "pixel6"),
                    "macs": Metric(1e8, "MACs", "counted"),
                    "params": Metric(5e6, "params", "counted"),
                },
                wall_s=0.1,
            )
            for index, (row, (a, b)) in enumerate(zip(codes, quality.tolist(), strict=True))
        ]


def fill(storage: Storage, study_id: int, trials: int, size: int) -> float:
    """Seconds that storing the trials and each generation's front took."""
    seconds = 0.0
    for generation, batch in enumerate(batches(trials, size, np.random.default_rng(0))):
        start = time.perf_counter()
        storage.add_trials(study_id, batch)
        storage.record_front(study_id, generation)
        seconds += time.perf_counter() - start
    return seconds


def timed(function: Callable[[], object]) -> float:
    """Median milliseconds of five calls."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times))


def reads(storage: Storage, name: str) -> None:
    """Print how long a front and a followed study take to read."""
    study = storage.study(name)
    print(f"reads of a study of {study.n_trials:,} trials, {len(storage.front(study.id))} on the front:")
    print(f"  front                     {timed(lambda: storage.front(study.id)):9.2f} ms")
    middle = study.generation // 2
    past = timed(lambda: storage.front(study.id, generation=middle))
    print(f"  front of generation {middle:<5} {past:9.2f} ms")
    print(f"  front as a DataFrame      {timed(lambda: storage.front_frame(study.id)):9.2f} ms")
    recent = study.revision - 20
    print(f"  last 10 batches           {timed(lambda: storage.trials(study.id, since=recent)):9.2f} ms")


def optuna_ms(folder: Path) -> float:
    """Milliseconds per trial in Optuna's own storage."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'optuna.db'}",
        directions=["maximize", "minimize"],
        sampler=optuna.samplers.RandomSampler(seed=0),
    )

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        codes = [trial.suggest_int(name, 16, 511) for name in DECISIONS]
        trial.set_user_attr("macs", 1e8)
        trial.set_user_attr("params", 5e6)
        return float(codes[0]), float(codes[1])

    start = time.perf_counter()
    study.optimize(objective, n_trials=PEER_TRIALS)
    return (time.perf_counter() - start) / PEER_TRIALS * 1e3


def main() -> None:
    """Fill a storage, read it, and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--storage", help="any storage URL; a temporary SQLite file where left out")
    parser.add_argument(
        "--million", action="store_true", help="the same with 1,000,000 trials in batches of 500"
    )
    arguments = parser.parse_args()
    trials, size = (1_000_000, 500) if arguments.million else (arguments.trials, arguments.batch)
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(arguments.storage or f"sqlite:///{Path(folder) / 'nas.db'}")
        name = f"benchmark {time.time():.0f}"
        study = storage.create_study(name, space="-", space_hash="-", objectives=OBJECTIVES, config={})
        storage.set_reference_point(study.id, {"accuracy": -10, "latency": 10})
        ours = fill(storage, study.id, trials, size) / trials * 1e3
        print(f"{trials:,} trials in batches of {size}, fronts recorded: {ours:.3f} ms per trial (goal 0.2)")
        reads(storage, name)
        storage.close()
        if importlib.util.find_spec("optuna"):
            theirs = optuna_ms(Path(folder))
            print(f"optuna: {theirs:.1f} ms per trial, {theirs / ours:.0f}x ours")


if __name__ == "__main__":
    main()
