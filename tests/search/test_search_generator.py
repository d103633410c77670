"""The generator's distribution against frequencies and closed forms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas.errors import NasError
from nas.search.generator import Generator, divergence, parents_of
from nas.search.prototype import prototype_of, shrunk
from nas.search.utility import Utility
from nas.space import ArchBatch, Space, load_space

TEXT = """\
version: 1
name: s
decisions: {a: [1, 2, 3], b: [1, 2, 3], c: {values: [x, y, z], kind: categorical}, d: [1, 2, 3, 4]}
rules: [a != b]
"""


def _space(folder: Path) -> Space:
    path = folder / "s.yaml"
    path.write_text(TEXT)
    return load_space(path)


def _generator(space: Space, peak: float = 0.6) -> Generator:
    return Generator(space, space.encode([{"a": 2, "b": 1, "c": "y", "d": 4}]).codes[0], peak=peak, floor=0.1)


def _all(space: Space) -> list[dict[str, object]]:
    return [
        {"a": a, "b": b, "c": c, "d": d}
        for a in (1, 2, 3)
        for b in (1, 2, 3)
        for c in "xyz"
        for d in (1, 2, 3, 4)
        if a != b
    ]


def test_samples_have_the_product_of_the_conditional_tables(tmp_path: Path) -> None:
    space = _space(tmp_path)
    generator = _generator(space)
    assert parents_of(space) == [(), (0,), (), ()]
    everything = space.encode(_all(space))  # type: ignore[arg-type]
    chances = np.zeros(len(everything))
    for row, codes in enumerate(everything.codes):
        first, second = generator.tables[0][0], generator.tables[1][codes[0]]
        allowed = 1 - second[codes[0]]  # b must differ from a, and that is renormalised
        rest = generator.tables[2][0][codes[2]] * generator.tables[3][0][codes[3]]
        chances[row] = first[codes[0]] * second[codes[1]] / allowed * rest
    assert chances.sum() == pytest.approx(1)
    n = 40_000
    drawn = generator.sample(n, np.random.default_rng(0))
    assert space.valid(drawn).all()
    counted = dict.fromkeys(everything.ids, 0)
    for name in drawn.ids:
        counted[name] += 1
    seen = np.array([counted[name] for name in everything.ids])
    chi2 = float(((seen - n * chances) ** 2 / (n * chances)).sum())
    assert chi2 < 71 + 4 * np.sqrt(2 * 71)


def test_it_starts_peaked_on_the_prototype(tmp_path: Path) -> None:
    space = _space(tmp_path)
    shares = _generator(space, peak=0.9).marginals(
        _generator(space, peak=0.9).sample(5000, np.random.default_rng(0))
    )
    assert [int(share.argmax()) for share in shares] == [1, 0, 1, 3]
    assert shares[2][1] == pytest.approx(0.9 * (0.9 + 0.1 / 3) + 0.1 / 3, abs=0.02)


def test_an_update_is_a_step_towards_the_samples_and_keeps_the_floor(tmp_path: Path) -> None:
    space = _space(tmp_path)
    generator = _generator(space)
    before = generator.tables[2].copy()
    target = space.encode([{"a": 1, "b": 3, "c": "z", "d": 1}])
    generator.update(target, np.ones(1), 0.5)
    stepped = 0.5 * before + 0.5 * np.array([[0, 0, 1]])
    assert generator.tables[2] == pytest.approx(0.9 * stepped + 0.1 / 3)
    for _ in range(60):
        generator.update(target, np.ones(1), 0.5)
    assert all((table >= 0.1 / table.shape[1] - 1e-12).all() for table in generator.tables)
    drawn = generator.sample(2000, np.random.default_rng(1))
    found, counts = np.unique(drawn.hashes, return_counts=True)
    assert found[counts.argmax()] == target.hashes[0]


def test_tied_decisions_are_learned_together(tmp_path: Path) -> None:
    """Elites (1, 2) and (3, 1): unconditional tables would draw (1, 1), which the rule forbids, and (3, 2)."""
    space = _space(tmp_path)
    generator = _generator(space)
    elite = space.encode([{"a": 1, "b": 2, "c": "x", "d": 1}, {"a": 3, "b": 1, "c": "x", "d": 1}] * 8)
    for _ in range(30):
        generator.update(elite, np.full(16, 1 / 16), 0.5)
    drawn = generator.sample(5000, np.random.default_rng(0)).codes
    pairs = {
        (a, b): float(((drawn[:, 0] == a) & (drawn[:, 1] == b)).mean()) for a in range(3) for b in range(3)
    }
    assert pairs[0, 1] > 0.25 and pairs[2, 0] > 0.25 and pairs[2, 1] < 0.15


def test_evidence_shifts_the_odds_by_its_exponential(tmp_path: Path) -> None:
    space = _space(tmp_path)
    plain, shifted = _generator(space), _generator(space)
    evidence = [np.zeros(len(d)) for d in space.decisions]
    evidence[3] = np.array([1.0, 0.0, 0.0, 0.0])
    target = space.encode([{"a": 1, "b": 3, "c": "z", "d": 1}])
    plain.update(target, np.ones(1), 0.0)
    shifted.update(target, np.ones(1), 0.0, evidence)
    inner = [(g.tables[3] - 0.1 / 4) / 0.9 for g in (plain, shifted)]
    odds = [table[0, 0] / table[0, 1] for table in inner]
    assert odds[1] / odds[0] == pytest.approx(np.e)


def test_its_state_is_plain_data(tmp_path: Path) -> None:
    space = _space(tmp_path)
    generator, other = _generator(space), _generator(space, peak=0.2)
    generator.update(space.sample(4, seed=0), np.full(4, 0.25), 0.3)
    other.restore(json.loads(json.dumps(generator.state())))
    a, b = (g.sample(50, np.random.default_rng(5)).ids for g in (generator, other))
    assert a == b


def test_divergence_is_that_of_kullback_and_leibler() -> None:
    assert divergence(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(
        0.5 * np.log2(2) + 0.5 * np.log2(2 / 3)
    )
    assert divergence(np.array([0.3, 0.7]), np.array([0.3, 0.7])) == 0


def test_a_prototype_is_shrunk_until_it_is_feasible(tmp_path: Path) -> None:
    space = _space(tmp_path)

    def violation(batch: ArchBatch) -> np.ndarray:
        return np.maximum(batch.codes[:, 3] - 1.0, 0)

    path = shrunk(space, np.array([2.0, 1.0, 2.0, 3.0]))
    assert space.valid(path).all() and (np.diff(path.codes[:, 3]) <= 0).all()
    found = prototype_of(space, "", violation)
    assert len(found) == 1 and violation(found)[0] == 0
    with pytest.raises(NasError, match=r"search\.options\.prototype: unknown preset 'L'"):
        prototype_of(space, "L", violation)


def test_guessing_is_worth_nothing_however_small_the_network() -> None:
    """0.28 M parameters at chance had a NetScore of 67, above what an ordinary network has."""
    costs = {
        "params": np.array([0.28e6, 5e6]),
        "macs": np.array([8e6, 900e6]),
        "latency": np.array([1.0, 20.0]),
    }
    accuracy = np.array([0.1, 0.6])
    guessing, learned = Utility()(accuracy, costs)
    assert guessing > learned > 60
    for name in ("netscore", "product"):
        guessing, learned = Utility(name, classes=10)(accuracy, costs)
        assert guessing < learned and np.isfinite(guessing)
    above = Utility(classes=10).above_chance(np.array([0.05, 0.1, 0.55, 1.0, np.nan]))
    assert above[:4] == pytest.approx([1e-4, 1e-4, 0.5, 1.0]) and np.isnan(above[4])


def test_netscore_is_the_published_formula() -> None:
    """`20 log10(a² / √(p m))` written out for 80 %, 4 M parameters and 1 G MACs: 20 log10(6400 / 2)."""
    costs = {"params": np.array([4e6]), "macs": np.array([1e9])}
    assert Utility()(np.array([0.8]), costs)[0] == pytest.approx(20 * np.log10(3200))
    assert Utility("product", "macs", 1e9, -0.07)(np.array([0.8]), {"macs": np.array([2e9])})[
        0
    ] == pytest.approx(0.8 * 2**-0.07)
    step = {"latency": np.array([40.0]), "params": np.array([4e6])}
    aware = Utility("training_aware").among(["latency", "params"], ["latency"])
    assert aware(np.array([0.8]), step)[0] == pytest.approx(0.8 * 40**-0.07 * 4**-0.05)
    assert np.isnan(Utility()(np.array([np.nan]), costs)[0])
    with pytest.raises(NasError, match="needs params"):
        Utility()(np.array([0.8]), {})
    with pytest.raises(NasError, match="unknown function 'net'"):
        Utility("net")
