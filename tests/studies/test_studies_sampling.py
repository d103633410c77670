"""The study of sampling: its numbers against other ways to them, its pieces on a few images."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

STUDY = Path(__file__).resolve().parents[2] / "studies" / "elasticvit_sampling"


@pytest.fixture(autouse=True, scope="module")
def _importable() -> Iterator[None]:
    """Its modules have plain names, which other studies may have too."""
    sys.path.insert(0, str(STUDY))
    _forget()
    yield
    _forget()
    sys.path.remove(str(STUDY))


def _forget() -> None:
    for path in STUDY.glob("*.py"):
        sys.modules.pop(path.stem, None)


def _cell(arch: str, seed: int, correct: int, group: str = "small", **more: object) -> dict[str, str]:
    known = {"arch": arch, "seed": seed, "correct": correct, "group": group, "images": 10}
    return {key: str(value) for key, value in {"inside": 1, "macs": 5, "loss": 1.0, **known, **more}.items()}


def test_intervals_are_students_and_gains_are_paired_by_seed() -> None:
    from analysis import gains, interval, scores_of

    values = np.array([0.2, 0.5, 0.9, 0.4])
    found = interval(values)
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, low, high))
    base = scores_of([_cell("a", seed, 2 + seed) for seed in range(3)])
    ours = scores_of([_cell("a", seed, 3 + seed) for seed in (2, 1)])
    gain = gains(ours, base, "small")
    assert gain.n == 2
    assert (gain.mean, gain.low, gain.high) == pytest.approx((0.1, 0.1, 0.1))


def test_a_seed_without_all_architectures_is_left_out() -> None:
    from analysis import scores_of

    rows = [_cell("a", 0, 3), _cell("b", 0, 7), _cell("a", 1, 4)]
    assert scores_of(rows).seeds == (0,)
    assert scores_of(rows).accuracy.tolist() == [[0.3, 0.7]]


def test_parts_of_a_group_share_it_out() -> None:
    from analysis import members, scores_of

    found = scores_of([_cell("a", 0, 1), _cell("b", 0, 2, inside=0), _cell("c", 0, 3, "large")])
    assert members(found, "small").tolist() == [True, True, False]
    assert members(found, "small, inside").tolist() == [True, False, False]
    assert members(found, "small, outside").tolist() == [False, True, False]


def test_rank_fidelity_counts_pairs_and_looks_at_the_first_five() -> None:
    from analysis import fidelity

    rng = np.random.default_rng(4)
    alone, inherited = rng.permutation(12) / 12, rng.permutation(12) / 12
    groups = np.array(["small"] * 6 + ["large"] * 6)
    signs = np.sign(np.subtract.outer(alone, alone) * np.subtract.outer(inherited, inherited))
    blocks = [signs[:6, :6].sum() / 30, signs[6:, 6:].sum() / 30]
    best = max(alone[i] for i in sorted(range(12), key=lambda i: -inherited[i])[:5])
    found = fidelity(inherited, alone, groups)
    assert found.kendall == pytest.approx(signs.sum() / 132)
    assert found.within == pytest.approx(np.mean(blocks))
    assert found.regret == pytest.approx(alone.max() - best)


def _pair(seed: int, a: int, b: int, cosine: float) -> dict[str, str]:
    return {key: str(v) for key, v in {"seed": seed, "macs_a": a, "macs_b": b, "cosine": cosine}.items()}


def test_the_cosine_curve_has_groups_of_neighbouring_ratios() -> None:
    from analysis import cosine_curve, drawn_together

    rows = [_pair(seed, 2**k, 1, 1 - k / 10 + seed / 100) for seed in (0, 1) for k in range(12)]
    curve = cosine_curve(rows)
    assert curve.centres == pytest.approx([2 ** (2 * g + 0.5) for g in range(6)])
    assert curve.means == pytest.approx([1 - (2 * g + 0.5) / 10 + 0.005 for g in range(6)])
    drawn = drawn_together([_pair(0, 1, 4, -0.5), _pair(0, 9, 1, 0.5), _pair(1, 1, 1, 0.2)])
    assert (drawn.cosine.mean, drawn.opposed, drawn.ratio) == pytest.approx((0.1, 1 / 3, 36 ** (1 / 3)))


def test_the_course_says_what_was_exploited_since_the_point_before() -> None:
    from analysis import course_of

    def row(step: int, draws: int, exploited: int, entries: int, mean: float | str) -> dict[str, str]:
        known = {"seed": 0, "step": step, "draws": draws, "exploited": exploited, "beta": step / 10}
        known |= {"entries": entries, "capacity": 4, "best": mean, "mean": mean}
        return {key: str(value) for key, value in known.items()}

    rows = [row(0, 0, 0, 0, ""), row(0, 0, 0, 0, ""), row(2, 10, 1, 2, -2.0), row(2, 10, 1, 0, "")]
    rows += [row(4, 20, 6, 4, -1.0), row(4, 20, 6, 2, -2.0)]
    course = course_of(rows)
    assert course.steps.tolist() == [2, 4]
    assert course.exploited == pytest.approx([0.1, 0.5])
    assert course.beta == pytest.approx([0.2, 0.4])
    assert course.filled == pytest.approx([0.25, 0.75])
    assert course.mean == pytest.approx([-2.0, -1.5])


def test_a_walk_is_where_its_steps_were_and_its_last_ones() -> None:
    from analysis import walk_of

    visits = {0: [0, 0, 0, 0, 0], 6: [3, 2, 1, 0, 0], 10: [3, 2, 1, 1, 3]}
    rows = [{"seed": "0", "step": str(s), "visits": str(v)} for s, each in visits.items() for v in each]
    walk = walk_of([*rows, {"seed": "1", "step": "12", "visits": "9"}], 0)
    assert (walk.low, walk.high, walk.low_late, walk.high_late) == pytest.approx((0.5, 0.4, 0.0, 1.0))


def test_judges_lie_in_their_ranges_and_half_where_the_levels_reach() -> None:
    from protocol import SCALES, judges

    from nas.costs.counts import cost
    from nas.space import load_space

    space = load_space(SCALES["cpu"].space)
    found, again = judges(space), judges(space)
    assert [j.arch.id for j in found] == [j.arch.id for j in again]
    assert [j.group for j in found] == ["smallest"] + ["small"] * 8 + ["medium"] * 8 + ["large"] * 8
    for group, low, high in (("small", 0.3e6, 1e6), ("medium", 2.9e6, 4e6), ("large", 9e6, 20.25e6)):
        assert all(low <= j.macs <= high for j in found if j.group == group)
    assert [int(cost(space, j.arch)["macs"][0]) for j in found] == [j.macs for j in found]
    third = space.presets["min-third"]
    for judge in found[9:]:
        least = all(judge.arch[name] >= third[name] for name in third.values)  # type: ignore[operator]
        assert judge.inside == least
    assert sum(j.inside for j in found if j.group == "medium") >= 4


def test_the_cyclic_control_visits_every_level_in_turn() -> None:
    from protocol import SCALES, plan_of, sampler_of

    sampler = sampler_of(plan_of(SCALES["cpu"], "cyclic", 0), "cyclic", 0)
    levels = [{subnet.level for subnet in sampler.draw(step, 16)} for step in range(16)]
    assert levels == [{level} for level in (7, 6, 5, 4, 3, 2, 1, 0) * 2]
    assert not sampler.wants_score(sampler.draw(16, 17)[0])


def test_uniform_draws_with_the_smallest_last() -> None:
    from protocol import SCALES, UniformAndSmallest

    from nas.space import load_space

    space = load_space(SCALES["cpu"].space)
    drawn = UniformAndSmallest(space, 4, np.random.default_rng(0)).draw(0, 10)
    assert [subnet.role for subnet in drawn] == ["explored"] * 3 + ["minimum"]
    assert drawn[-1].arch == space.presets["min-first"]


def test_a_supernet_that_is_interrupted_gives_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import supernets
    from protocol import SCALES

    small = replace(
        SCALES["cpu"], data="shapes:size=120,test=20", steps=6, batch=8, points=3, gradient_points=1
    )
    small = replace(small, gradient_images=8, capacity=2, big_capacity=2)
    monkeypatch.setattr(supernets, "judges", lambda space: _some(space))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    supernets.run_supernet(small, "performance", 0, whole)
    trained = supernets.Watch.look

    def stop(self: object, trainer: object) -> None:
        trained(self, trainer)  # type: ignore[arg-type]
        if trainer.step == 4:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(supernets.Watch, "look", stop)
        with pytest.raises(KeyboardInterrupt):
            supernets.run_supernet(small, "performance", 0, parts)
    supernets.run_supernet(small, "performance", 0, parts)
    for kind in ("accuracy", "course", "cosines"):
        name = f"performance-0.{kind}.csv"
        assert (parts / name).read_text() == (whole / name).read_text()
    rows = list(csv.DictReader((whole / "performance-0.course.csv").open()))
    assert sorted({int(row["step"]) for row in rows}) == [0, 2, 4, 6]
    assert {row["draws"] for row in rows if row["step"] == "6"} == {"18"}


def _some(space: object) -> list[object]:
    from protocol import judges

    return judges(space)[::6]  # type: ignore[arg-type]


def _rows(folder: Path) -> None:
    """Two samplers, two seeds, one or two architectures a group; the second sampler ranks like the networks alone."""
    from tables import write_rows

    groups = ("smallest", "small", "small", "medium", "medium", "large", "large")
    alone = [_cell(f"a{i}", 0, i, group, inside=i % 2) for i, group in enumerate(groups)]
    known = [
        _cell(f"a{i}", seed, i if sampler == "performance" else 7 - i, group, sampler=sampler, inside=i % 2)
        for sampler in ("uniform", "performance")
        for seed in (0, 1)
        for i, group in enumerate(groups)
    ]
    pairs = [
        {**_pair(seed, 2**k, 1, 0.5), "sampler": sampler, "pairs": pairs, "step": 8}
        for sampler in ("uniform", "performance")
        for seed in (0, 1)
        for pairs in ("fixed", "step 0")
        for k in range(6)
    ]
    seen = {"sampler": "performance", "seed": 0, "beta": 0.2, "capacity": 4, "best": "", "mean": ""}
    course = [
        {**seen, "seed": seed, "step": s, "visits": s, "draws": s, "exploited": s // 2, "entries": s // 2}
        for seed in (0, 1)
        for s in (0, 4, 8)
    ]
    course += [{**row, "sampler": "uniform", "visits": ""} for row in course]
    for name, rows in (("accuracy", known), ("alone", alone), ("cosines", pairs), ("course", course)):
        write_rows(folder / f"{name}.csv", rows)


def test_tables_and_the_page_are_written_without_a_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import figures
    from results import write_results

    monkeypatch.setattr(figures.shutil, "which", lambda name: None)
    _rows(tmp_path)
    write_results(tmp_path, tmp_path / "figures.html")
    groups = list(csv.DictReader((tmp_path / "groups.csv").open()))
    large = {row["sampler"]: row for row in groups if row["group"] == "large"}
    assert {name: float(row["top-1 %"]) for name, row in large.items()} == {
        "uniform": 15.0,
        "performance": 55.0,
        "alone": 55.0,
    }
    assert float(large["performance"]["above uniform"]) == 40.0
    ranks = {row["ranked by"]: row for row in csv.DictReader((tmp_path / "ranks.csv").open())}
    walks = list(csv.DictReader((tmp_path / "walks.csv").open()))
    assert [(row["sampler"], row["seed"]) for row in walks] == [("performance", "0"), ("performance", "1")]
    assert [float(ranks[name]["Kendall τ"]) for name in ("uniform", "performance")] == [-1.0, 1.0]
    assert float(ranks["uniform"]["regret of top 5, points"]) == 20.0
    assert (tmp_path / "figures.html").read_text().count("Plotly.newPlot(") >= 5
    assert "no Chromium" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.png"))


def test_an_experiment_is_shown_with_the_gain_over_its_uniform_or_that_of_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import further
    from further import Experiment
    from tables import read_rows, write_rows

    experiments = {
        "both": Experiment("x", ("uniform", "performance")),
        "one": Experiment("y", ("performance",)),
    }
    monkeypatch.setattr(further, "EXPERIMENTS", {**experiments, "absent": Experiment("z", ())})
    _rows(tmp_path)
    for name, known in (("both", ("uniform", "performance")), ("one", ("performance",))):
        folder = tmp_path / "further" / name
        folder.mkdir(parents=True)
        for kind in ("accuracy", "cosines"):
            rows = [row for row in read_rows(tmp_path / f"{kind}.csv") if row["sampler"] in known]
            if name == "both" and kind == "accuracy":
                rows = [{**row, "correct": "2"} if row["sampler"] == "uniform" else row for row in rows]
            write_rows(folder / f"{kind}.csv", rows)
    further.write_further(tmp_path)
    rows = list(csv.DictReader((tmp_path / "further" / "groups.csv").open()))
    shown = [
        (r["changed"], r["sampler"], r["large, top-1 %"], r["large, above uniform (95 %)"]) for r in rows
    ]
    assert shown == [
        ("the study", "uniform", "15.0", ""),
        ("the study", "performance", "55.0", "+40.0 (40.0 to 40.0)"),
        ("the study", "alone", "55.0", ""),
        ("x", "uniform", "20.0", ""),
        ("x", "performance", "55.0", "+35.0 (35.0 to 35.0)"),
        ("y", "performance", "55.0", "+40.0 (40.0 to 40.0)"),
    ]
    assert [row["cosine within a step"] for row in rows] == ["0.5", "0.5", "", "0.5", "0.5", "0.5"]
    ranks = list(csv.DictReader((tmp_path / "further" / "ranks.csv").open()))
    assert [(r["changed"], r["ranked by"]) for r in ranks] == [
        ("x", "uniform"),
        ("x", "performance"),
        ("y", "performance"),
    ]


def test_a_second_training_alone_is_ranked_against_the_first(tmp_path: Path) -> None:
    from analysis import scores_of
    from further import ranked
    from tables import read_rows, write_rows

    _rows(tmp_path)
    first = read_rows(tmp_path / "alone.csv")
    write_rows(
        tmp_path / "second" / "alone.csv", [{**r, "correct": str(7 - int(r["correct"]))} for r in first]
    )
    (row,) = ranked("z", tmp_path / "second", scores_of(first))
    assert (row["changed"], row["ranked by"], row["Kendall τ"]) == ("z", "a second training alone", -1.0)


def test_variants_change_one_thing_of_their_sampler() -> None:
    from protocol import SCALES, plan_of, sampler_of

    scale, found = SCALES["cpu"], {}
    for name in ("complexity", "wide levels", "performance", "large banks"):
        found[name] = sampler_of(plan_of(scale, name, 0), name, 0)
    assert found["wide levels"].levels.window == 10 * found["complexity"].levels.window
    assert found["wide levels"].levels.macs == found["complexity"].levels.macs
    sizes = {name: [bank.capacity for bank in sampler.banks] for name, sampler in found.items()}
    assert sizes["large banks"] == [4 * size for size in sizes["performance"]]
    assert set(sizes["wide levels"]) == {0}


def test_rows_that_are_not_there_are_named(tmp_path: Path) -> None:
    from tables import read_rows

    from nas.errors import NasError

    with pytest.raises(NasError, match=r"accuracy\.csv: no such file"):
        read_rows(tmp_path / "accuracy.csv")
