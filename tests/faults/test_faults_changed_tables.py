"""A table that was edited between two sessions of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

import nas
from nas.errors import NasError

SPACE = "version: 1\nname: cells\ndecisions:\n  a: [x, y, z]\n  b: [1, 2, 3, 4]\n"
ROWS = [
    f"{a},{b},{50 + 3 * i},{1 + i}" for i, (a, b) in enumerate((a, b) for a in "xyz" for b in (1, 2, 3, 4))
]


def write(rows: list[str]) -> None:
    Path("t.csv").write_text("\n".join(["a,b,acc,ms", *rows]) + "\n")


def run(trials: int, resume: bool) -> nas.Study:
    return nas.run(
        "s.yaml", accuracy="table:t.csv#acc", latency="table:t.csv#ms", strategy="random", n_trials=trials,
        study_name="s", resume=resume, report=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "metric"),
    [
        ([*ROWS[:-1], "z,4,84,12"], "accuracy"),
        ([*ROWS[:-1], "z,4,83,13"], "latency"),
        (ROWS[:-1], "accuracy"),
    ],
)
def test_a_study_does_not_go_on_with_another_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[str], metric: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SPACE)
    write(ROWS)
    run(4, resume=False)
    write(rows)
    with pytest.raises(NasError, match=f"its table of {metric}, holds other values"):
        run(8, resume=True)
    assert len(nas.load_study("s").trials()) == 4
    write(list(reversed(ROWS)))  # in another order they are the same
    assert len(run(8, resume=True).trials()) == 8
