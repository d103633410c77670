"""What a run says of itself."""

from __future__ import annotations

import pytest

from nas.metrics import Metric
from nas.pipeline.finishing import FINAL
from nas.pipeline.verdicts import judge_chance
from nas.store import Objective, Storage, TrialRecord


class Heard:
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def _accuracy(value: float, half: float) -> Metric:
    return Metric(value, "fraction", "measured", value - half, value + half)


@pytest.mark.parametrize(
    ("searched", "final", "classes", "warned"),
    [(0.6, 0.55, 10, False), (0.13, 0.1, 10, True), (0.14, None, 10, True), (0.14, None, 1000, False),
     (0.3, 0.12, 10, True), (0.1, 0.1, None, False)],
)  # fmt: skip
def test_a_study_whose_best_network_guesses_says_so(
    searched: float, final: float | None, classes: int | None, warned: bool
) -> None:
    storage, heard = Storage("sqlite://"), Heard()
    objectives = [Objective("accuracy", "max", "fraction"), Objective("macs", "min", "MACs")]
    study = storage.create_study("s", space="t", space_hash="0" * 16, objectives=objectives, config={})
    rows = [(0.05, 1e6), (searched, 2e6)]
    records = [
        TrialRecord(
            f"{i:016x}", {"a": i}, 0, "complete",
            {"accuracy": _accuracy(value, 0.05), "macs": Metric(macs, "MACs", "counted")}, 0.1, 0.0,
        )
        for i, (value, macs) in enumerate(rows)
    ]  # fmt: skip
    storage.add_trials(study.id, records)
    if final is not None:
        storage.add_metrics(study.id, FINAL, {0: {"accuracy": _accuracy(0.4, 0.05)}})
        storage.add_metrics(study.id, FINAL, {1: {"accuracy": _accuracy(final, 0.03)}})
    judge_chance(classes, storage, study, heard)  # type: ignore[arg-type]
    assert bool(heard.warnings) == warned
    noted = storage.study("s").facts.get("chance")
    assert (noted is not None) == warned
    if warned:
        assert "not better than guessing" in heard.warnings[0] and "10.0%" in heard.warnings[0]
        assert noted["accuracy"] == (searched if final is None else final)
