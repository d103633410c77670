"""nevergrad's optimisers: what they are told, what they ask for, and what they find."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from nas.errors import NasError
from nas.pipeline.plan import make_plan
from nas.search.pareto import hypervolume
from nas.search.strategies import Strategy, strategy
from nas.search.strategies.base import Outlook
from nas.search.strategies.nevergrad import NevergradSearch, _lattice
from nas.search.strategies.nevergrad_encoding import Encoding
from nas.search.strategies.nevergrad_optimizer import Draws, SeededOptimizer, library
from nas.settings import make_settings
from nas.space import ArchBatch, Space, load_space
from nas.testing.strategies import whole_state

SIZES, LEVELS = 12, 8
DIRECTIONS = ("max", "min")
OUTLOOK = Outlook((), (), (), False)
_RNG = np.random.default_rng(0)
GAIN, COST = _RNG.random(SIZES) + 0.2, _RNG.random(SIZES) + 0.2


def _space(folder: Path) -> Space:
    path = folder / "s.yaml"
    lines = "".join(f"  x{i}: {{min: 0, max: {LEVELS - 1}, step: 1}}\n" for i in range(SIZES))
    path.write_text(f"version: 1\nname: s\ndecisions:\n{lines}")
    return load_space(path)


def _values(batch: ArchBatch) -> np.ndarray:
    x = batch.codes / (LEVELS - 1)
    return np.stack([(GAIN * np.sqrt(x)).sum(axis=1), (COST * x**2).sum(axis=1)], axis=1)


def _reachable() -> float:
    """Hypervolume of the front: the problem separates, so each trade-off has its optimum per decision."""
    grid = np.arange(LEVELS) / (LEVELS - 1)
    points = []
    for share in np.linspace(0, 1, 500):
        net = share * GAIN[:, None] * np.sqrt(grid) - (1 - share) * COST[:, None] * grid**2
        best = grid[net.argmax(axis=1)]
        points.append([(GAIN * np.sqrt(best)).sum(), (COST * best**2).sum()])
    return hypervolume(np.array(points), (0.0, COST.sum()), DIRECTIONS)


def _reached(space: Space, name: str, evaluations: int, **options: int) -> float:
    search = strategy(name, space, DIRECTIONS, seed=0, budget=evaluations, **options)
    while len(search.archs) < evaluations:
        batch = search.ask(20)
        search.tell(batch, _values(batch))
    return hypervolume(search.values, (0.0, COST.sum()), DIRECTIONS) / _reachable()


@pytest.mark.parametrize("optimizer", ["TwoPointsDE", "DiscreteOnePlusOne"])
def test_beats_random_search_on_a_known_front(optimizer: str, tmp_path: Path) -> None:
    space = _space(tmp_path)
    assert _reached(space, f"nevergrad:{optimizer}", 400) > _reached(space, "random", 400) + 0.02


def test_one_objective_is_minimised(tmp_path: Path) -> None:
    space = _space(tmp_path)
    search = strategy("nevergrad:DiscreteOnePlusOne", space, ("min",), seed=0, budget=300)
    while len(search.archs) < 300:
        batch = search.ask(10)
        search.tell(batch, np.abs(batch.codes - 5).sum(axis=1))
    assert search.values.min() <= 4


def test_differential_evolution_is_told_vectors_and_others_scalars(tmp_path: Path) -> None:
    space = _space(tmp_path)
    vectors, scalars = (
        strategy(f"nevergrad:{name}", space, DIRECTIONS, first=10) for name in ("DE", "OnePlusOne")
    )
    assert isinstance(vectors, NevergradSearch) and isinstance(scalars, NevergradSearch)
    for search in (vectors, scalars):
        for _ in range(3):
            batch = search.ask(10)
            search.tell(batch, _values(batch))
    assert [optimizer.built.num_objectives for optimizer in vectors._optimizers] == [2]
    assert [optimizer.built.num_objectives for optimizer in scalars._optimizers] == [1] * 5


def test_differential_evolution_is_told_the_worst_of_the_first_draws_as_its_reference_point(
    tmp_path: Path,
) -> None:
    """Without one, nevergrad takes for it the worst of what it was told itself."""
    search = strategy("nevergrad:DE", _space(tmp_path), DIRECTIONS, first=10)
    assert isinstance(search, NevergradSearch)
    first = search.ask(10)
    search.tell(first, _values(first))
    for _ in range(2):
        batch = search.ask(10)
        search.tell(batch, _values(batch))
    worst = [-_values(first)[:, 0].min(), _values(first)[:, 1].max()]
    bounds = search._optimizers[0].built._hypervolume_pareto._upper_bounds
    assert np.allclose(bounds, worst, rtol=1e-12)


def test_differential_evolution_hears_of_the_first_draws_where_there_is_one_objective(
    tmp_path: Path,
) -> None:
    search = strategy("nevergrad:DE", _space(tmp_path), ("min",), first=10)
    assert isinstance(search, NevergradSearch)
    batch = search.ask(10)
    search.tell(batch, _bowl(batch))
    known, losses = search._optimizers[0].built.population.values(), _bowl(batch)
    scaled = 1.05 * (losses - losses.min()) / np.ptp(losses)
    assert np.allclose(sorted(told.loss for told in known), sorted(scaled), rtol=1e-12)


def test_weight_vectors_spread_over_the_simplex() -> None:
    for objectives in (1, 2, 3, 4):
        weights = _lattice(objectives, 5)
        assert np.allclose(weights.sum(axis=1), 1) and (weights > 0).all()
        assert len(weights) >= (5 if objectives > 1 else 1)
        assert len(np.unique(weights, axis=0)) == len(weights)


def test_nevergrad_is_imported_only_when_used() -> None:
    code = "import sys, nas.cli, nas.search.strategies; sys.exit('nevergrad' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_optimiser_without_its_library_is_refused_when_a_run_is_planned(tmp_path: Path) -> None:
    """It is built without it."""
    if importlib.util.find_spec("fcmaes") is not None:
        pytest.skip("fcmaes is installed")
    search = strategy("nevergrad:FCMA", _space(tmp_path), DIRECTIONS)
    with pytest.raises(NasError, match=r"FCMA failed: .*fcmaes"):
        search.check(OUTLOOK)


@pytest.mark.parametrize("optimizer", ["TwoPointsDE", "SPSA"])
def test_the_probe_of_an_optimiser_changes_nothing(optimizer: str, tmp_path: Path) -> None:
    space = _space(tmp_path)
    plain, checked = (strategy(f"nevergrad:{optimizer}", space, ("min",), seed=2, first=5) for _ in range(2))
    checked.check(OUTLOOK)
    assert _minimised(checked, 20) == _minimised(plain, 20)


def _bowl(batch: ArchBatch) -> np.ndarray:
    return ((batch.codes - np.arange(SIZES) % LEVELS) ** 2).sum(axis=1).astype(float)


def _minimised(search: Strategy, evaluations: int) -> list[str]:
    while len(search.archs) < evaluations:
        batch = search.ask(10)
        assert 0 < len(batch) <= 10
        search.tell(batch, _bowl(batch))
    return search.archs.ids


def _light(batch: ArchBatch) -> tuple[np.ndarray, np.ndarray]:
    """A constraint that about half of all architectures violate."""
    return np.full((len(batch), 1), np.nan), np.maximum(batch.codes.sum(axis=1) - 42.0, 0.0)


@pytest.mark.parametrize(
    "optimizer",
    ["LHSSearch", "HammersleySearch", "ScrHammersleySearchPlusMiddlePoint", "QOScrHammersleySearch"],
)
def test_samplers_go_on_after_their_last_planned_sample(optimizer: str, tmp_path: Path) -> None:
    search = strategy(f"nevergrad:{optimizer}", _space(tmp_path), ("min",), cheap=_light, budget=40, first=5)
    _minimised(search, 40)
    assert (_light(search.archs)[1] == 0).all()


def test_an_optimiser_that_has_nothing_to_ask_is_refused_when_a_run_is_planned(tmp_path: Path) -> None:
    search = strategy("nevergrad:LHSSearch", _space(tmp_path), ("min",), budget=0)
    with pytest.raises(NasError, match=r"LHSSearch .*budget of 0"):
        search.check(OUTLOOK)


def test_a_run_is_planned_with_the_budget_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, probed = tmp_path / "net.yaml", []
    path.write_text(
        "version: 1\nname: net\ninput: {resolution: 16, classes: 4}\nstages:\n"
        "  first: {block: conv_stem, stride: 2, width: [8, 16]}\n  head: {block: dual_head}\n"
    )
    monkeypatch.setattr(NevergradSearch, "check", lambda search, _: probed.append(search.budget))
    search = {"strategy": "nevergrad:LHSSearch", "n_trials": 7}
    make_plan(load_space(path), make_settings("embedded", [{"search": search}]))
    assert probed == [7]


def _resumed(space: Space, optimizer: str) -> Strategy:
    """A search that was stopped after 40 evaluations, in a process whose global generators went on otherwise."""
    stopped = strategy(f"nevergrad:{optimizer}", space, ("min",), seed=3)
    _minimised(stopped, 40)
    np.random.seed(7)  # noqa: NPY002
    resumed = strategy(f"nevergrad:{optimizer}", space, ("min",), seed=3)
    resumed.restore(json.loads(json.dumps(whole_state(stopped))))
    return resumed


@pytest.mark.parametrize("optimizer", ["SPSA", "LognormalDiscreteOnePlusOne", "CMA"])
def test_optimisers_go_on_where_they_were(optimizer: str, tmp_path: Path) -> None:
    space = _space(tmp_path)
    whole = _minimised(strategy(f"nevergrad:{optimizer}", space, ("min",), seed=3), 60)
    assert _minimised(_resumed(space, optimizer), 60) == whole


def test_an_optimiser_that_no_seed_fixes_says_that_it_cannot_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unseeded(draws: Draws, *_: int) -> None:
        draws._numpy, draws._python = np.random.RandomState().get_state(), random.Random().getstate()

    monkeypatch.setattr(Draws, "__init__", unseeded)
    with pytest.raises(NasError, match="LognormalDiscreteOnePlusOne cannot be resumed"):
        _resumed(_space(tmp_path), "LognormalDiscreteOnePlusOne")


@pytest.mark.parametrize("optimizer", ["CMA", "LognormalDiscreteOnePlusOne", "MetaModel"])
def test_the_global_generators_of_the_program_are_left_alone(optimizer: str, tmp_path: Path) -> None:
    space = _space(tmp_path)
    before, python = np.random.get_state()[1], random.getstate()  # noqa: NPY002
    _minimised(strategy(f"nevergrad:{optimizer}", space, ("min",), first=5), 20)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert random.getstate() == python


def test_what_nevergrad_draws_at_its_import_does_not_depend_on_the_process(tmp_path: Path) -> None:
    """The scales of PolyLN's parts."""
    _space(tmp_path)
    code = """
import sys, numpy as np
np.random.seed(int(sys.argv[2]))
from nas.space import load_space
from nas.search.strategies import strategy
search = strategy("nevergrad:PolyLN", load_space(sys.argv[1]), ("min",))
print([part.scale for part in search._optimizers[0].built.optims])
"""
    told = [
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "s.yaml"), seed], capture_output=True, check=True
        )
        for seed in ("1", "2")
    ]
    assert told[0].stdout == told[1].stdout != b""


