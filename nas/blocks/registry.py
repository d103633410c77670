"""The blocks a space may name. Adding a block is one file and one line here."""

from __future__ import annotations

from nas.blocks.base import Block, Unit, block_of
from nas.blocks.bottleneck import FusedBottleneck, InvertedBottleneck, ResidualConv
from nas.blocks.conv_stem import ConvBN, ConvNorm, ConvStem
from nas.blocks.convert import ToMap, ToTokens
from nas.blocks.efficientformer import MB3D, MB4D
from nas.blocks.efficientformer_v2 import Attention4D, AttentionDownsample, ConvFFN
from nas.blocks.heads import Classifier, DualHead, DualMapHead, MeanHead, PooledHead
from nas.blocks.hiera import UnitAttention, UnitFFN
from nas.blocks.join import Join
from nas.blocks.layouts import MAP, TOKENS, UNROLLED, Layout
from nas.blocks.map_parts import Depthwise, MapFFN
from nas.blocks.mbconv import Downsample, MBConv
from nas.blocks.once_for_all import OnceForAll
from nas.blocks.patch_embed import PatchEmbed
from nas.blocks.transformer import FFN, Attention
from nas.blocks.unroll import Reroll, Unroll
from nas.errors import NasError

CONVERTERS: dict[tuple[Layout, Layout], type[Unit]] = {
    (MAP, TOKENS): ToTokens,
    (TOKENS, MAP): ToMap,
    (UNROLLED, MAP): Reroll,
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
        *(OnceForAll,),
    )
}

_COMPOSITES: dict[str, tuple[type[Unit], ...]] = {
    "transformer": (Attention, FFN),
    "attention_ffn": (Attention4D, ConvFFN),
    "hiera": (UnitAttention, UnitFFN),
    "identity": (),
}

BLOCKS: dict[str, Block] = {
    **{kind: block_of(kind, unit) for kind, unit in UNITS.items() if unit not in CONVERTERS.values()},
    **{name: block_of(name, *units) for name, units in _COMPOSITES.items()},
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
