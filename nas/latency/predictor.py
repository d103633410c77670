"""Predictors: fitted latency models of a device's units, with the error they are known to make.

A predictor is a folder: `report.json` (see `nas.latency.report`), the trees of each kind of unit, those of the
network residual, and under `like/` the predictors it corrects, each only if there are any.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas import cache, content
from nas.errors import NasError
from nas.files import write_atomically
from nas.latency.kernel_model import KernelModel
from nas.latency.model import UnitModel
from nas.latency.report import KindReport, Report, read_report
from nas.latency.residual import Residual
from nas.latency.rows import IntArray
from nas.latency.signature import parse_signature, sizes_of, words
from nas.latency.times import CODES, UnitTimes
from nas.latency.transfer import Transfer

REFIT = "Fit it again (predictors/README.md)."
LEVELS = ("trees", "extrapolated", "transfer", "kernels")
SOURCES = "like"


@dataclass
class Predictor:
    """A fitted latency model; the trees of a kind are read when it is first asked for.

    Attributes:
        report: what it was fitted on, what it knows, and its errors.
        folder: where it lies; None for one that was just fitted.
        models: trees by kind of unit, those read so far.
        residual: what does not add up in networks, or None.
        transfer: other devices' predictors with a correction, or None.
    """

    report: Report
    folder: Path | None = None
    models: dict[str, UnitModel] = field(default_factory=dict, repr=False)
    residual: Residual | None = field(default=None, repr=False)
    transfer: Transfer | None = field(default=None, repr=False)

    @property
    def kinds(self) -> list[str]:
        """Kinds of unit it has trees of, sorted; it estimates all others."""
        return sorted(self.report.kinds)

    def describe(self) -> str:
        """How it times units and how far it is off, to print wherever it is used."""
        report = self.report
        if report.transfer:
            others = ", ".join(report.transfer.sources)
            said = f"XGBoost block model transferred from {others} by {report.transfer.units} units"
            how = "left out in turn"
        elif not report.data.units:
            return f"kernel model, no unit timed{self._networks()}"
        else:
            said, how = "XGBoost block model", f"{report.folds}-fold"
        said += f", {how}: {report.errors}" if report.errors else ", its error unknown"
        return said + self._networks()

    def _networks(self) -> str:
        about = self.report.residual
        return f"; {about.errors.units} measured networks, left out: {about.errors}" if about else ""

    @property
    def kernels(self) -> KernelModel:
        """The model of last resort."""
        about = self.report.kernels
        return KernelModel(
            about.rates, about.log_half, {kind: one.log_half for kind, one in about.timed.items()}
        )

    def predict(self, kind: str, rows: IntArray) -> UnitTimes:
        """Times of units of any kind, sizes of shape `(n, k)`, by the first level that knows each.

        Trees: `predicted` at fitted sizes, with the interval that held 90 % of the units left out in
        cross-validation; beyond the fitted ranges `estimated`, with the interval that held 90 % of the units just
        beyond the range of a fit without them (further out nothing is known about the error); at values between
        fitted ones `estimated` too, with the interval that held 90 % of the units whose value was left out.
        Then the transfer from other devices, if there is one; else the kernel model, `estimated`.

        Raises:
            NasError: no block has units of this kind, or damaged files.
        """
        levels = self.levels(kind, rows)
        times = UnitTimes.exact(np.zeros(len(rows)), "estimated")
        by_trees = levels < LEVELS.index("transfer")
        if by_trees.any():
            times = times.filled(by_trees, self._by_trees(kind, rows[by_trees]))
        if not by_trees.all():
            others: TimesKinds = self.transfer or self.kernels
            times = times.filled(~by_trees, others.predict(kind, rows[~by_trees]))
        return times

    def levels(self, kind: str, rows: IntArray) -> NDArray[np.uint8]:
        """Which level times each unit: positions in `LEVELS`, shape `(n,)`."""
        last = LEVELS.index("transfer" if self.transfer else "kernels")
        levels = np.full(len(rows), last, dtype=np.uint8)
        if kind in self.report.kinds:
            known = self._known_words(kind, rows)
            levels[known] = LEVELS.index("trees")
            extrapolated = self.outside(kind, rows) | self._between(kind, rows).any(axis=0)
            levels[known & extrapolated] = LEVELS.index("extrapolated")
        return levels

    def outside(self, kind: str, rows: IntArray) -> NDArray[np.bool_]:
        """Which units (sizes of shape `(n, k)`) lie outside what the trees were fitted on; shape `(n,)`.

        Outside is a size beyond its fitted range, or a map that is not square where all fitted ones were.
        """
        about, sizes = self.report.kinds[kind], sizes_of(kind, rows)
        beyond = [(sizes[key] < low) | (sizes[key] > high) for key, (low, high) in about.ranges.items()]
        beyond.append(about.square & (sizes["h"] != sizes["w"]))
        return np.asarray(np.any(beyond, axis=0))

    def model(self, kind: str) -> UnitModel:
        """The trees of one kind, read from their file the first time.

        Raises:
            NasError: the file is missing or damaged, or the features are computed otherwise today.
        """
        if kind not in self.models:
            about = self.report.kinds[kind]
            booster = read_trees(self._path(about.file), about.sha256, self.report)
            model = UnitModel(kind, about.work, tuple(about.features), booster)
            _check_probe(self._path(about.file), model, about)
            self.models[kind] = model
        return self.models[kind]

    def check(self) -> None:
        """Read every file of it and of the predictors it corrects.

        Raises:
            NasError: one is missing, damaged, or fitted on features that are computed otherwise today.
        """
        for kind in self.kinds:
            self.model(kind)
        for source in self.transfer.sources if self.transfer else ():
            source.check()

    @property
    def digest(self) -> str | None:
        """64 hexadecimal digits over its report and all its files; None for one that does not lie in files."""
        about = self.report.residual
        files = [*(kind.file for kind in self.report.kinds.values()), *([about.file] if about else [])]
        sources = [source.digest for source in self.transfer.sources] if self.transfer else []
        if self.folder is None or None in sources:
            return None
        try:
            trees = [(self.folder / file).read_bytes() for file in files if file]
        except OSError:  # read_trees says so
            return None
        return cache.digest([self.report.model_dump_json(), *trees, *(text for text in sources if text)])

    def write(self, folder: str | Path) -> None:
        """Write the report and the trees into `folder`; the report last, so that it never lacks its trees."""
        folder = Path(folder)
        for kind, about in self.report.kinds.items():
            write_atomically(folder / about.file, self._packed(about.file, self.model(kind).booster))
        if self.residual and self.residual.booster is not None:
            file = self.residual.report.file
            write_atomically(folder / file, self._packed(file, self.residual.booster))
        for source in self.transfer.sources if self.transfer else ():
            source.write(folder / SOURCES / source.report.name)
        write_atomically(folder / "report.json", self.report.model_dump_json(indent=1) + "\n")

    def _by_trees(self, kind: str, rows: IntArray) -> UnitTimes:
        about, ms = self.report.kinds[kind], self.model(kind).predict(rows)
        low, high = about.interval.ends(ms)
        codes = np.full(len(rows), CODES["predicted"], dtype=np.uint8)
        where = [self.outside(kind, rows), *self._between(kind, rows)]
        for at, wider in zip(where, (about.outside_interval, *(gap.interval for gap in about.gaps.values()))):
            codes[at] = CODES["estimated"]
            ends = wider.ends(ms[at])
            low[at], high[at] = np.minimum(low[at], ends[0]), np.maximum(high[at], ends[1])
        return UnitTimes(ms, codes, low, high)

    def _between(self, kind: str, rows: IntArray) -> NDArray[np.bool_]:
        """Per discrete size, which units have a value of it that no timed unit had, shape `(sizes, n)`."""
        gaps, sizes = self.report.kinds[kind].gaps, sizes_of(kind, rows)
        found = np.zeros((len(gaps), len(rows)), dtype=bool)
        for index, (size, gap) in enumerate(gaps.items()):
            inner = (sizes[size] > gap.values[0]) & (sizes[size] < gap.values[-1])
            found[index] = inner & ~np.isin(sizes[size], gap.values)
        return found

    def _known_words(self, kind: str, rows: IntArray) -> NDArray[np.bool_]:
        """Which units have only activations and norms that the trees were fitted on, shape `(n,)`."""
        known, sizes = np.ones(len(rows), dtype=bool), sizes_of(kind, rows)
        for key, fitted in self.report.kinds[kind].words.items():
            codes = [code for code, word in enumerate(words(kind, key)) if word in fitted]
            known &= np.isin(sizes[key], codes)
        return known

    def _packed(self, file: str, booster: Any) -> bytes:
        return self._path(file).read_bytes() if self.folder else pack(booster)

    def _path(self, file: str) -> Path:
        if self.folder is None:
            raise NasError(f"the predictor {self.report.name!r} lacks the trees of {file}.")
        return self.folder / file


class TimesKinds(Protocol):
    """What times units of any kind."""

    def predict(self, kind: str, rows: IntArray) -> UnitTimes:
        """Times of units of a kind, sizes of shape `(n, k)`."""


def load_predictor(name_or_path: str | Path) -> Predictor:
    """A shipped predictor by name, or one in a folder.

    Raises:
        NasError: no such predictor, or a report that is not one.
    """
    folder = content.find("predictors", name_or_path)
    path = folder / "report.json"
    report = read_report(path, Report, REFIT)
    predictor = Predictor(report, folder)
    if report.residual:
        about = report.residual
        trees = read_trees(folder / about.file, about.sha256, report) if about.file else None
        predictor.residual = Residual(about, trees)
    if report.transfer:
        sources = [load_predictor(folder / SOURCES / name) for name in report.transfer.sources]
        predictor.transfer = Transfer(report.transfer, sources)
    return predictor


def pack(booster: Any) -> bytes:
    """An XGBoost model as gzip-compressed UBJSON, the same bytes for the same model."""
    return gzip.compress(bytes(booster.save_raw("ubj")), compresslevel=9, mtime=0)


def read_trees(path: Path, sha256: str, report: Report) -> Any:
    """An XGBoost model (`xgboost.Booster`) as `pack` wrote it.

    Raises:
        NasError: the file is missing, damaged, or of another XGBoost.
    """
    import xgboost

    try:
        packed = path.read_bytes()
    except OSError as error:
        raise NasError(f"{path}: cannot be read: {error.strerror}. {REFIT}") from None
    # Checked before XGBoost sees the bytes: its parser is no judge of damaged files.
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise NasError(f"{path}: is not the file its report.json was written with. {REFIT}")
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(gzip.decompress(packed)))
    except xgboost.core.XGBoostError:
        written = report.libraries.get("xgboost", "another version")
        raise NasError(
            f"{path}: XGBoost {xgboost.__version__} cannot read trees written by {written}. Upgrade it, or "
            f"fit the predictor again (predictors/README.md)."
        ) from None
    return booster


def _check_probe(path: Path, model: UnitModel, about: KindReport) -> None:
    """A model is only valid for the features it was fitted on; the blocks they are read from may change."""
    try:
        rows = np.array([parse_signature(unit)[1] for unit in about.probe.units])
        inputs, _ = model.inputs(rows)
    except (NasError, KeyError):
        inputs = np.zeros(0)
    if not _agree(inputs, np.array(about.probe.inputs)):
        raise NasError(f"{path}: was fitted on other features of {model.kind!r} than today's. {REFIT}")


def _agree(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-9, atol=1e-9))
