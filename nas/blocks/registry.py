"""The blocks a space may name. Adding a block is one file and one line here."""

from __future__ import annotations

from nas.blocks.attention_downsample import AttentionDownsample
from nas.blocks.base import Block, Unit
from nas.blocks.conv_norm import ConvNorm
from nas.blocks.conv_stem import ConvStem
from nas.blocks.convert import ToMap, ToTokens
from nas.blocks.downsample import Downsample
from nas.blocks.dual_head import DualHead, DualMapHead
from nas.blocks.efficientformer import MB3D, MB4D
from nas.blocks.efficientformer_v2 import Attention4D, ConvFFN
from nas.blocks.hiera import MeanHead, UnitAttention, UnitFFN
from nas.blocks.mbconv import MBConv
from nas.blocks.patch_embed import PatchEmbed
from nas.blocks.pooled_head import PooledHead
from nas.blocks.transformer import FFN, Attention
from nas.blocks.unroll import Reroll, Unroll
from nas.errors import NasError

UNITS: dict[str, type[Unit]] = {
    unit.kind: unit
    for unit in (
        *(ConvStem, MBConv, Downsample, Attention, FFN, PooledHead, ToTokens, ToMap),
        *(ConvNorm, MB4D, MB3D, DualHead, DualMapHead),
        *(ConvFFN, Attention4D, AttentionDownsample),
        *(PatchEmbed, Unroll, UnitAttention, UnitFFN, Reroll, MeanHead),
    )
}

_COMPOSITES: dict[str, tuple[type[Unit], ...]] = {
    "transformer": (Attention, FFN),
    "attention_ffn": (Attention4D, ConvFFN),
    "hiera": (UnitAttention, UnitFFN),
    "mean_head": (MeanHead,),
    "identity": (),
}


def _block(name: str, units: tuple[type[Unit], ...]) -> Block:
    fields = {key: field for unit in units for key, field in unit.fields.items()}
    return Block(name, units, fields)


BLOCKS: dict[str, Block] = {
    **{kind: _block(kind, (unit,)) for kind, unit in UNITS.items() if unit.fields},
    **{name: _block(name, units) for name, units in _COMPOSITES.items()},
}


def register(new: type[Unit] | Block) -> None:
    """Add a unit as a block of its own, or a block and those of its units that are not known yet."""
    for unit in new.units if isinstance(new, Block) else (new,):
        UNITS.setdefault(unit.kind, unit)
    block = new if isinstance(new, Block) else _block(new.kind, (new,))
    BLOCKS[block.name] = block


def unregister(name: str) -> None:
    """Take a block away that `register` added, with its units that no other block has."""
    units = BLOCKS.pop(name).units
    used = {unit for block in BLOCKS.values() for unit in block.units}
    for unit in units:
        if unit not in used and UNITS.get(unit.kind) is unit:
            del UNITS[unit.kind]


CONVERTERS: dict[tuple[str, str], type[Unit]] = {
    ("map", "tokens"): ToTokens,
    ("tokens", "map"): ToMap,
    ("unrolled", "map"): Reroll,
}


def converters(given: str, wanted: str, kind: str) -> tuple[type[Unit], ...]:
    """What leads from one layout to another.

    Raises:
        NasError: nothing does; names the block `kind` that wants it.
    """
    if given == wanted:
        return ()
    if (given, wanted) in CONVERTERS:
        return (CONVERTERS[given, wanted],)
    if (given, "map") in CONVERTERS and ("map", wanted) in CONVERTERS:
        return CONVERTERS[given, "map"], CONVERTERS["map", wanted]
    hint = "; put a stage of block 'unroll' before it" if wanted == "unrolled" and given != "vector" else ""
    raise NasError(f"block {kind!r} takes {_LAYOUT[wanted]}, not {_LAYOUT[given]}{hint}.")


_LAYOUT = {"map": "a map", "tokens": "tokens", "unrolled": "unrolled tokens", "vector": "class scores"}
