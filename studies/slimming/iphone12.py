"""The kernel model fitted to seven published latencies of an iPhone 12, each model left out in turn.

python studies/slimming/iphone12.py --data DIR    (DIR holds published_latency.csv)

`--predictor FOLDER` writes the predictor of the device `iphone12`, if its mean error is under 25 %.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "predictors"))

from study import Row, data_file, run, say, write_tables  # noqa: E402

import nas  # noqa: E402
from nas.errors import NasError  # noqa: E402
from nas.files import write_atomically  # noqa: E402
from nas.latency.kernel_model import kernel_terms  # noqa: E402
from nas.latency.report import DataFacts, Errors, KernelReport, Report, ResidualReport  # noqa: E402
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
LEAST = 0.01  # of the rate at which a class alone would take all the time
FORMS = ("one rate", "work and launches", "depth-wise apart", "classes")
SHIPPED = ("Xcode 14", "depth-wise apart")


def main() -> None:
    """Fit, leave one out, write the tables."""
    parser = argparse.ArgumentParser(
        prog="python studies/slimming/iphone12.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with published_latency.csv")
    parser.add_argument("--predictor", type=Path, help="folder for the predictor of the device")
    parser.add_argument("--output", type=Path, default=HERE / "iphone12", help="folder for the tables")
    options = parser.parse_args()
    file = data_file(options.data, "published_latency.csv", "named in its rows")
    rows = list(csv.DictReader(file.open()))
    found: list[Row] = []
    for tool, mark in TOOLS.items():
        known = published(rows, mark)
        terms = {name: work(*MODELS[name]) for name in known}
        ms = np.array(list(known.values()))
        for form in FORMS:
            table = amounts([terms[name] for name in known], form)
            guesses = all_left_out(table, ms)
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
    if options.predictor is not None:
        write_atomically(
            options.predictor / "report.json", predictor(rows, file).model_dump_json(indent=1) + "\n"
        )
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
    names = _classes(terms, form)
    return np.array(
        [[sum(v for k, v in found.items() if _class(k, form) == name) for name in names] for found in terms]
    )


def _classes(terms: list[dict[str, float]], form: str) -> list[str]:
    return sorted({_class(name, form) for found in terms for name in found} - {""})


def _class(term: str, form: str) -> str:
    op, _, what = term.partition(".")
    if form == "one rate":
        return what if what == "macs" else ""
    if form == "work and launches":
        return what
    if what in ("macs", "read"):
        return "depthwise" if op == "depthwise" else what
    if form == "depth-wise apart":
        return what
    return f"{'heavy' if op in HEAVY else 'light'}.{what}"


def all_left_out(table: FloatArray, ms: FloatArray) -> FloatArray:
    """Milliseconds of each network `(n,)` by rates fitted to all others."""
    every = np.arange(len(ms))
    return np.array([float(table[i] @ rates(table[every != i], ms[every != i])) for i in every])


def rates(table: FloatArray, ms: FloatArray) -> FloatArray:
    """Rates for which the networks' relative errors are least; none is 0, for no kernel is free."""
    relative = table / ms[:, None]
    scale = np.where(relative.any(axis=0), relative.max(axis=0), 1.0)
    least = np.array(
        [LEAST * np.median(1 / column[column > 0]) if column.any() else 0.0 for column in relative.T]
    )
    found, _ = nnls(relative / scale, 1 - relative @ least)
    return np.asarray(least + found / scale)


def half_width(ratios: FloatArray) -> float:
    """Half a 90 % interval of `log(predicted / published)`: the largest, wider the fewer networks there are."""
    return (1 + 1 / len(ratios)) * float(np.abs(ratios).max())


def predictor(rows: list[dict[str, str]], file: Path) -> Report:
    """The kernel model of the device, fitted to all networks under the newer tool.

    Raises:
        NasError: its mean error on networks left out is not under 25 %.
    """
    known = published(rows, TOOLS[SHIPPED[0]])
    terms, ms = [work(*MODELS[name]) for name in known], np.array(list(known.values()))
    table = amounts(terms, SHIPPED[1])
    guesses = all_left_out(table, ms)
    errors = Errors.of(ms, guesses)
    if errors.mean >= LIMIT:
        raise NasError(
            f"not shipped: mean error {errors.mean:.1%} on networks left out, {LIMIT:.0%} at most."
        )
    by_class = dict(zip(_classes(terms, SHIPPED[1]), rates(table, ms)))
    by_term = {term: float(by_class[_class(term, SHIPPED[1])]) for found in terms for term in found}
    ratios = np.log(guesses / ms)
    return Report(
        name="iphone12",
        data=DataFacts(
            file=file.name,
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            source="snap-research/EfficientFormer, README and figures",
            licence="published facts",
            units=0,
        ),
        folds=len(ms),
        seed=0,
        trees={},
        libraries={"numpy": np.__version__},
        errors=None,
        coverage=None,
        kinds={},
        kernels=KernelReport(
            rates=dict(sorted(by_term.items())), errors={}, log_half=half_width(ratios), coverage=None
        ),
        residual=_no_residual(table @ rates(table, ms), ms, errors, ratios),
    )


def _no_residual(sums: FloatArray, ms: FloatArray, errors: Errors, ratios: FloatArray) -> ResidualReport:
    """Nothing is corrected; the networks' errors are those left out, and so are the intervals."""
    inside = [abs(ratios[i]) <= half_width(np.delete(ratios, i)) for i in range(len(ratios))]
    return ResidualReport(
        form="none",
        kinds=[],
        features=[],
        mean=[],
        scale=[],
        intercept=0.0,
        weights=[],
        limits=(0.0, 0.0),
        range_ms=(float(sums.min()), float(sums.max())),
        sums=Errors.of(ms, sums),
        errors=errors,
        floor=0.0,
        factor=1.0,
        coverage=float(np.mean(inside)),
    )


def _summary(found: list[Row], tool: str, form: str) -> Row:
    errors = [abs(float(str(r["error"]))) for r in found if r["tool"] == tool and r["model of"] == form]
    mean = float(np.mean(errors))
    row = {"tool": tool, "model of": form, "models": len(errors), "mean error": mean, "largest": max(errors)}
    return {**row, "under 25 %": "yes" if mean < LIMIT else "no"}


if __name__ == "__main__":
    run(main)
