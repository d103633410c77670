"""Studies that lack something, have more than most, or mean harm."""

from __future__ import annotations

from dataclasses import replace

from report_small import trial
from report_synthetic import Recipe

from nas.metrics import Metric
from nas.store import Objective, Preset, Storage

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
ACCURACY = Objective("accuracy", "max", "fraction")
LATENCY = Objective("latency", "min", "ms")
SMALL = Objective("params", "min", "params")
BARE = {"training": False, "final": False}
ODD = {
    "two devices": Recipe("two", devices=("pixel6", "pixel4"), trials=60),
    "three objectives": Recipe("three", objectives=(ACCURACY, LATENCY, SMALL), trials=60),
    "one objective": Recipe("single", objectives=(ACCURACY,), trials=60),
    "no training, no device": Recipe(
        "table",
        devices=(),
        objectives=(ACCURACY, Objective("macs", "min", "MACs")),
        limit_ms=None,
        trials=60,
        **BARE,  # type: ignore[arg-type]
    ),
    "one trial, running": Recipe("one", trials=1, state="running", limit_ms=None, **BARE),  # type: ignore[arg-type]
    "no trial": Recipe("none", trials=0, state="running", **BARE),  # type: ignore[arg-type]
    "empty front": Recipe("empty", limit_ms=0.5, state="interrupted", final=False, trials=40),
}


def make_evil(storage: Storage) -> None:
    """A study in which every text tries to run."""
    arch = {EVIL: EVIL, "stage.width": EVIL}
    made = storage.create_study(
        EVIL,
        space=EVIL,
        space_hash=EVIL,
        objectives=[ACCURACY, replace(LATENCY, name=f"latency@{EVIL}")],
        config={"settings": {"search": {"strategy": EVIL}}, "devices": [EVIL]},
        constraints=[{"text": EVIL}],
    )
    metrics = {
        "accuracy": Metric(0.5, "fraction", "measured", 0.4, 0.6, EVIL),
        f"latency@{EVIL}": Metric(5.0, "ms", "predicted", detail=EVIL),
    }
    records = [replace(trial(0, 0.5, 5.0, arch=arch), metrics=metrics, arch_id=EVIL)]
    storage.add_trials(made.id, records)
    storage.set_reference_point(made.id, {"accuracy": 0.0, f"latency@{EVIL}": 9.0})
    storage.record_front(made.id, 0, wall_s=1.0)
    storage.set_presets(made.id, [Preset(EVIL, "p", {EVIL: EVIL}, metrics)])
    storage.add_facts(
        made.id,
        {
            "warnings": [EVIL],
            "devices": [EVIL],
            "command": EVIL,
            "data": {EVIL: EVIL},
            "deviations": [[EVIL, EVIL, EVIL, EVIL]],
            "sampler": {EVIL: EVIL},
            "versions": {EVIL: EVIL},
            "breakdown": {EVIL: {EVIL: {EVIL: 1.0}}},
            "space_distribution": {EVIL: {EVIL: 1.0}},
        },
    )
