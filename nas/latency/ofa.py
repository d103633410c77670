"""Lookup tables in the form of ProxylessNAS and Once-for-all, read as latency tables.

Source: mit-han-lab/once-for-all, `ofa/nas/efficiency_predictor/latency_lookup_table.py`: a YAML or JSON mapping of
`TYPE-input:HxWxC-output:HxWxC[-…]` to `{mean: ms, std: …, count: …}`. Two grammars differ in the blocks:

* ProxylessNAS: `expanded_conv-…-expand:RATIO-kernel:K-stride:S-idskip:I`, with ReLU6 and without squeeze-and-excite;
* MobileNetV3: `…-expand:CHANNELS-kernel:K-stride:S-idskip:I-se:0|1-hs:0|1`, `hs` being hard-swish, else ReLU.

`Conv` is the 3×3 stem of stride 2, `Conv_1` a 1×1 convolution, both with the activation of the family. A block of
MobileNetV3's is Once-for-all's (`ofa_bottleneck`), one that does not expand an `inverted_bottleneck`. A block with a
shortcut is an `mbconv`, too, which always has one (pooled, and projected where widths differ). `AvgPool2D`, `Conv_2`
and `Logits` that follow each other are one `classifier`, whose time is their sum.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import product
from math import hypot
from pathlib import Path
from typing import Any

from nas.blocks.once_for_all import KERNELS, ROUND, OnceForAll, squeezed_of
from nas.errors import NasError
from nas.latency.signature import parse_signature
from nas.latency.table import Entry, Key, LatencyTable
from nas.latency.taken import UNTIMED, Taken, milliseconds, read_json, refuse

SOURCE = "Once-for-all style lookup table"
EXAMPLE = "expanded_conv-input:56x56x24-output:56x56x24-expand:6-kernel:3-stride:1-idskip:1"
UNKNOWN, NO_SHORTCUT, ODD = "of no known type", "without a shortcut", "with sizes that no unit has"
POOL, MIX, LOGITS = "AvgPool2D", "Conv_2", "Logits"
NINETY = 1.645  # standard deviations to each side that hold 90 % of normal runs
_EPS = 5  # of our default epsilon, which no time depends on
_PLAIN_HEAD: Mapping[str, object] = {
    "features": 0, "hidden_norm": "none", "norm": "none", "distilled": 0, "act": "hard_swish", "eps": _EPS
}  # fmt: skip
_CONVERT = (
    "Where their times are good enough for you, write them as units: signature,median_ms,spread_ms,runs,provenance,"
    "source, and nas device import table FILE.csv."
)
_SHAPES = r"-input:(?P<h>\d+)x(?P<w>\d+)x(?P<cin>\d+)-output:(?P<oh>\d+)x(?P<ow>\d+)x(?P<cout>\d+)"
_BLOCK = re.compile(
    rf"expanded_conv{_SHAPES}-expand:(?P<expand>\d+)-kernel:(?P<kernel>\d+)-stride:(?P<stride>[1-4])"
    r"-idskip:(?P<skip>[01])(?:-se:(?P<se>[01])-hs:(?P<hs>[01]))?"
)
_CONV = re.compile(rf"(?P<type>Conv|Conv_1){_SHAPES}")
_HEAD = re.compile(
    rf"(?P<type>{POOL}|{MIX}|{LOGITS})-input:(?P<h>\d+)x(?P<w>\d+)x(?P<cin>\d+)-output:(1x1x)?(?P<cout>\d+)"
)


@dataclass(frozen=True)
class _Left(Exception):
    """A key that is no unit of ours."""

    why: str


def read(path: Path) -> Taken:
    """The units that a lookup table has times of, and what was left.

    Raises:
        NasError: no such file, no such mapping, times that are none (all of them), or nothing that is known.
    """
    data = _mapping(path)
    third = any("-hs:" in key for key in data)
    entries: dict[Key, Entry] = {}
    left: dict[str, list[str]] = {}
    wrong: list[str] = []
    heads = _Heads()
    for key, value in data.items():
        try:
            units, entry = parse_key(key, third), _entry(value, path)
        except _Left as reason:
            left.setdefault(reason.why, []).append(key)
        except NasError as error:
            wrong.append(f"{key} {error}")
        else:
            if entry is None:
                left.setdefault(UNTIMED, []).append(key)
            elif isinstance(units, _Part):
                heads.parts[units] = (key, entry)
            else:
                entries.update(dict.fromkeys(units, entry))
    refuse(path, wrong)
    entries.update(heads.whole())
    if heads.unused():
        left.setdefault(UNKNOWN, []).extend(heads.unused())
    taken = Taken(path, LatencyTable(entries), len(data), left, _CONVERT)
    taken.check(f"keys look like {EXAMPLE}.")
    return taken


@dataclass(frozen=True)
class _Part:
    """A part of a classifier: its type and the numbers of its key."""

    type: str
    h: int
    w: int
    cin: int
    cout: int


@dataclass
class _Heads:
    """Parts of classifiers, which are units together: pooling, a layer without a norm, scores."""

    parts: dict[_Part, tuple[str, Entry]] = field(default_factory=dict)
    used: set[_Part] = field(default_factory=set)

    def whole(self) -> dict[Key, Entry]:
        """Classifiers all of whose parts were timed."""
        found: dict[Key, Entry] = {}
        pools, mixes, scores = ([p for p in self.parts if p.type == name] for name in (POOL, MIX, LOGITS))
        for pool, mix, score in product(pools, mixes, scores):
            if pool.cout == mix.cin and mix.cout == score.cin and score.h == score.w == 1:
                sizes = {
                    "h": pool.h,
                    "w": pool.w,
                    "channels": pool.cin,
                    "hidden": mix.cout,
                    "classes": score.cout,
                }
                together = (pool, mix, score)
                found[_unit("classifier", {**_PLAIN_HEAD, **sizes})] = _sum(
                    [self.parts[p][1] for p in together]
                )
                self.used.update(together)
        return found

    def unused(self) -> list[str]:
        """Keys of parts that are in no classifier."""
        return [key for part, (key, _) in self.parts.items() if part not in self.used]


def _sum(entries: Sequence[Entry]) -> Entry:
    """The time of parts that run one after the other."""
    spreads = [entry.spread_ms for entry in entries if entry.spread_ms is not None]
    runs = [entry.runs for entry in entries if entry.runs is not None]
    every = len(spreads) == len(runs) == len(entries)
    total = sum(entry.median_ms for entry in entries)
    return replace(
        entries[0],
        median_ms=total,
        spread_ms=hypot(*spreads) if every else None,
        runs=min(runs) if every else None,
    )


def parse_key(key: str, third: bool = False) -> list[Key] | _Part:
    """Kinds and sizes of the units that a key names, or the part of a classifier that it does.

    Args:
        third: whether the table is MobileNetV3's, which says nothing of the activation of its other convolutions.

    Raises:
        _Left: it is no unit of ours.
    """
    block, conv, head = _BLOCK.fullmatch(key), _CONV.fullmatch(key), _HEAD.fullmatch(key)
    if head is not None:
        return _Part(head["type"], *(int(head[name]) for name in ("h", "w", "cin", "cout")))
    if block is not None:
        return _block({name: text for name, text in block.groupdict().items() if text is not None})
    if conv is None:
        raise _Left(UNKNOWN)
    sizes = {name: int(text) for name, text in conv.groupdict().items() if name != "type"}
    stride = -(-sizes["h"] // max(sizes["oh"], 1))
    kernel = 3 if conv["type"] == "Conv" else 1
    if stride not in (1, 2):
        raise _Left(ODD)
    act = "hard_swish" if third else "relu"
    return [_unit("conv_stem", {**sizes, "kernel": kernel, "stride": stride, "act": act})]


def _block(groups: Mapping[str, str]) -> list[Key]:
    sizes = {name: int(text) for name, text in groups.items()}
    if sizes["kernel"] % 2 == 0:
        raise _Left(ODD)
    shown: dict[str, object] = {**sizes, "act": "hard_swish" if sizes.get("hs") else "relu"}
    if "se" not in sizes:
        return [_mbconv(sizes, shown, sizes["expand"], 0)]
    found = [_once_for_all(sizes, shown)]
    with suppress(_Left):
        found.append(_mbconv(sizes, shown, *divmod(sizes["expand"], max(sizes["cin"], 1))))
    return found


def _mbconv(sizes: Mapping[str, int], shown: Mapping[str, object], expansion: int, rest: int) -> Key:
    if not sizes["skip"]:
        raise _Left(NO_SHORTCUT)
    if rest or not expansion or sizes["cin"] != sizes["cout"] or sizes["stride"] != 1:
        raise _Left(ODD)
    return _unit("mbconv", {**shown, "expansion": expansion, "se": sizes.get("se", 0)})


def _once_for_all(sizes: Mapping[str, int], shown: Mapping[str, object]) -> Key:
    """A block of MobileNetV3's, with the shortcut that ours has."""
    hidden, kept = sizes["expand"], sizes["cin"] == sizes["cout"] and sizes["stride"] == 1
    if hidden % ROUND or not hidden or bool(sizes["skip"]) != kept:
        raise _Left(ODD)
    squeezed = int(squeezed_of(hidden)) if sizes["se"] else 0
    every = {**shown, "hidden": hidden, "squeezed": squeezed, "eps": _EPS}
    if hidden != sizes["cin"] and sizes["kernel"] in KERNELS:
        return _unit(OnceForAll.kind, every)
    words = {
        "norms": "all",
        "shortcut": "same",
        "act_after": "none",
        "padding": "symmetric",
        "se_act": "relu",
    }
    expanded = int(hidden != sizes["cin"])
    return _unit("inverted_bottleneck", {**every, **words, "expanded": expanded, "gate": "hard_sigmoid"})


