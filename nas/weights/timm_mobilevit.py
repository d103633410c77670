"""Calls of timm's for MobileViTv2, which it has in seven widths and as published alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.weights.timm_models import TimmModel, _refuse

if TYPE_CHECKING:
    from nas.supernet.network import Layer

WIDTHS = (32, 64, 128, 256, 384, 512)
DEPTHS = {"S1": 1, "S2": 2, "T3": 2, "T4": 4, "T5": 3}
FIXED = {
    "inverted_bottleneck": {"kernel": 3, "squeezed": 0},
    "patch_unfold": {"kernel": 3, "patch": 2},
}
EXPANDING, EXPANDED = {"inverted_bottleneck": "cin", "patch_ffn": "channels"}, 2
"""What expands which of its sizes, and by how much."""


def mobilevitv2(layers: Sequence[Layer], side: int) -> TimmModel:
    """The model of a multiplier of widths."""
    stem, *stages = (_width(layers, name) for name in ("stem", "S1", "S2", "S3", "S4", "S5"))
    percent = 100 * stages[-1] // WIDTHS[-1]
    widths = [width * percent // 100 for width in WIDTHS]
    known = percent in range(50, 201, 25) and [stem, *stages] == widths
    _refuse(not known, "its widths are those of no multiplier that timm has (0.5 to 2.0 by quarters)")
    for layer in layers:
        stage, kind, sizes = layer.name.partition(".")[0], layer.unit.kind, layer.sizes
        _refuse(kind == "patch_attention", f"{stage} attends by softmax, timm's by separable attention")
        wrong = next((key for key, value in FIXED.get(kind, {}).items() if sizes[key] != value), None)
        _refuse(wrong is not None, f"layer {layer.name} has another {wrong}")
        if kind in EXPANDING:
            factor = sizes["hidden"] / sizes[EXPANDING[kind]]
            _refuse(factor != EXPANDED, f"layer {layer.name} expands by {factor:g}, timm's by {EXPANDED}")
        if kind == "patch_unfold":
            _refuse(2 * sizes["cout"] != sizes["cin"], f"{stage} is not half as wide as its stage")
    for stage, depth in DEPTHS.items():
        there = len({layer.name.split(".")[1] for layer in layers if layer.name.startswith(f"{stage}.")})
        _refuse(there != depth, f"{stage} has {there} blocks, timm's has {depth}")
    return TimmModel(f"mobilevitv2_{percent:03d}", {})


def _width(layers: Sequence[Layer], stage: str) -> int:
    return next(layer.sizes["cout"] for layer in layers if layer.name.startswith(f"{stage}."))
