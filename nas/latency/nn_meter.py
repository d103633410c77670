"""nn-Meter's published block tables for transformer networks, read as latency tables.

Source: microsoft/nn-Meter (MIT licence), branch `dev/hybrid-transformer`,
`nn_meter/predictor/transformer_predictor/lut/*_lut_ln_v3.json`: a flat JSON object of key → milliseconds.
The key's `hw` is the input side. The timed networks (`examples/test_transformer/build_lut/`) fix what the
keys leave out: every down-sampling block has SE and hard-swish; attention has `c // 16` heads of 16 query and
key channels (so a width of 56 has 3 heads and 48 query channels) and `16·v` value channels; the head
classifies 1000 classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from nas.errors import NasError
from nas.latency.signature import parse_signature, unit_keys
from nas.latency.table import Entry, Key, LatencyTable
from nas.latency.taken import UNTIMED, Taken, milliseconds, read_json, refuse

HEAD_DIM = 16
CLASSES = 1000
SOURCE = "nn-Meter, branch dev/hybrid-transformer"
LICENCE = "MIT (Copyright (c) Microsoft Corporation)"

Groups = Mapping[str, str]
Sizes = dict[str, int | str]


FAMILIES = (
    "the families firstconv_, conv_, transds_, transattn_, transffn_ and mbpool_ of the v3 tables are known."
)
UNKNOWN = "of no known family"


def read(path: str | Path) -> LatencyTable:
    """The table of one published JSON file, every entry with provenance `table`, without keys of other families.

    Raises:
        NasError: as `take`.
    """
    return take(path).table


def take(path: str | Path) -> Taken:
    """The table of one published JSON file, and which of its keys were left.

    Raises:
        NasError: no such file, no JSON object, no key that is known, or times that are none: all of them.
    """
    path = Path(path)
    data = read_json(path)
    if not isinstance(data, dict) or not data:
        raise NasError(f"{path}: a JSON object of keys to milliseconds is needed.")
    source = f"{SOURCE}, {path.name}"
    entries: dict[Key, Entry] = {}
    left: dict[str, list[str]] = {UNKNOWN: [], UNTIMED: []}
    wrong: list[str] = []
    for key, value in data.items():
        unit = parse_key(key)
        if unit is None:
            left[UNKNOWN].append(key)
            continue
        try:
            ms = milliseconds(value)
        except NasError as error:
            wrong.append(f"the time of {key!r} {error}")
            continue
        if ms is None:
            left[UNTIMED].append(key)
        else:
            entries[unit] = Entry(ms, "table", source)
    refuse(path, wrong)
    taken = Taken(path, LatencyTable(entries), len(data), left)
    taken.check(FAMILIES)
    return taken


def parse_key(key: str) -> Key | None:
    """Kind and sizes that a published key names; None for a key of no known family."""
    for pattern, kind, sizes in _FAMILIES:
        match = pattern.fullmatch(key)
        if match:
            named = sizes(match.groupdict())
            return parse_signature(" ".join([kind, *(f"{name}={named[name]}" for name in unit_keys(kind))]))
    return None


def _square(g: Groups) -> Sizes:
    return {"h": int(g["hw"]), "w": int(g["hw"]), "act": "hard_swish"}


def _stem(g: Groups) -> Sizes:
    sizes = {name: int(g[name]) for name in ("cin", "cout", "kernel", "stride")}
    return {**_square(g), **sizes}


def _mbconv(g: Groups) -> Sizes:
    return {**_stem(g), "expansion": int(g["expansion"]), "se": int(g["se"] == "se")}


def _downsample(g: Groups) -> Sizes:
    return _mbconv({**g, "kernel": "3", "se": "se"})


def _attention(g: Groups) -> Sizes:
    channels = int(g["c"])
    dims = {"heads": channels // HEAD_DIM, "qk_dim": HEAD_DIM, "v_dim": HEAD_DIM * int(g["v"])}
    return {**_square(g), **dims, "channels": channels, "norm": "layer_norm"}


def _ffn(g: Groups) -> Sizes:
    channels = int(g["c"])
    return {**_square(g), "channels": channels, "hidden": channels * int(g["ratio"]), "norm": "layer_norm"}


def _head(g: Groups) -> Sizes:
    channels, hidden = int(g["c"]), int(g["hidden"])
    widths = {"channels": channels, "expanded": channels * int(g["ratio"]), "hidden": hidden}
    return {**_square(g), **widths, "classes": CLASSES}


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[1-9][0-9]*)", template))


_FAMILIES: tuple[tuple[re.Pattern[str], str, Callable[[Groups], Sizes]], ...] = (
    (_pattern("firstconv_{hw}_{cin}_{cout}_{stride}_{kernel}"), "conv_stem", _stem),
    (
        _pattern("conv_{hw}_{cin}_{cout}_{expansion}_{stride}_hard_swish_{kernel}_(?P<se>se|nose)"),
        "mbconv",
        _mbconv,
    ),
    (_pattern("transds_{hw}_{cin}_{cout}_{stride}_{expansion}"), "downsample", _downsample),
    (_pattern("transattn_{hw}_{c}_hard_swish_{v}_ln"), "attention", _attention),
    (_pattern("transffn_{hw}_{c}_{ratio}_hard_swish_ln"), "ffn", _ffn),
    (_pattern("mbpool_{hw}_{c}_{hidden}_{ratio}_hard_swish"), "pooled_head", _head),
)
