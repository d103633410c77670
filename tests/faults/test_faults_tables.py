"""Measured tables as people have them: what is read, what is left out and said, what is refused and where it stands."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nas
from nas.errors import ConfigError, NasError
from nas.latency.arch import pairs_from_csv
from nas.pipeline.table import common, read_table
from nas.search.strategies import strategy
from nas.space import ArchBatch, Space
from nas.store import Storage

SPACE = "version: 1\nname: cells\ndecisions:\n  a: [x, y, z]\n  b: [1, 2, 3, 4]\n  c: [8, 16]\n"
KEYS = list(itertools.product("xyz", (1, 2, 3, 4), (8, 16)))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SPACE)
    return nas.load_space("s.yaml")


def written(acc: Sequence[object], ms: Sequence[object], heads: str = "a,b,c,acc,ms") -> Path:
    cells = [f"{a},{b},{c},{x},{y}" for (a, b, c), x, y in zip(KEYS, acc, ms)]
    Path("t.csv").write_text("\n".join([heads, *cells]) + "\n")
    return Path("t.csv")


def changed(values: Sequence[object], **at: object) -> list[object]:
    cells = list(values)
    for row, value in at.items():
        cells[int(row[1:])] = value
    return cells


ACC = [50 + i / 10 for i in range(24)]
MS = [1.5 + i for i in range(24)]


@pytest.mark.parametrize(
    "cell", ["seven", "12 ms", "1e999", "inf", "-inf", "-0.5", "-2", "1_000", "0x1F", '"1,5"']
)
def test_a_latency_that_is_none_is_told_with_row_column_and_remedy(space: Space, cell: str) -> None:
    written(ACC, changed(MS, r7=cell))
    for read in (
        lambda: read_table("table:t.csv#ms", space, metric="latency"),
        lambda: pairs_from_csv(space, "t.csv", column="ms"),
    ):
        with pytest.raises(ConfigError) as caught:
            read()
        assert caught.value.line == 9
        text = str(caught.value)
        assert text.startswith("t.csv:9: ms = ") and cell.strip('"') in text
        assert any(word in text for word in ("above 0", "write 1.5"))


@pytest.mark.parametrize(
    "cell", ["", "NA", "n/a", "-", "–", "NaN", "None", "null", "OOM", "?", "-1", "0", "-1.0", "0.0", " NA "]
)
def test_marks_of_what_was_not_measured_leave_the_row_out_and_say_so(space: Space, cell: str) -> None:
    written(ACC, changed(MS, r7=cell, r11=cell))
    table = read_table("table:t.csv#ms", space, metric="latency")
    assert len(table.known(space)) == 22 and not np.isnan(table.numbers).any() and table.numbers.min() > 0
    assert any("2 of 24 rows have no measured ms and are left out: row 9" in note for note in table.notes)
    pairs = pairs_from_csv(space, "t.csv", column="ms")
    assert len(pairs) == 22 and pairs.notes == table.notes


def test_every_wrong_cell_is_told_at_once_the_first_ten_of_many(space: Space) -> None:
    written(ACC, [f"bad{i}" if i >= 4 else 1 for i in range(24)])
    with pytest.raises(ConfigError) as caught:
        read_table("table:t.csv#ms", space, metric="latency")
    text = str(caught.value)
    assert all(f"bad{i}" in text for i in range(4, 14)) and "bad14" not in text
    assert "20 places in this file are wrong; the first 10 are listed" in text


def test_wrong_decisions_are_all_told(space: Space) -> None:
    path = written(ACC, MS)
    path.write_text(path.read_text().replace("x,1,", "w,1,").replace("z,4,", "z,5,"))
    with pytest.raises(ConfigError) as caught:
        read_table("table:t.csv#ms", space, metric="latency")
    assert str(caught.value).count("is not one of") == 4 and "'5' is not one of 1, 2, 3, 4" in str(
        caught.value
    )


def test_nothing_measured_at_all(space: Space) -> None:
    written(ACC, ["-1"] * 24)
    with pytest.raises(NasError, match="none of the 24 rows has a value"):
        read_table("table:t.csv#ms", space, metric="latency")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "must name the columns"),
        (b"a,b,c,ms\n", "no rows"),
        (b"a;b;c;ms\nx;1;8;2\n", "separated by semicolons"),
        (b"a\tb\tc\tms\n", "separated by tabs"),
        (b"a,b,c,ms,ms\nx,1,8,2,3\n", "two columns are named 'ms'"),
        (b"a,b,c,ms\nx,1,8\n", "t.csv:2: 3 values"),
        (b"a,b,c,ms\nx,1,8,2,9\n", "t.csv:2: 5 values"),
        (b"a,b,ms\nx,1,2\n", "no column for the decision 'c'"),
        (b"a,b,c,ms\nx,1,,2\n", "c = '' is not one of 8, 16"),
        (b"a,b,c,ms\nx,1,8,2\nx,01,8.0,3\n", "t.csv:3: the same architecture stands in row 2"),
        (b"a,b,c,ms\nx,1,8,\xff\n", "not UTF-8"),
        (b"\x1f\x8b\x08broken", "cannot be read"),
        (b"a,b,c,ms\n\x00,1,8,2\n", "t.csv"),
        (b"a,b,c,speed\nx,1,8,2\n", "unknown column 'ms'"),
    ],
)
def test_files_that_are_no_table(space: Space, content: bytes, says: str) -> None:
    Path("t.csv").write_bytes(content)
    with pytest.raises(NasError) as caught:
        read_table("table:t.csv#ms", space, metric="latency")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"), [("t.pickle", "may run code"), ("t.xlsx", "as CSV"), ("d", "folder")]
)
def test_other_kinds_of_file(space: Space, name: str, says: str) -> None:
    Path("d").mkdir()
    Path("t.pickle").write_bytes(b"cos\nabort\n(tR.")
    Path("t.xlsx").write_bytes(b"PK")
    with pytest.raises(NasError, match=says):
        read_table(f"table:{name}#ms", space, metric="latency")


def test_spreadsheets_habits_are_borne(space: Space) -> None:
    lines = [f'"{a}", {b}.0 ,{c},{x}%,{y}' for (a, b, c), x, y in zip(KEYS, ACC, MS)]
    text = "\ufeff" + "\r\n".join(["a,b,c,acc,ms", *lines, ",,,,"]) + "\r\n"
    Path("t.csv").write_bytes(text.encode())
    table = read_table("table:t.csv#acc", space, metric="accuracy", percent=True)
    assert len(table.known(space)) == 24 and table.numbers.max() == 0.523


CELLS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.integers().map(str),
    st.text(max_size=8),
    st.sampled_from(
        ["", "-1", "0", "NA", "57,5", "5%", "1e400", "٣", "1.0000001", "+3", "３", "1e-400", "--"]
    ),
)


@QUICK
@given(cells=st.lists(CELLS, min_size=24, max_size=24), percent=st.booleans())
def test_any_cells_are_numbers_of_that_kind_or_a_message(
    space: Space, cells: list[str], percent: bool
) -> None:
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    Path("t.csv").write_text(
        "\n".join(["a,b,c,v", *[f"{a},{b},{c},{q}" for (a, b, c), q in zip(KEYS, quoted)]]),
        encoding="utf-8",
        errors="replace",
    )
    try:
        table = read_table("table:t.csv#v", space, metric="latency", percent=percent)
    except NasError as error:
        assert "t.csv" in str(error)
        return
    assert np.isfinite(table.numbers).all() and len(table.numbers) == len(table.known(space))
    assert ((table.numbers >= 0) & (table.numbers <= 1)).all() if percent else (table.numbers > 0).all()


@QUICK
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_message(space: Space, data: bytes) -> None:
    Path("t.csv").write_bytes(b"a,b,c,ms\n" + data)
    try:
        read_table("table:t.csv#ms", space, metric="latency")
    except NasError as error:
        assert "t.csv" in str(error)


# partial tables


WIDE = "version: 1\nname: wide\ndecisions:\n" + "".join(f"  {k}: [1, 2, 3, 4, 5]\n" for k in "abcdef")
STRATEGIES = [*["random", "nsga2", "predictor", "nsga2:elasticvit", "generative"]]
STRATEGIES += [f"nevergrad:{name}" for name in ("TwoPointsDE", "OnePlusOne", "NGOpt")]


def partial(count: int, seed: int = 0, name: str = "t.csv") -> Path:
    rng = np.random.default_rng(seed)
    known = [np.unravel_index(i, (5,) * 6) for i in rng.choice(5**6, size=count, replace=False)]
    lines = [",".join(str(int(v) + 1) for v in k) + f",{50 + sum(k)},{2 + k[0] + k[1]}" for k in known]
    Path(name).write_text("\n".join(["a,b,c,d,e,f,acc,ms", *lines]) + "\n")
    return Path(name)


@pytest.fixture
def wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(WIDE)
    return nas.load_space("s.yaml")


TABLES: dict[str, str] = {"accuracy": "table:t.csv#acc", "latency": "table:t.csv#ms"}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("bound", [(), ("latency<=6ms",)])
def test_only_what_the_table_knows_is_evaluated(wide: Space, name: str, bound: Sequence[str]) -> None:
    partial(150)
    options = ["search.options.utility=objective"] if name == "generative" else []
    study = nas.run(
        "s.yaml",
        **TABLES,
        strategy=name,
        n_trials=50,
        study_name="s",
        settings=options,
        constraints=bound,
        report=False,
    )
    trials = study.trials()
    assert len(trials) == 50 and (trials["state"] == "complete").all() and trials["arch_id"].is_unique


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_table_is_searched_to_its_end(wide: Space, name: str) -> None:
    partial(23)
    options = ["search.options.utility=objective"] if name == "generative" else []
    study = nas.run(
        "s.yaml", **TABLES, strategy=name, n_trials=60, study_name="s", settings=options, report=False
    )
    assert len(study.trials()) == 23 and (study.trials()["state"] == "complete").all()


def test_a_search_finds_better_ones_than_chance_in_a_partial_table(wide: Space) -> None:
    partial(1200)
    best: dict[str, list[float]] = {}
    for name in ("random", "nsga2", "predictor"):
        for seed in range(5):
            study = nas.run(
                "s.yaml",
                accuracy="table:t.csv#acc",
                objectives=["accuracy:max"],
                strategy=name,
                seed=seed,
                n_trials=100,
                study_name=f"{name}{seed}",
                report=False,
            )
            best.setdefault(name, []).append(float(study.front()["accuracy"].max()))
    assert sum(best["nsga2"]) > sum(best["random"]) and sum(best["predictor"]) > sum(best["random"])


def test_tables_that_know_nothing_in_common(wide: Space) -> None:
    partial(20, 0)
    partial(20, 1, "u.csv")
    with pytest.raises(NasError, match="know no architecture in common"):
        nas.run(
            "s.yaml", accuracy="table:t.csv#acc", latency="table:u.csv#ms", strategy="random", study_name="s"
        )
    assert not Path("nas.db").exists() or not Storage().studies()


def test_a_complete_table_bounds_nothing(space: Space) -> None:
    written(ACC, MS)
    table = read_table("table:t.csv#ms", space, metric="latency")
    assert common([table], space) is None and table.known(space).ids


def test_rows_that_break_a_rule_are_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SPACE + "rules: [b * c <= 32]\n")
    space = nas.load_space("s.yaml")
    written(ACC, MS)
    table = read_table("table:t.csv#ms", space, metric="latency")
    assert len(table.known(space)) == 18 and common([table], space) is None
    assert any("6 of 24 rows break a rule of the space 'cells'" in note for note in table.notes)


def test_a_resumed_search_of_a_partial_table_goes_on_as_it_would_have(wide: Space) -> None:
    partial(150)
    for name in ("nsga2", "nevergrad:TwoPointsDE"):
        whole = nas.run("s.yaml", **TABLES, strategy=name, n_trials=40, study_name=f"w{name}", report=False)
        seen = list(whole.trials()["arch_id"])
        again = nas.run("s.yaml", **TABLES, strategy=name, n_trials=40, study_name=f"v{name}", report=False)
        assert list(again.trials()["arch_id"]) == seen


def test_cells_of_nas_bench_201_by_their_strings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|"
    other = one.replace("none~1", "avg_pool_3x3~1")
    Path("t.csv").write_text(f"index,arch_str,acc,ms\n0,{one},93.1,4.5\n1,{other},92.9,-1\n")
    space = nas.load_space("nasbench201")
    table = read_table("table:t.csv#acc", space, metric="accuracy", percent=True)
    assert table.numbers.tolist() in ([0.931, 0.929], [0.929, 0.931])
    values = table.known(space).to_dicts()[int(table.numbers.argmax())]
    assert values == {
        "edge_1_0": "avg_pool_3x3",
        "edge_2_0": "nor_conv_1x1",
        "edge_2_1": "skip_connect",
        "edge_3_0": "nor_conv_1x1",
        "edge_3_1": "none",
        "edge_3_2": "nor_conv_3x3",
    }
    assert len(read_table("table:t.csv#ms", space, metric="latency").known(space)) == 1
    Path("t.csv").write_text(
        f"arch_str,ms\n{one},1\n|a~0|+|b,2\n{one[:40]},3\n{one.replace('none', 'nothing')},3\n"
    )
    with pytest.raises(NasError, match="is no cell of NAS-Bench-201") as caught:
        read_table("table:t.csv#ms", space, metric="latency")
    assert "t.csv:3" in str(caught.value) and "t.csv:4" in str(caught.value)


def test_published_strings_and_columns_say_the_same(shared_data: Path) -> None:
    import csv
    import gzip

    from nas.measured.archs import edges_of

    with gzip.open(shared_data / "nasbench201" / "nasbench201.csv.gz", "rt") as file:
        rows = list(itertools.islice(csv.DictReader(file), 500))
    for row in rows:
        assert edges_of(row["arch"]) == {
            name: value for name, value in row.items() if name.startswith("edge_")
        }


def test_slimming_stays_where_the_table_knows_latencies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    space = nas.load_space(Path(__file__).parents[1] / "pipeline" / "small.yaml")
    batch = space.sample(400, seed=0).unique()
    names = [d.name for d in space.decisions]
    rows = [
        ",".join([*(str(arch.get(n, "")) for n in names), str(1 + sum(map(int, batch.codes[at])))])
        for at, arch in enumerate(batch.to_dicts())
    ]
    Path("t.csv").write_text("\n".join([",".join([*names, "ms"]), *rows]) + "\n")
    pool = read_table("table:t.csv#ms", space, metric="latency")

    def cheap(batch: ArchBatch) -> tuple[np.ndarray, np.ndarray]:
        ms = pool.values(batch)
        assert not np.isnan(ms).any()
        return np.stack([np.full(len(batch), np.nan), ms], axis=1), np.maximum(ms - 6, 0)

    search = strategy("slimming", space, ("max", "min"), cheap=cheap)
    search.bind(pool.known(space))
    seen: set[str] = set()
    while len(asked := search.ask(16)):
        assert not seen & set(asked.ids) and not np.isnan(pool.values(asked)).any()
        seen |= set(asked.ids)
        loss = 1 + asked.codes.sum(axis=1) / 100
        values = np.stack([-loss, pool.values(asked)], axis=1)
        search.tell(asked, values, cheap(asked)[1], {"loss": loss, "params": loss})
    assert len(seen) > 1 and len(search.course()) > 1