@pytest.mark.parametrize("optimizer", ["SPSA", "TinySPSA", "DiscreteDoerrOnePlusOne"])
def test_optimisers_that_wait_are_asked_one_by_one(optimizer: str, tmp_path: Path) -> None:
    search = strategy(f"nevergrad:{optimizer}", _space(tmp_path), DIRECTIONS, budget=40, first=10)
    assert isinstance(search, NevergradSearch)
    for _ in range(6):
        batch = search.ask(10)
        waiting = [at for askers in search._pending.values() for at, _ in askers]
        assert len(set(waiting)) == len(waiting)
        search.tell(batch, _values(batch))
    assert len(search.archs) > 11


@pytest.mark.parametrize(
    "optimizer", ["Cobyla", "Powell", "TinySQP", "Carola2", "ChainDE", "ParaPortfolio", "ChainCMASQP"]
)
def test_optimisers_in_threads_of_their_own_are_refused(optimizer: str, tmp_path: Path) -> None:
    """Other libraries' loops, a rescaled one, chains and portfolios."""
    with pytest.raises(
        NasError, match=rf"nevergrad's {optimizer} runs in a thread .* as nevergrad:TwoPointsDE"
    ):
        strategy(f"nevergrad:{optimizer}", _space(tmp_path), DIRECTIONS)


