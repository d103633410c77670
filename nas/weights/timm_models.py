"""Which call of timm's model functions builds a network, where one does: its arguments, or why none does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any

from nas.arith import nearest
from nas.blocks.base import ACTIVATIONS
from nas.blocks.per_head import unpack
from nas.blocks.repvit import BEHIND
from nas.errors import NasError

if TYPE_CHECKING:
    from nas.space.lowering import Slot
    from nas.supernet.network import Layer, Network

DEPLOYED = 224


@dataclass(frozen=True)
class TimmModel:
    """A model function of timm and what it is called with."""

    function: str
    arguments: dict[str, Any]

    def call(self) -> str:
        """The call as Python."""
        given = "".join(f", {name}={value!r}" for name, value in self.arguments.items())
        return f'timm.create_model("{self.function}"{given})'


def timm_model(network: Network, space: str) -> TimmModel:
    """The call of timm's that builds a network of a space's family.

    Raises:
        NasError: no call does; says which part of the network timm's code cannot hold.
    """
    from nas.weights.timm_mit import efficientvit
    from nas.weights.timm_mobilevit import mobilevitv2

    families: dict[str, Callable[[Sequence[Layer], int], TimmModel]] = {
        "lite_mla": efficientvit,
        "patch_unfold": mobilevitv2,
        "mb4d": _efficientformer,
        "conv_ffn": _efficientformer_v2,
        "unit_attention": _hiera,
        "cascaded_attention": _efficientvit_msra,
        "rep_mixer": _repvit,
        "window_attention": _tiny_vit,
    }
    kinds = {layer.unit.kind for layer in network.description}
    for kind, family in families.items():
        if kind in kinds:
            model = family(network.description, network.resolution)
            classes = network.description[-1].sizes["classes"]
            return TimmModel(model.function, {**model.arguments, "num_classes": classes})
    classes = network.description[-1].sizes["classes"]
    return TimmModel(_published(network, space), {"num_classes": classes})


def _published(network: Network, space: str) -> str:
    """The model function of timm's that is a preset of the network's family, where functions take no sizes."""
    from nas.space.load import load_space
    from nas.weights.names import shapes_of
    from nas.weights.table import family_of, load_table, tables

    family = family_of(space, [layer.name for layer in shapes_of(network) if layer.shapes])
    models = load_table(tables()[family]).timm
    if not models:
        raise NasError(f"space {space!r}: timm has no models of this family.")
    known, wanted = load_space(family), _sizes(network.description)
    for preset, function in models.items():
        if _sizes(known.lower(known.presets[preset])) == wanted:
            return function
    raise NasError(
        f"timm's code cannot hold this network: its models of this family take no other sizes than those of "
        f"{', '.join(models)}."
    )


def _sizes(layers: Sequence[Layer] | Sequence[Slot]) -> list[tuple[str, dict[str, int]]]:
    """Kinds and sizes of layers, apart from those of images and the number of classes."""
    return [
        (a.unit.kind, {k: int(v) for k, v in a.sizes.items() if k not in ("h", "w", "classes")})
        for a in layers
    ]


def _refuse(condition: bool, why: str) -> None:
    if condition:
        raise NasError(f"timm's code cannot hold this network: {why}.")


def _stages(layers: Sequence[Layer], kinds: Sequence[str], count: int = 4) -> list[list[Layer]]:
    """Layers of these kinds by stage, S1 to S4 (or as many as there are)."""
    by_stage = [
        [layer for layer in layers if layer.name.startswith(f"S{stage}.") and layer.unit.kind in kinds]
        for stage in range(1, count + 1)
    ]
    _refuse(not all(by_stage), "a stage is empty")
    return by_stage


def _efficientformer(layers: Sequence[Layer], side: int) -> TimmModel:
    stages = _stages(layers, ("mb4d", "mb3d"))
    attending = [sum(layer.unit.kind == "mb3d" for layer in stage) for stage in stages]
    _refuse(any(attending[:3]), "it has attention (mb3d) before the last stage")
    _refuse(side != DEPLOYED, f"its tables of offsets are of {side} px, timm's of {DEPLOYED} px alone")
    arguments = {
        "depths": tuple(len(stage) for stage in stages),
        "embed_dims": tuple(stage[0].sizes["channels"] for stage in stages),
        "num_vit": attending[3],
    }
    return TimmModel("efficientformer_l1", arguments)


def _efficientformer_v2(layers: Sequence[Layer], side: int) -> TimmModel:
    stages = _stages(layers, ("conv_ffn",))
    attending = [
        sum(a.name.startswith(f"S{s}.") and a.unit.kind == "attention4d" for a in layers) for s in (3, 4)
    ]
    most = max(attending)
    same = all(count == min(most, len(stage)) for count, stage in zip(attending, stages[2:]))
    _refuse(
        not same, f"its last two stages attend in {attending[0]} and {attending[1]} blocks, timm's in as many"
    )
    ratios = [tuple(b.sizes["hidden"] / b.sizes["channels"] for b in stage) for stage in stages]
    arguments = {
        "depths": tuple(len(stage) for stage in stages),
        "embed_dims": tuple(stage[0].sizes["channels"] for stage in stages),
        "num_vit": most,
        "mlp_ratios": tuple(ratios),
        "img_size": side,
    }
    return TimmModel("efficientformerv2_s0", arguments)


def _efficientvit_msra(layers: Sequence[Layer], side: int) -> TimmModel:
    stages = _stages(layers, ("cascaded_attention",), 3)
    around = [
        layer.role for layer in layers if layer.unit.kind == "map_ffn" and "downsample" not in layer.name
    ]
    plain = len(around) != 2 * sum(map(len, stages)) or any("2" in role for role in around)
    _refuse(plain, "a block has more or less than one feed-forward network on each side of its attention")
    ffns = [layer.sizes for layer in layers if layer.unit.kind == "map_ffn"]
    _refuse(
        any(s["hidden"] != 2 * s["channels"] for s in ffns), "feed-forward networks have another ratio than 2"
    )
    kernels = [unpack(layer.sizes["kernels"]) for stage in stages for layer in stage]
    longest = max(kernels, key=len)
    same = all(own == longest[: len(own)] for own in kernels)
    _refuse(not same, "kernels of its heads differ from stage to stage")
    arguments = {
        "embed_dim": tuple(stage[0].sizes["channels"] for stage in stages),
        "depth": tuple(len(stage) for stage in stages),
        "num_heads": tuple(stage[0].sizes["heads"] for stage in stages),
        "kernels": tuple(longest),
        "window_size": tuple(_window(stage[0].sizes) for stage in stages),
        "img_size": side,
    }
    return TimmModel("efficientvit_m0", arguments)


def _window(s: Mapping[str, int]) -> int:
    """The side of its windows; where one is all of the map, the published 7 unless the map is larger."""
    window = s["window"]
    return window if window < min(s["h"], s["w"]) else max(window, 7)


def _hiera(layers: Sequence[Layer], side: int) -> TimmModel:
    stages = _stages(layers, ("unit_attention",))
    ratios = {a.sizes["hidden"] / a.sizes["channels"] for a in layers if a.unit.kind == "unit_ffn"}
    _refuse(len(ratios) > 1, "its feed-forward networks have several ratios")
    width, heads = stages[0][0].sizes["cin"], stages[0][0].sizes["heads"]
    for number, stage in enumerate(stages):
        inner = [width << max(number - 1, 0), *[width << number] * len(stage)]
        widths = [stage[0].sizes["cin"], *[layer.sizes["cout"] for layer in stage]]
        _refuse(widths != inner, f"widths of S{number + 1} do not double at its first block")
        different = any(layer.sizes["heads"] != heads << number for layer in stage)
        _refuse(different, f"heads of S{number + 1} are not twice those of the stage before")
    kernel = next(layer.sizes["kernel"] for layer in layers if layer.unit.kind == "patch_embed")
    first = stages[0][0].sizes
    unit = isqrt(first["h"] * first["w"] // first["windows"])
    arguments = {
        "embed_dim": width,
        "num_heads": heads,
        "stages": tuple(len(stage) for stage in stages),
        "mask_unit_attn": _scopes(stages),
        "mask_unit_size": (unit, unit),
        "mlp_ratio": ratios.pop(),
        "patch_kernel": (kernel, kernel),
        "patch_padding": (kernel // 2, kernel // 2),
        "img_size": (side, side),
    }
    return TimmModel("hiera_tiny_224", arguments)


def _scopes(stages: Sequence[Sequence[Layer]]) -> tuple[bool, ...]:
    """Whether each stage attends within mask units; a stage's first block does as the stage before."""
    blocks = [(number, layer) for number, stage in enumerate(stages) for layer in stage]
    ruled = [0, *[number for number, _ in blocks[:-1]]]
    flags: dict[int, set[bool]] = {}
    for number, (_, layer) in zip(ruled, blocks):
        flags.setdefault(number, set()).add(layer.sizes["windows"] > 1)
    _refuse(any(len(ways) > 1 for ways in flags.values()), "a stage attends in both ways")
    return tuple(flags.get(number, {False}) == {True} for number in range(len(stages)))


