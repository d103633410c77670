"""What a latency predictor sees of a unit: its sizes, their remainders, and the work of its kernels.

The work is counted from what a unit runs once deployed (`nas.blocks.counting`), summed by kind of kernel, so that
there is no second description of a block to keep in step. Phones' kernels compute in tiles of 4, 8 or 16 channels or
pixels; the remainders tell the predictor where the steps are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nas.blocks.counting import describe
from nas.blocks.per_head import unpack
from nas.blocks.registry import UNITS
from nas.latency.rows import IntArray
from nas.latency.signature import by_head, sizes_of, unit_keys, words
from nas.latency.times import FloatArray

CHANNEL_TILE, PIXEL_TILE = 16, 8


class Amounts(dict[str, FloatArray]):
    """Amounts by name, each `(n,)`; what none of the units has is zero.

    Args:
        count: number of units.
    """

    def __init__(self, count: int, amounts: Mapping[str, FloatArray] | None = None) -> None:
        super().__init__(amounts or {})
        self.count = count

    def __missing__(self, name: str) -> FloatArray:
        return np.zeros(self.count)


def work_terms(kind: str, rows: IntArray) -> Amounts:
    """Amounts of work in units of one kind, each of shape `(n,)`; a first guess of the time is linear in it.

    For each kind of kernel its multiply-accumulates (`conv_macs`) and the elements it writes (`conv_out`);
    the unit's parameters and input elements; and `constant`, 1 for every unit.

    Args:
        kind: kind of unit.
        rows: sizes, shape `(n, k)`, in the order of `unit_keys(kind)`.
    """
    sizes = sizes_of(kind, rows)
    described = describe(UNITS[kind], sizes)
    terms = Amounts(len(rows))
    for case in described.cases:
        at = slice(None) if case.rows is None else case.rows
        for kernel in case.kernels:
            for name, amount in ((f"{kernel.op}_macs", kernel.macs), (f"{kernel.op}_out", kernel.out)):
                terms.setdefault(name, np.zeros(len(rows)))[at] += amount
    terms["params"] = described.params.astype(np.float64)
    terms["elements_in"] = described.elements_in.astype(np.float64)
    terms["constant"] = np.ones(len(rows))
    return terms


def shape_features(kind: str, rows: IntArray) -> dict[str, FloatArray]:
    """Sizes of units of one kind and what follows from them, each of shape `(n,)`."""
    sizes = sizes_of(kind, rows)
    features: dict[str, IntArray] = {}
    for key in unit_keys(kind):
        if by_head(kind, key):
            features[f"{key}.sum"] = np.array([sum(unpack(int(code))) for code in sizes[key]])
            continue
        for position, word in enumerate(words(kind, key)):
            features[f"{key}={word}"] = (sizes[key] == position).astype(np.int64)
        if not words(kind, key):
            features[key] = sizes[key]
            features[f"{key}%{CHANNEL_TILE}"] = sizes[key] % CHANNEL_TILE
    features["pixels"] = _pixels(sizes)
    features[f"pixels%{PIXEL_TILE}"] = _pixels(sizes) % PIXEL_TILE
    if "stride" in sizes:
        features["h_out"] = -(-sizes["h"] // sizes["stride"])
    if "cout" in sizes:
        features["widens"] = (sizes["cin"] != sizes["cout"]).astype(np.int64)
    if "expansion" in sizes:
        features["inner"] = sizes["cin"] * sizes["expansion"]
    return {name: values.astype(np.float64) for name, values in features.items()}


def _pixels(sizes: Mapping[str, IntArray]) -> IntArray:
    return sizes["h"] * sizes["w"]