def test_optimisers_that_are_not_refused_start_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every tenth of the installed nevergrad's; chains come to their last part."""
    space, started = _space(tmp_path), []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread))
    taken = 0
    for name in sorted(library().optimizers.registry)[::10]:
        try:
            optimizer = SeededOptimizer(name, space, 12, 0)
            for step in range(12):
                candidate = optimizer.ask()
                if candidate is not None:
                    optimizer.tell(candidate, float(step))
        except NasError:
            continue  # refused, or without its library
        taken += 1
        assert not started, name
    assert taken > 30


MIXED = "{a: [x, y, z], b: [1, 2, 3, 4], c: [7], d: [p, q], e: [u, v, w], f: [2, 4]}"


@pytest.mark.parametrize("decisions", [MIXED, "{a: [1, 2, 3]}", "{a: [x, y], b: [p, q]}"])
def test_what_an_optimiser_asks_for_is_what_it_is_told(decisions: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"version: 1\nname: s\ndecisions: {decisions}\n")
    space = load_space(path)
    encoding = Encoding(space.decisions)
    parameters, width = encoding.parameters(library()), len(space.decisions)
    for codes in space.sample(50, seed=0).codes.astype(np.int64):
        candidate = parameters.spawn_child(new_value=encoding.value(codes))
        assert encoding.codes(candidate, width).tolist() == codes.tolist()
    drawn = np.array([encoding.codes(parameters.sample(), width) for _ in range(300)])
    assert [sorted({*column}) for column in drawn.T.tolist()] == [[*range(len(d))] for d in space.decisions]
