"""Predictors: fitted latency models of a device's units, with the error they are known to make.

A predictor is a folder: `report.json` (see `nas.latency.report`) and the trees of each kind of unit.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from nas import content
from nas.errors import NasError
from nas.latency.model import UnitModel
from nas.latency.report import KindReport, Report
from nas.latency.rows import IntArray
from nas.latency.signature import format_signature, parse_signature, sizes_of, words
from nas.latency.times import CODES, UnitTimes

REFIT = "Fit it again (predictors/README.md)."


@dataclass
class Predictor:
    """A fitted latency model; the trees of a kind are read when it is first asked for.

    Attributes:
        report: what it was fitted on, what it knows, and its errors.
        folder: where it lies; None for one that was just fitted.
    """

    report: Report
    folder: Path | None = None
    models: dict[str, UnitModel] = field(default_factory=dict, repr=False)

    @property
    def kinds(self) -> list[str]:
        """Kinds of unit it can predict, sorted."""
        return sorted(self.report.kinds)

    def predict(self, kind: str, rows: IntArray) -> UnitTimes:
        """Times of units of a kind in `kinds`, sizes of shape `(n, k)`.

        Inside the fitted ranges of the sizes they are `predicted`, with the interval that held 90 % of the
        units left out in cross-validation. Outside they are `estimated`, with the interval that held 90 % of
        the units just beyond the range of a fit without them; further out nothing is known about the error.

        Raises:
            NasError: an activation or a norm that was not fitted on, or damaged files.
        """
        about, model = self.report.kinds[kind], self.model(kind)
        self._refuse_unknown_words(kind, about, rows)
        ms = model.predict(rows)
        low, high = about.interval.ends(ms)
        codes = np.full(len(rows), CODES["predicted"], dtype=np.uint8)
        outside = self.outside(kind, rows)
        if outside.any():
            codes[outside] = CODES["estimated"]
            low[outside], high[outside] = about.outside_interval.ends(ms[outside])
        return UnitTimes(ms, codes, low, high)

    def outside(self, kind: str, rows: IntArray) -> NDArray[np.bool_]:
        """Which units (sizes of shape `(n, k)`) lie outside what was fitted on; shape `(n,)`.

        Outside is a size beyond its fitted range, or a map that is not square where all fitted ones were.
        """
        about, sizes = self.report.kinds[kind], sizes_of(kind, rows)
        beyond = [(sizes[key] < low) | (sizes[key] > high) for key, (low, high) in about.ranges.items()]
        beyond.append(about.square & (sizes["h"] != sizes["w"]))
        return np.asarray(np.any(beyond, axis=0))

    def model(self, kind: str) -> UnitModel:
        """The model of one kind, read from its file the first time.

        Raises:
            NasError: the file is missing or damaged, or the features are computed otherwise today.
        """
        if kind not in self.models:
            self.models[kind] = _read_model(self, kind)
        return self.models[kind]

    def write(self, folder: str | Path) -> None:
        """Write the report and the trees into `folder`; the report last, so that it never lacks its trees."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for kind, about in self.report.kinds.items():
            _write_atomically(folder / about.file, pack(self.models[kind].booster))
        text = self.report.model_dump_json(indent=1) + "\n"
        _write_atomically(folder / "report.json", text.encode())

    def _refuse_unknown_words(self, kind: str, about: KindReport, rows: IntArray) -> None:
        for key, known in about.words.items():
            codes = [code for code, word in enumerate(words(kind, key)) if word in known]
            strange = ~np.isin(sizes_of(kind, rows)[key], codes)
            if strange.any():
                unit = format_signature(kind, rows[int(strange.argmax())])
                raise NasError(
                    f"the predictor {self.report.name!r} cannot time `{unit}`: it was fitted on "
                    f"{kind} units with {key}={'|'.join(known)} only. Time the unit on the device, or "
                    f"choose {key}={known[0]}."
                )


def load_predictor(name_or_path: str | Path) -> Predictor:
    """A shipped predictor by name, or one in a folder.

    Raises:
        NasError: no such predictor, or a report that is not one.
    """
    folder = content.find("predictors", name_or_path)
    path = folder / "report.json"
    try:
        report = Report.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise NasError(f"{path}: {where}: {problem['msg']}. {REFIT}") from None
    except OSError as error:
        raise NasError(f"{path}: cannot be read: {error.strerror}.") from None
    return Predictor(report, folder)


def pack(booster: Any) -> bytes:
    """An XGBoost model as gzip-compressed UBJSON, the same bytes for the same model."""
    return gzip.compress(bytes(booster.save_raw("ubj")), compresslevel=9, mtime=0)


def _read_model(predictor: Predictor, kind: str) -> UnitModel:
    import xgboost

    if predictor.folder is None:
        raise NasError(f"the predictor {predictor.report.name!r} has no model of {kind!r}.")
    about = predictor.report.kinds[kind]
    path = predictor.folder / about.file
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise NasError(f"{path}: cannot be read: {error.strerror}. {REFIT}") from None
    # Checked before XGBoost sees the bytes: its parser is no judge of damaged files.
    if hashlib.sha256(packed).hexdigest() != about.sha256:
        raise NasError(f"{path}: is not the file its report.json was written with. {REFIT}")
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(gzip.decompress(packed)))
    except xgboost.core.XGBoostError:
        written = predictor.report.libraries.get("xgboost", "another version")
        raise NasError(
            f"{path}: XGBoost {xgboost.__version__} cannot read trees written by {written}. Upgrade it, or "
            f"fit the predictor again (predictors/README.md)."
        ) from None
    model = UnitModel(kind, about.work, tuple(about.features), booster)
    _check_probe(path, model, about)
    return model


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


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