def _repvit(layers: Sequence[Layer], side: int) -> TimmModel:
    stages = _stages(layers, ("rep_mixer",))
    kernels = {a.sizes["kernel"] for a in layers if a.unit.kind in ("rep_mixer", "separable")}
    _refuse(len(kernels) > 1, "its depth-wise kernels differ in size")
    acts = {a.sizes["act"] for a in layers if a.unit.kind == "map_ffn"}
    _refuse(acts != {ACTIVATIONS.index("gelu")}, "it has another activation than gelu")
    downs = sum(a.unit.kind == "separable" for a in layers)
    deep = sum(a.role == "before" for a in layers)
    _refuse(deep < downs, "a down-sampler has no block before its stride")
    for number, stage in enumerate(stages, 1):
        blocks = [a for a in stage if a.role == "rep_mixer"]
        gated = [a.sizes["squeezed"] for a in blocks]
        width = nearest(blocks[0].sizes["channels"] // 4, 8)
        published = [width * (1 - position % 2) for position in range(len(blocks))]
        _refuse(gated != published, f"gates of S{number} are not on every second block, from the first on")
    ffns = _stages(layers, ("map_ffn",))
    arguments = {
        "embed_dim": tuple(stage[-1].sizes["channels"] for stage in stages),
        "depth": tuple(sum(a.role == "rep_mixer" for a in stage) for stage in stages),
        "mlp_ratio": tuple(stage[-1].sizes["hidden"] // stage[-1].sizes["channels"] for stage in ffns),
        "kernel_size": kernels.pop(),
        "legacy": stages[0][0].sizes["norms"] != BEHIND,
        "distillation": bool(layers[-1].sizes["distilled"]),
    }
    return TimmModel("repvit_m0_9", arguments)


def _tiny_vit(layers: Sequence[Layer], side: int) -> TimmModel:
    _refuse(not any(a.unit.kind == "token_ffn" for a in layers), "it is no TinyViT")
    stages = _stages(layers, ("inverted_bottleneck", "window_attention"))
    first, *attending = [[a for a in stage if ".downsample." not in a.name] for stage in stages]
    expansions = {a.sizes["hidden"] // a.sizes["cin"] for a in first}
    ratios = {a.sizes["hidden"] // a.sizes["channels"] for a in layers if a.unit.kind == "token_ffn"}
    kernels = {a.sizes["kernel"] for a in layers if a.role == "local"}
    _refuse(len(ratios) > 1, "its feed-forward networks have several ratios")
    _refuse(len(kernels) > 1, "the kernels between attention and feed-forward networks differ in size")
    shapes = [stage[0].sizes for stage in attending]
    arguments = {
        "embed_dims": (first[0].sizes["cout"], *(sizes["channels"] for sizes in shapes)),
        "depths": tuple(len(stage) for stage in (first, *attending)),
        "num_heads": (1, *(sizes["heads"] for sizes in shapes)),
        "window_sizes": (1, *(sizes["window"] for sizes in shapes)),
        "mlp_ratio": ratios.pop(),
        "mbconv_expand_ratio": expansions.pop(),
        "local_conv_size": kernels.pop(),
    }
    return TimmModel("tiny_vit_21m_224", arguments)