def _unit(kind: str, sizes: Mapping[str, object]) -> Key:
    from nas.latency.signature import unit_keys

    try:
        return parse_signature(" ".join([kind, *(f"{name}={sizes[name]}" for name in unit_keys(kind))]))
    except NasError:
        raise _Left(ODD) from None


def _entry(value: object, path: Path) -> Entry | None:
    """A time with its spread and number of runs, where the table has them."""
    facts: Mapping[str, Any] = value if isinstance(value, Mapping) else {"mean": value}
    if "mean" not in facts:
        raise NasError("has no 'mean'; {mean: ms, std: …, count: …} or a number is needed.")
    mean, std, count = milliseconds(facts["mean"]), facts.get("std"), facts.get("count")
    if mean is None:
        return None
    spread = NINETY * std if isinstance(std, (int, float)) and 0 <= std < 1e9 else None
    runs = count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None
    return Entry(mean, "table", f"{SOURCE}, {path.name} (means)", spread, runs)


def _mapping(path: Path) -> dict[str, Any]:
    data = read_json(path) if path.suffix.lower() == ".json" else _yaml(path)
    if not isinstance(data, dict) or not data:
        raise NasError(f"{path}: a mapping of keys to times is needed: {{{EXAMPLE}: {{mean: 1.2}}}}.")
    return {str(key): value for key, value in data.items()}


def _yaml(path: Path) -> object:
    """The mapping of a YAML file; the fast reader, for such tables have thousands of keys."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NasError(f"{path}: cannot be read: {error.strerror}.") from None
    except (YAMLError, ValueError, RecursionError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NasError(f"{path}: not valid YAML: {first}.") from None
