"""The kernel model fitted to seven published latencies of an iPhone 12, each model left out in turn.

python studies/slimming/iphone12.py --data DIR    (DIR holds published_latency.csv)
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "predictors"))

from study import Row, data_file, run, say, write_tables  # noqa: E402

import nas  # noqa: E402
from nas.latency.kernel_model import kernel_terms  # noqa: E402
from nas.latency.signature import unit_keys  # noqa: E402
from nas.latency.times import FloatArray  # noqa: E402

DEVICE = "iPhone 12"
TOOLS = {"Xcode 14": "Xcode14", "coreml-performance": "coreml-performance"}
MODELS = {
    **{f"EfficientFormer-{name}": ("efficientformer", name) for name in ("L1", "L3", "L7")},
    **{f"EfficientFormerV2-{name}": ("efficientformer_v2", name) for name in ("S0", "S1", "S2", "L")},
}
HEAVY = ("conv", "matmul", "depthwise")
LIMIT = 0.25
FORMS = ("one rate", "work and launches", "classes")


def main() -> None:
    """Fit, leave one out, write the tables."""
    parser = argparse.ArgumentParser(
        prog="python studies/slimming/iphone12.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with published_latency.csv")
    parser.add_argument("--output", type=Path, default=HERE / "iphone12", help="folder for the tables")
    options = parser.parse_args()
    rows = list(csv.DictReader(data_file(options.data, "published_latency.csv", "named in its rows").open()))
    found: list[Row] = []
    for tool, mark in TOOLS.items():
        known = published(rows, mark)
        terms = {name: work(*MODELS[name]) for name in known}
        ms = np.array(list(known.values()))
        for form in FORMS:
            table = amounts([terms[name] for name in known], form)
            guesses = np.array([left_out(table, ms, index) for index in range(len(ms))])
            errors = np.abs(guesses / ms - 1)
            say(f"{tool}, {form}: left out, mean error {errors.mean():.1%}, largest {errors.max():.1%}")
            found += [
                {
                    "tool": tool,
                    "model of": form,
                    "left out": name,
                    "published ms": float(m),
                    "predicted ms": float(g),
                }
                | {"error": float(g / m - 1)}
                for name, m, g in zip(known, ms, guesses)
            ]
    write_tables(options.output, "left_out", found)
    write_tables(options.output, "errors", [_summary(found, tool, form) for tool in TOOLS for form in FORMS])


def published(rows: list[dict[str, str]], mark: str) -> dict[str, float]:
    """Published milliseconds by model under one tool, the first row of each model."""
    known: dict[str, float] = {}
    for row in rows:
        if (
            row["device"] == DEVICE
            and mark in row["runtime"]
            and row["model"] in MODELS
            and row["resolution"] == "224"
        ):
            known.setdefault(row["model"], float(row["latency_ms"]))
    return dict(sorted(known.items()))


def work(space: str, preset: str) -> dict[str, float]:
    """Amounts of kernel work of a published network, by term of the kernel model."""
    loaded, total = nas.load_space(space), dict[str, float]()
    for slot in loaded.lower(loaded.presets[preset]):
        if slot.active:
            sizes = np.array([[int(slot.sizes[key]) for key in unit_keys(slot.kind)]])
            for term, amount in kernel_terms(slot.kind, sizes).items():
                total[term] = total.get(term, 0.0) + float(amount[0])
    return total


def amounts(terms: list[dict[str, float]], form: str) -> FloatArray:
    """Columns of a model `(networks, terms)`: seven networks carry few rates, so terms are summed by class."""
    names = sorted({_class(name, form) for found in terms for name in found} - {""})
    return np.array(
        [[sum(v for k, v in found.items() if _class(k, form) == name) for name in names] for found in terms]
    )


def _class(term: str, form: str) -> str:
    op, _, what = term.partition(".")
    if form == "one rate":
        return what if what == "macs" else ""
    if form == "work and launches":
        return what
    if what in ("macs", "read"):
        return "depthwise" if op == "depthwise" else what
    return f"{'heavy' if op in HEAVY else 'light'}.{what}"


def left_out(table: FloatArray, ms: FloatArray, index: int) -> float:
    """Milliseconds of one network by rates ≥ 0 fitted to the relative errors of all others."""
    others = np.arange(len(ms)) != index
    relative = table[others] / ms[others, None]
    scale = relative.max(axis=0)
    rates, _ = nnls(relative / scale, np.ones(int(others.sum())))
    return float(table[index] @ (rates / scale))


def _summary(found: list[Row], tool: str, form: str) -> Row:
    errors = [abs(float(str(r["error"]))) for r in found if r["tool"] == tool and r["model of"] == form]
    mean = float(np.mean(errors))
    row = {"tool": tool, "model of": form, "models": len(errors), "mean error": mean, "largest": max(errors)}
    return {**row, "under 25 %": "yes" if mean < LIMIT else "no"}


if __name__ == "__main__":
    run(main)
