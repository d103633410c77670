"""The blocks a space may name. Adding a family is one file, which ends in its `PARTS`, and one line here."""

from __future__ import annotations

from importlib import import_module

from nas.blocks.base import Block, Unit, block_of
from nas.blocks.convert import ToMap, ToTokens
from nas.blocks.layouts import MAP, PATCHES, TOKENS, UNROLLED, Layout
from nas.blocks.mobilevit import FromPatches
from nas.blocks.unroll import Reroll
from nas.errors import NasError

FILES = (
    "conv_stem",
    "mbconv",
    "transformer",
    "heads",
    "convert",
    "efficientformer",
    "efficientformer_v2",
    "patch_embed",
    "unroll",
    "hiera",
    "join",
    "bottleneck",
    "map_parts",
    "efficientvit_msra",
    "fastervit",
    "lite_mla",
    "mobilevit",
    "repvit",
    "window_attention",
    "once_for_all",
)
"""Modules of this package whose blocks a space may name."""

CONVERTERS: dict[tuple[Layout, Layout], type[Unit]] = {
    (MAP, TOKENS): ToTokens,
    (TOKENS, MAP): ToMap,
    (UNROLLED, MAP): Reroll,
    (PATCHES, MAP): FromPatches,
}

UNITS: dict[str, type[Unit]] = {}
BLOCKS: dict[str, Block] = {}


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


def _fill() -> None:
    for file in FILES:
        for part in import_module(f"nas.blocks.{file}").PARTS:
            if isinstance(part, Block) or part not in CONVERTERS.values():
                register(part)
            else:
                UNITS[part.kind] = part


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


_fill()
