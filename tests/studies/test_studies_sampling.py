"""The study of sampling: its numbers against other ways to them, its pieces on a few images."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from study_modules import importable

STUDY = Path(__file__).resolve().parents[2] / "studies" / "elasticvit_sampling"


@pytest.fixture(autouse=True, scope="module")
def _importable() -> Iterator[None]:
    with importable("elasticvit_sampling"):
        yield


def _cell(arch: str, seed: int, correct: int, group: str = "small", **more: object) -> dict[str, str]:
    known = {"arch": arch, "seed": seed, "correct": correct, "group": group, "images": 10}
    return {
        key: str(value) for key, value in {"drawn": "levels", "macs": 5, "loss": 1.0, **known, **more}.items()
    }


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

    found = scores_of([_cell("a", 0, 1), _cell("b", 0, 2, drawn="space"), _cell("c", 0, 3, "large")])
    assert members(found, "small").tolist() == [True, True, False]
    assert members(found, "small, levels").tolist() == [True, False, False]
    assert members(found, "small, space").tolist() == [False, True, False]


def test_rank_fidelity_counts_pairs_and_looks_at_the_first_ones() -> None:
    from analysis import fidelity

    rng = np.random.default_rng(4)
    alone, inherited = rng.permutation(12) / 12, rng.permutation(12) / 12
    groups = np.array(["small"] * 6 + ["large"] * 6)
    signs = np.sign(np.subtract.outer(alone, alone) * np.subtract.outer(inherited, inherited))
    blocks = [signs[:6, :6].sum() / 30, signs[6:, 6:].sum() / 30]
    order = sorted(range(12), key=lambda i: -inherited[i])
    found = fidelity(inherited, alone, groups)
    assert found.kendall == pytest.approx(signs.sum() / 132)
    assert found.within == pytest.approx(np.mean(blocks))
    assert found.regrets == pytest.approx([1 - 1 / 12 - max(alone[order[:n]]) for n in (1, 5)])


def _pair(seed: int, a: int, b: int, cosine: float, step: int = 8) -> dict[str, str]:
    known = {"seed": seed, "step": step, "macs_a": a, "macs_b": b, "cosine": cosine}
    return {key: str(v) for key, v in known.items()}


def test_the_cosine_curve_has_groups_of_neighbouring_ratios() -> None:
    from analysis import cosine_curve

    rows = [_pair(seed, 2**k, 1, 1 - k / 10 + seed / 100) for seed in (0, 1) for k in range(12)]
    curve = cosine_curve(rows)
    assert curve.centres == pytest.approx([2 ** (2 * g + 0.5) for g in range(6)])
    assert [found.mean for found in curve.means] == pytest.approx(
        [1 - (2 * g + 0.5) / 10 + 0.005 for g in range(6)]
    )
    half = stats.t.ppf(0.975, 1) * 0.01 / 2  # two seeds, 0.01 apart
    assert [found.high - found.mean for found in curve.means] == pytest.approx([half] * 6)


def test_conflict_is_a_mean_of_seeds_and_compared_with_the_same_seed() -> None:
    from analysis import paired, together_of

    found = together_of([_pair(0, 1, 4, -0.5), _pair(0, 9, 1, 0.7), _pair(1, 1, 1, 0.3)])
    assert (found.cosine.mean, found.opposed, found.pairs) == pytest.approx((0.2, 1 / 3, 3))
    assert found.ratio == pytest.approx(36 ** (1 / 3))
    assert paired(found.seeds, {1: 0.1, 0: 0.4, 2: 9.0}) == pytest.approx([-0.3, 0.2])


def test_conflict_is_told_at_each_step_against_uniform_sampling() -> None:
    from results import gradient_rows

    def rows(shift: float) -> list[dict[str, str]]:
        return [
            {**_pair(seed, 2, 1, seed / 10 + step / 10 + shift, step), "pairs": which}
            for seed in (0, 1)
            for step in (1, 2)
            for which in ("fixed", "step 0")
        ]

    found = [row for row in gradient_rows({"uniform": rows(0), "sandwich": rows(-0.4)}) if row["step"] == 2]
    assert [row["pairs"] for row in found] == ["of one step", "the same"] * 2
    assert [row["cosine"] for row in found] == pytest.approx([0.25, 0.25, -0.15, -0.15])
    assert [row["above uniform"] for row in found] == pytest.approx([0, 0, -0.4, -0.4])
    assert [row["negative %"] for row in found] == pytest.approx([0, 0, 100, 100])


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
    assert course.beta == pytest.approx([(0.35 + 0.65) / 2, (0.8 + 1) / 2])  # one, three, four and six sixths
    assert course.filled == pytest.approx([0.25, 0.75])
    assert course.mean == pytest.approx([-2.0, -1.5])


def test_a_walk_is_where_its_steps_were_and_its_last_ones() -> None:
    from analysis import walk_of

    visits = {0: [0, 0, 0, 0, 0], 6: [3, 2, 1, 0, 0], 10: [3, 2, 1, 1, 3]}
    rows = [{"seed": "0", "step": str(s), "visits": str(v)} for s, each in visits.items() for v in each]
    walk = walk_of([*rows, {"seed": "1", "step": "12", "visits": "9"}], 0)
    assert (walk.low, walk.high, walk.low_late, walk.high_late) == pytest.approx((0.5, 0.4, 0.0, 1.0))


def test_judges_are_half_of_levels_windows_and_half_of_the_space() -> None:
    from protocol import SCALES, judges

    from nas.costs.counts import cost
    from nas.space import load_space

    space = load_space(SCALES["cpu"].space)
    found, again = judges(space), judges(space)
    assert [j.arch.id for j in found] == [j.arch.id for j in again]
    assert len({j.arch.id for j in found}) == 25
    assert [j.group for j in found] == ["smallest"] + ["small"] * 8 + ["medium"] * 8 + ["large"] * 8
    assert [j.drawn for j in found[1:]] == (["levels"] * 4 + ["space"] * 4) * 3
    assert [int(cost(space, j.arch)["macs"][0]) for j in found] == [j.macs for j in found]
    ends = {"small": (0.3e6, 1e6), "medium": (2.9e6, 4e6), "large": (9e6, 13.5e6)}
    least = {0.3e6: "min-first", 1e6: "min-first", 2.9e6: "min-second", 4e6: "min-third"}
    for judge in found[1:]:
        low, high = ends[judge.group]
        assert low <= judge.macs <= high + 0.21e6
        if judge.drawn == "levels":
            (level,) = [level for level in (low, high) if 0 <= judge.macs - level <= 0.21e6]
            smallest = space.presets[least.get(level, "min-third")]
            assert all(judge.arch[name] >= smallest[name] for name in smallest.values)  # type: ignore[operator]


def test_a_level_holds_the_share_of_draws_that_elasticvits_does() -> None:
    from protocol import SCALES

    from nas.costs.counts import plan_for
    from nas.space import load_space
    from nas.supernet.sampling.levels import levels_of

    shares = []
    for name in ("elasticvit", SCALES["cpu"].space):
        space = load_space(name)
        levels, macs = levels_of(space), plan_for(space)(space.sample(50_000, seed=1))["macs"]
        shares.append(
            np.mean([((macs >= low) & (macs <= low + levels.window)).mean() for low in levels.macs])
        )
    assert shares[1] == pytest.approx(shares[0], rel=0.05)


def test_another_scale_does_not_go_on_in_the_same_folder(tmp_path: Path) -> None:
    from pieces import compute
    from protocol import SCALES

    from nas.errors import NasError

    compute(SCALES["cpu"], [], 1, tmp_path, tmp_path / "out")
    compute(SCALES["cpu"], [], 1, tmp_path, tmp_path / "out")
    with pytest.raises(NasError, match="another folder with --work"):
        compute(replace(SCALES["cpu"], steps=7), [], 1, tmp_path, tmp_path / "out")


def test_only_the_pieces_that_are_asked_for_are_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pieces import compute, supernets
    from protocol import SCALES
    from tables import read_rows, write_rows

    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        write_rows(tmp_path / f"uniform-{seed}.accuracy.csv", [{"seed": seed}])
    found = [p for seed in range(2) for p in supernets(SCALES["cpu"], ["uniform"], seed, tmp_path)]
    compute(SCALES["cpu"], found, 1, tmp_path, tmp_path / "out")
    assert [row["seed"] for row in read_rows(tmp_path / "out" / "accuracy.csv")] == ["0", "1"]


def test_no_process_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    for name in ("study.py", "further.py"):
        words = [sys.executable, str(STUDY / name), "--jobs", "0", *(["banks"] if "further" in name else [])]
        found = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert found.returncode == 2
        assert "--jobs: 0 is less than 1" in found.stderr
    assert not list(tmp_path.iterdir())


def test_cyclic_levels_come_equally_often() -> None:
    from protocol import SCALES, plan_of, sampler_of

    sampler = sampler_of(plan_of(SCALES["cpu"], "cyclic levels", 0), "cyclic levels", 0)
    levels = [{subnet.level for subnet in sampler.draw(step, 16)} for step in range(16)]
    assert levels == [{level} for level in (7, 6, 5, 4, 3, 2, 1, 0) * 2]
    assert sampler.wants_score(sampler.draw(16, 17)[0])


def test_mixed_levels_come_from_all_levels_in_one_step() -> None:
    from protocol import SCALES, plan_of, sampler_of

    sampler = sampler_of(plan_of(SCALES["cpu"], "mixed levels", 0), "mixed levels", 0)
    drawn = [[subnet.level for subnet in sampler.draw(step, 400)] for step in range(400)]
    shares = np.bincount(np.ravel([levels[:3] for levels in drawn]), minlength=8) / 1200
    assert shares == pytest.approx([1 / 8] * 8, abs=0.04)
    assert np.mean([len(set(levels[:3])) == 3 for levels in drawn]) == pytest.approx(7 * 6 / 64, abs=0.1)


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
    alone = [_cell(f"a{i}", 0, i, group, drawn=("levels", "space")[i % 2]) for i, group in enumerate(groups)]
    known = [
        _cell(
            f"a{i}",
            seed,
            i if sampler == "performance" else 7 - i,
            group,
            sampler=sampler,
            drawn=("levels", "space")[i % 2],
        )
        for sampler in ("uniform", "performance")
        for seed in (0, 1)
        for i, group in enumerate(groups)
    ]
    pairs = [
        {**_pair(seed, 2**k, 1, 0.5), "sampler": sampler, "pairs": pairs}
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
    assert float(ranks["uniform"]["regret of top 1, points"]) == 60.0
    assert (tmp_path / "figures.html").read_text().count("Plotly.newPlot(") >= 4
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
    from further import Experiment, ranked
    from tables import read_rows, write_rows

    _rows(tmp_path)
    first = read_rows(tmp_path / "alone.csv")
    second = [{**row, "seed": "1", "correct": str(7 - int(row["correct"]))} for row in first]
    write_rows(tmp_path / "second" / "alone.csv", second)
    (row,) = ranked(Experiment("z", ()), tmp_path / "second", scores_of(first))
    assert (row["changed"], row["ranked by"], row["Kendall τ"]) == ("z", "a second training alone", -1.0)


def test_variants_change_one_thing_of_their_sampler() -> None:
    from protocol import SCALES, plan_of, sampler_of

    scale, found = SCALES["cpu"], {}
    for name in ("complexity", "wide levels", "high levels", "performance", "large banks", "fresh banks"):
        found[name] = sampler_of(plan_of(scale, name, 0), name, 0)
    assert found["wide levels"].levels.window == 5 * found["complexity"].levels.window
    assert found["wide levels"].levels.macs == found["complexity"].levels.macs
    assert found["high levels"].levels.macs == found["complexity"].levels.macs[2:]
    assert found["high levels"].levels.minimum == found["complexity"].levels.minimum[2:]
    assert found["high levels"].levels.window == found["complexity"].levels.window
    sizes = {name: [bank.capacity for bank in sampler.banks] for name, sampler in found.items()}
    assert sizes["large banks"] == [4 * size for size in sizes["performance"]]
    assert set(sizes["wide levels"]) == {0}
    assert sizes["fresh banks"] == sizes["performance"]
    settings = [found[name].settings for name in ("performance", "fresh banks")]
    assert [s.refreshes for s in settings] == [3, 24]
    assert [s.partial_refreshes for s in settings] == [9, 72]


def test_the_embedded_experiment_trains_by_the_embedded_recipe() -> None:
    from protocol import EMBEDDED, plan_of

    from nas.settings import make_settings

    known, ours = make_settings("embedded").train, plan_of(EMBEDDED, "cyclic levels", 0).settings.train
    apart = {"checkpoint_every", "conflict_every"}  # what is written down, not what is trained
    assert ours.model_dump(exclude=apart) == known.model_dump(exclude=apart)


def test_rows_that_are_not_there_are_named(tmp_path: Path) -> None:
    from tables import read_rows

    from nas.errors import NasError

    with pytest.raises(NasError, match=r"accuracy\.csv: no such file"):
        read_rows(tmp_path / "accuracy.csv")
