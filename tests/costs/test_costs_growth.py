"""Work grows with the number of stages, not with its square: counted in lines of our code that run."""

from __future__ import annotations

from pathlib import Path

import pytest
from lines_run import lines_run
from stage_chains import chain, derived_chain, identity_chain

from nas.costs.counts import counted
from nas.costs.plan import CostPlan
from nas.space import Space, load_space

FEW, MANY = 20, 60
MOST = 1.1  # times the ratio of stages
TABLES = 1.5  # the same of the lookup, which goes by tables: how many stages share one changes by jumps
TEXTS = {
    "plain": chain,
    "shared": lambda stages: chain(stages, shared=True, rules=True),
    "derived": derived_chain,
    "identity": identity_chain,
}


@pytest.mark.parametrize("name", TEXTS)
def test_work_grows_with_the_stages(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "nas.costs.grouping.WINDOW", 12
    )  # few stages stand for many: their groups exceed it by far
    few, many = (_work(tmp_path, TEXTS[name](stages)) for stages in (FEW, MANY))
    ratios = {part: many[part] / few[part] for part in many}
    assert ratios.pop("lookup") < TABLES * MANY / FEW
    assert max(ratios.values()) < MOST * MANY / FEW, ratios


def _work(folder: Path, text: str) -> dict[str, int]:
    path = folder / "chain.yaml"
    path.write_text(text)
    spaces: list[Space] = []
    work = {"load": lines_run(lambda: spaces.append(load_space(path)))}
    space = spaces[0]
    batch = space.sample(20, seed=1)
    work["sample"] = lines_run(lambda: space.sample(20, seed=0))
    work["canonical"] = lines_run(lambda: space.canonical(batch.codes))
    plans: list[CostPlan] = []
    work["plan"] = lines_run(lambda: plans.append(CostPlan(space, counted("deploy"))))
    work["lookup"] = lines_run(lambda: plans[0](batch))
    return work
