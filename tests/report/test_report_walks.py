"""What the report says of searches that walk or learn: slimming's course, a generator's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nas.report.sections import breakdown_section, course_section, generator_section
from nas.report.snapshot import Snapshot


def _learned(snapshot: Snapshot, **last: Any) -> str:
    decision = {"values": [1, 2], "start": [0.5, 0.5], "now": [0.25, 0.75], "moved": 0.19, "effects": None}
    step: dict[str, Any] = {"evaluated": 8, "best": 70.0, "feasible": 0.5, "utility": "netscore", "probed": 0}
    step["decisions"] = {"depth": decision}
    series = {**snapshot.series, "generator": [(0, {**step, **last})]}
    return generator_section(replace(snapshot, series=series)).lead


def test_the_inquisitor_is_told_from_none_and_from_one_that_knows_too_little(snapshot: Snapshot) -> None:
    assert "it had no inquisitor" in _learned(snapshot)
    early = _learned(snapshot, probed=8)
    assert "probed 8 networks, but too few were evaluated" in early and "no inquisitor" not in early
    assert "75.0 % of those of guessing" in _learned(snapshot, probed=40, skill=0.25)


def test_worth_is_named(snapshot: Snapshot) -> None:
    assert "by NetScore: accuracy against parameters and MACs." in _learned(snapshot)
    assert "by the first objective alone." in _learned(snapshot, utility="objective")


@pytest.mark.parametrize(("rule", "told"), [("latency", "for what it saved"), ("mes", "for its gain of MES")])
def test_the_rule_of_the_cuts_is_told(rule: str, told: str, snapshot: Snapshot) -> None:
    steps = [{"arch_id": f"{n}", "action": "a", "saved": n, "cost": 3.0 - n, "loss": 1.0} for n in range(3)]
    config = {**snapshot.study.config, "settings": {"search": {"options": {"rule": rule}}}}
    walked = replace(
        snapshot,
        study=replace(snapshot.study, config=config),
        series={**snapshot.series, "course": list(enumerate(steps))},
    )
    lead = course_section(walked).lead
    assert "2 cuts" in lead and "saved most without losing anything" in lead and f"lost least {told}." in lead


@pytest.mark.parametrize(("devices", "told"), [(["pixel6"], "did not get there"), ([], "has no device")])
def test_a_run_that_failed_before_its_breakdown_is_told_from_one_without_a_device(
    devices: list[str], told: str, snapshot: Snapshot
) -> None:
    study = replace(snapshot.study, config={**snapshot.study.config, "devices": devices}, facts={})
    assert told in breakdown_section(replace(snapshot, study=study)).lead
