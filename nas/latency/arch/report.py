"""The report of an arch predictor: what it was fitted on, its laws, and how far it is off."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from nas.latency.arch.member import Form
from nas.latency.report import DataFacts, Errors, Interval


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MemberReport(_Part):
    """A law with a share in the prediction: its form, groups of terms, and weight per term."""

    form: Form
    groups: tuple[str, ...]
    strength: float
    share: float
    weights: dict[str, float]


class TreesReport(_Part):
    """The trees: their inputs in order, what their output is multiplied with, and their file."""

    features: tuple[str, ...]
    scale: float
    file: str
    sha256: str


class ArchProbe(_Part):
    """A few archs and their terms: they show when the terms are computed otherwise than in the fit."""

    archs: list[dict[str, int | float | str]]
    terms: dict[str, list[float]]


class ArchReport(_Part):
    """`report.json` of an arch predictor.

    Attributes:
        version, kind: of this format.
        name: the predictor's name.
        space, space_hash: what its archs belong to.
        data: what it was fitted on; `units` counts the pairs.
        left_out: pairs that were not fitted on, because no path leads through the cell.
        others: devices whose latencies of an arch must be known to predict it.
        seed: of the folds and the trees.
        libraries: versions it was fitted with.
        members: the laws, by falling share.
        trees: None where they did not lower the held-out error.
        probe: archs and terms that must still agree when it is loaded.
        errors: of held-out pairs.
        spearman: rank correlation of held-out predictions with the truth; None where not defined.
        interval: 90 % interval from the held-out errors.
    """

    version: Literal[1] = 1
    kind: Literal["archs"] = "archs"
    name: str
    space: str
    space_hash: str
    data: DataFacts
    left_out: int
    others: list[str]
    seed: int
    libraries: dict[str, str]
    members: list[MemberReport]
    trees: TreesReport | None
    probe: ArchProbe
    errors: Errors
    spearman: float | None
    interval: Interval
