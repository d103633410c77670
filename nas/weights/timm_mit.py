"""Calls of timm's for MIT's EfficientViT, B and L series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nas.blocks.base import ACTIVATIONS
from nas.blocks.bottleneck import LAST
from nas.weights.timm_models import TimmModel, _refuse

if TYPE_CHECKING:
    from nas.supernet.network import Layer

BOTTLENECKS = ("inverted_bottleneck", "fused_bottleneck", "residual_conv")
SCALE = 5
NAMES = {
    "inverted_bottleneck": "bottlenecks",
    "fused_bottleneck": "fused bottlenecks",
    "residual_conv": "convolutions",
}


def efficientvit(layers: Sequence[Layer], side: int) -> TimmModel:
    """The B series widens all bottlenecks alike; the L series begins every stage with a wider one."""
    large = any(layer.name.startswith("S1.downsample.") for layer in layers)
    stages = [[layer for layer in layers if layer.name.startswith(f"S{number}.")] for number in range(5)]
    depths = [_depth(stage) for stage in stages]
    _kinds(stages, large)
    act = ACTIVATIONS.index("gelu_tanh" if large else "hard_swish")
    other = any(layer.sizes.get("act", act) != act for layer in layers)
    _refuse(other, f"another activation than {ACTIVATIONS[act]}")
    attention = [layer.sizes for layer in layers if layer.unit.kind == "lite_mla"]
    scales = any((s["scale1"], s["scale2"]) != (SCALE, 0) for s in attention)
    _refuse(scales, "its attention has other scales than k5")
    head = layers[-1].sizes
    arguments: dict[str, Any] = {
        "widths": tuple(
            stage[-1].sizes["channels" if stage[-1].unit.kind == "lite_mla" else "cout"] for stage in stages
        ),
        "depths": tuple(depths),
        "head_dim": _one("heads have several widths", (s["dim"] for s in attention)),
        "head_widths": (head["features"], head["hidden"]),
    }
    ratios = [_ratios(stage) for stage in stages[1:]]
    if large:
        _refuse(
            ratios != [{4, 16}] * 3 + [{6, 24}], "it is expanded by other factors than the published ones"
        )
        return TimmModel("efficientvit_l1", arguments)
    ratio = _one(
        "its bottlenecks are expanded by several factors", (each for stage in ratios for each in stage)
    )
    return TimmModel("efficientvit_b0", {**arguments, "expand_ratio": ratio})


def _depth(stage: Sequence[Layer]) -> int:
    return len({layer.name.split(".")[1] for layer in stage} - {"downsample"})


def _kinds(stages: Sequence[Sequence[Layer]], large: bool) -> None:
    """Refuse bottlenecks, attention and norms that are not where timm has them."""
    first = "residual_conv" if large else "inverted_bottleneck"
    kinds = [
        first,
        *["fused_bottleneck" if large else "inverted_bottleneck"] * 2,
        *["inverted_bottleneck"] * 2,
    ]
    attending = (4,) if large else (3, 4)
    for number, (stage, kind) in enumerate(zip(stages, kinds)):
        wrong = {layer.unit.kind for layer in stage if layer.unit.kind in BOTTLENECKS} - {kind}
        _refuse(bool(wrong), f"{NAMES[min(wrong, default=kind)]} in S{number} where timm has {NAMES[kind]}")
        attends = any(layer.unit.kind == "lite_mla" for layer in stage)
        where = "with" if attends else "without"
        _refuse(attends != (number in attending), f"S{number} is {where} attention")
        fewer = {layer.sizes["norms"] == LAST for layer in stage if layer.unit.kind in BOTTLENECKS}
        _refuse(fewer != {number > 2}, f"S{number} has norms behind other convolutions")


def _ratios(stage: Sequence[Layer]) -> set[float]:
    return {layer.sizes["hidden"] / layer.sizes["cin"] for layer in stage if layer.unit.kind in BOTTLENECKS}


def _one(why: str, values: Iterable[float]) -> float:
    found = set(values)
    _refuse(len(found) != 1, why)
    return found.pop()
