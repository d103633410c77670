"""Predictors of the latency of archs, learned from (arch, latency) pairs.

A predictor is a folder: `report.json` (`nas.latency.arch.report`) and, where they help, `trees.ubj.gz`.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import NasError
from nas.files import write_atomically
from nas.latency.arch.cell import connected
from nas.latency.arch.member import Law, Member
from nas.latency.arch.model import ArchModel
from nas.latency.arch.report import ArchReport
from nas.latency.arch.terms import OTHER, Terms, arch_terms, group_of
from nas.latency.metric_array import MetricArray
from nas.latency.predictor import pack
from nas.latency.report import read_report
from nas.latency.times import CODES, FloatArray
from nas.space.batch import ArchBatch
from nas.space.space import Space

TREES_FILE = "trees.ubj.gz"
_REFIT = "Fit it again (nas predictor fit)."


@dataclass(frozen=True)
class ArchLatencyPredictor:
    """A fitted predictor.

    Attributes:
        report: what it was fitted on and its errors.
        space: the space of its archs.
        model: the laws and trees.
    """

    report: ArchReport
    space: Space
    model: ArchModel

    def predict(self, batch: ArchBatch, others: Mapping[str, FloatArray] | None = None) -> MetricArray:
        """Latencies in ms with the 90 % interval, float64 `(n,)`.

        They are `predicted`; cells without a path from input to output, which no fit includes, `estimated`.

        Args:
            batch: archs of the predictor's space.
            others: for each device in `report.others` the known latencies of these archs in ms, `(n,)`.

        Raises:
            NasError: another space, or a device whose latencies are missing.
        """
        if batch.space.hash != self.space.hash:
            raise NasError(
                f"the predictor {self.report.name!r} is for archs of {self.space.name!r}, not of {batch.space.name!r}."
            )
        known = others or {}
        missing = [device for device in self.report.others if device not in known]
        if missing:
            raise NasError(
                f"the predictor {self.report.name!r} needs the archs' latencies on {missing[0]!r} too."
            )
        terms = arch_terms(batch, {device: known[device] for device in self.report.others})
        ms = self.model.predict(terms)
        low, high = self.report.interval.ends(ms)
        code = np.where(connected(batch), CODES["predicted"], CODES["estimated"]).astype(np.uint8)
        return MetricArray(ms, unit="ms", codes=code, low=low, high=high, detail=self.report.name)

    def write(self, folder: str | Path) -> None:
        """Write into `folder`, the report last, so that it never lacks its trees."""
        folder = Path(folder)
        if self.report.trees is not None:
            write_atomically(folder / self.report.trees.file, pack(self.model.booster))
        write_atomically(folder / "report.json", self.report.model_dump_json(indent=1) + "\n")


def load_arch_predictor(folder: str | Path, space: Space) -> ArchLatencyPredictor:
    """The predictor in a folder, for the space it was fitted on.

    Raises:
        NasError: not a predictor, another space, or damaged or outdated files.
    """
    folder = Path(folder)
    path = folder / "report.json"
    report = read_report(path, ArchReport, _REFIT)
    if report.space_hash != space.hash:
        raise NasError(
            f"{path}: was fitted on {report.space!r}, which is not {space.name!r} as it is today. {_REFIT}"
        )
    _check_probe(path, report, space)
    members = tuple(Member(Law(m.form, m.groups, m.strength), m.weights) for m in report.members)
    model = ArchModel(members, tuple(member.share for member in report.members))
    if report.trees is not None:
        booster = _read_trees(folder / report.trees.file, report)
        model = replace(model, features=report.trees.features, booster=booster, scale=report.trees.scale)
    return ArchLatencyPredictor(report, space, model)


def own_terms(terms: Terms) -> Terms:
    """The terms that follow from the arch alone."""
    return {name: values for name, values in terms.items() if group_of(name) != OTHER}


def _check_probe(path: Path, report: ArchReport, space: Space) -> None:
    terms = arch_terms(space.encode(report.probe.archs))
    fitted = report.probe.terms
    if set(terms) != set(fitted) or not all(
        np.allclose(terms[name], fitted[name], rtol=1e-9) for name in fitted
    ):
        raise NasError(f"{path}: was fitted on other terms of {space.name!r} than today's. {_REFIT}")


def _read_trees(path: Path, report: ArchReport) -> Any:
    import xgboost

    assert report.trees is not None
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise NasError(f"{path}: cannot be read: {error.strerror}. {_REFIT}") from None
    # Checked before XGBoost sees the bytes: its parser is no judge of damaged files.
    if hashlib.sha256(packed).hexdigest() != report.trees.sha256:
        raise NasError(f"{path}: is not the file its report.json was written with. {_REFIT}")
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(gzip.decompress(packed)))
    except xgboost.core.XGBoostError:
        written = report.libraries.get("xgboost", "another version")
        raise NasError(
            f"{path}: XGBoost {xgboost.__version__} cannot read trees written by {written}. Upgrade it, or fit again."
        ) from None
    return booster
