"""The blocks a space may name. Adding a block is one file and one line here."""

from __future__ import annotations

from nas.blocks.base import Block, Member, Unit, block_of
from nas.blocks.bottleneck import FusedBottleneck, InvertedBottleneck, ResidualConv
from nas.blocks.conv_stem import ConvBN, ConvNorm, ConvStem
from nas.blocks.convert import ToMap, ToTokens
from nas.blocks.efficientformer import MB3D, MB4D
from nas.blocks.efficientformer_v2 import Attention4D, AttentionDownsample, ConvFFN
from nas.blocks.efficientvit_msra import (
    EFFICIENTVIT,
    EFFICIENTVIT_2,
    EFFICIENTVIT_PLAIN,
    SUBSAMPLE,
    CascadedAttention,
)
from nas.blocks.fastervit import (
    HIERARCHICAL,
    CarrierAttention,
    CarrierTokens,
    EndCarriers,
    NormConv,
    WindowedAttention,
)
from nas.blocks.heads import Classifier, DualHead, DualMapHead, MeanHead, PooledHead
from nas.blocks.hiera import UnitAttention, UnitFFN
from nas.blocks.join import Join
from nas.blocks.layouts import MAP, PATCHES, TOKENS, UNROLLED, Layout
from nas.blocks.lite_mla import LiteMLA
from nas.blocks.map_parts import Depthwise, MapFFN
from nas.blocks.mbconv import Downsample, MBConv
from nas.blocks.mobilevit import (
    FromPatches,
    PatchAttention,
    PatchFFN,
    PatchFold,
    PatchUnfold,
    SeparableAttention,
)
from nas.blocks.once_for_all import OnceForAll
from nas.blocks.patch_embed import PatchEmbed
from nas.blocks.repvit import RepMixer, Separable
from nas.blocks.transformer import FFN, Attention
from nas.blocks.unroll import Reroll, Unroll
from nas.blocks.window_attention import TokenFFN, WindowAttention
from nas.errors import NasError

CONVERTERS: dict[tuple[Layout, Layout], type[Unit]] = {
    (MAP, TOKENS): ToTokens,
    (TOKENS, MAP): ToMap,
    (UNROLLED, MAP): Reroll,
    (PATCHES, MAP): FromPatches,
}

UNITS: dict[str, type[Unit]] = {
    unit.kind: unit
    for unit in (
        *(ConvStem, MBConv, Downsample, Attention, FFN, PooledHead, ToTokens, ToMap),
        *(ConvNorm, MB4D, MB3D, DualHead, DualMapHead),
        *(ConvFFN, Attention4D, AttentionDownsample),
        *(PatchEmbed, Unroll, UnitAttention, UnitFFN, Reroll, MeanHead),
        *(Join,),
        *(ConvBN, InvertedBottleneck, FusedBottleneck, ResidualConv, Depthwise, MapFFN, Classifier),
        *(CascadedAttention,),
        *(CarrierTokens, CarrierAttention, WindowedAttention, EndCarriers, NormConv),
        *(LiteMLA,),
        *(PatchUnfold, SeparableAttention, PatchAttention, PatchFFN, PatchFold, FromPatches),
        *(RepMixer, Separable),
        *(WindowAttention, TokenFFN),
        *(OnceForAll,),
    )
}

_COMPOSITES: dict[str, tuple[type[Unit] | Member, ...]] = {
    "transformer": (Attention, FFN),
    "attention_ffn": (Attention4D, ConvFFN),
    "hiera": (UnitAttention, UnitFFN),
    "mla_bottleneck": (LiteMLA, InvertedBottleneck),
    "separable_transformer": (SeparableAttention, PatchFFN),
    "patch_transformer": (PatchAttention, PatchFFN),
    "repvit": (RepMixer, MapFFN),
    "repvit_downsample": (
        Member("before", RepMixer, fixed={"se": 0, "se_round": 1, "se_act": 0, "gate": 0}),
        Member("before_ffn", MapFFN, {"width": "before_width"}),
        Separable,
        MapFFN,
    ),
    "tiny_vit": (WindowAttention, Member("local", Depthwise, fixed={"shortcut": 0}), TokenFFN),
    "identity": (),
}

BLOCKS: dict[str, Block] = {
    **{kind: block_of(kind, unit) for kind, unit in UNITS.items() if unit not in CONVERTERS.values()},
    **{name: block_of(name, *units) for name, units in _COMPOSITES.items()},
    **{
        block.name: block
        for block in (EFFICIENTVIT, EFFICIENTVIT_2, EFFICIENTVIT_PLAIN, SUBSAMPLE, HIERARCHICAL)
    },
    # ResNet's, beside blocks that read an expansion of another order of size.
    "basic": block_of("basic", Member("residual_conv", ResidualConv, {"expansion": "inner"})),
}


def register(new: type[Unit] | Block) -> None:
    """Add a unit as a block of its own, or a block and those of its units that are not known yet."""
    for unit in new.units if isinstance(new, Block) else (new,):
        UNITS.setdefault(unit.kind, unit)
    block = new if isinstance(new, Block) else block_of(new.kind, new)
    BLOCKS[block.name] = block


def unregister(name: str) -> None:
    """Take a block away that `register` added, with its units that no other block has."""
    units = BLOCKS.pop(name).units
    used = {unit for block in BLOCKS.values() for unit in block.units}
    for unit in units:
        if unit not in used and UNITS.get(unit.kind) is unit:
            del UNITS[unit.kind]


def converters(given: Layout, wanted: Layout, block: str) -> tuple[type[Unit], ...]:
    """What leads from one layout to another.

    Raises:
        NasError: nothing does; names the block that wants it.
    """
    if given == wanted:
        return ()
    if (given, wanted) in CONVERTERS:
        return (CONVERTERS[given, wanted],)
    if (given, MAP) in CONVERTERS and (MAP, wanted) in CONVERTERS:
        return CONVERTERS[given, MAP], CONVERTERS[MAP, wanted]
    hint = f"; {wanted.remedy}" if wanted.remedy and given.placed else ""
    raise NasError(f"block {block!r} takes {wanted.words}, not {given.words}{hint}.")
