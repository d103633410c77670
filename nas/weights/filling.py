"""Filling a network or a supernet with weights of another: what both have, by the rule by which subnets share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nas.weights.forms import Shape, overlap, resized
from nas.weights.reading import Given

if TYPE_CHECKING:
    from torch import Tensor

Fate = Literal["taken", "resized", "cut", "filled in part", "left", "new"]


@dataclass(frozen=True)
class Row:
    """What became of one weight.

    Attributes:
        fate: `taken` whole; `resized` to another map; `cut` to what fits; `filled in part`, the rest begins as it would
            have; `left` in the file; `new`, of which the file has nothing.
        theirs: its name in the file; empty for `new`.
        ours: layer and name, `S1.0.mb4d.expand_weight`; empty where there is no such place.
        given, here: its shape in our form in the file, and in the network.
        why: it was left.
    """

    fate: Fate
    theirs: str
    ours: str
    given: Shape = ()
    here: Shape = ()
    why: str = ""


def fill(target: Mapping[str, Mapping[str, Tensor]], given: Given) -> list[Row]:
    """Write weights into a network in place.

    Leading parts are shared, of kernels and offset tables the centre; positions of a map of another size are
    interpolated. What the file lacks stays as it is.

    Args:
        target: its weights by layer and name.
    """
    import torch

    rows: list[Row] = []
    with torch.no_grad():
        for layer, parts in given.state.items():
            for name, tensor in parts.items():
                rows.append(_filled(target.get(layer, {}).get(name), tensor, (layer, name), given))
    known = {(layer, name) for layer, parts in given.state.items() for name in parts}
    for layer, weights in target.items():
        rows += [
            Row("new", "", f"{layer}.{name}", here=tuple(tensor.shape))
            for name, tensor in weights.items()
            if (layer, name) not in known
        ]
    return rows


def _filled(target: Tensor | None, tensor: Tensor, place: tuple[str, str], given: Given) -> Row:
    theirs, ours, shape = given.theirs[place], ".".join(place), tuple(tensor.shape)
    if target is None:
        return Row("left", theirs, "", shape, why="there is no such layer here")
    here = tuple(target.shape)
    if place in given.classifier and shape[0] != here[0]:
        why = f"it tells {shape[0]:,} classes apart, here there are {here[0]:,}"
        return Row("left", theirs, ours, shape, here, why)
    centred = place in given.centred
    other_map = place in given.resized and shape[1:] != here[1:]
    if other_map:
        tensor = resized(tensor, *here[1:])
        shape = tuple(tensor.shape)
    target[overlap(shape, here, centred)] = tensor[overlap(here, shape, centred)].to(target.dtype)
    return Row(
        _fate(shape, here, other_map), theirs, ours, tuple(given.state[place[0]][place[1]].shape), here
    )


def _fate(shape: Shape, here: Shape, other_map: bool) -> Fate:
    if any(a < b for a, b in zip(shape, here)):
        return "filled in part"
    if shape != here:
        return "cut"
    return "resized" if other_map else "taken"


def summary(rows: Sequence[Row]) -> str:
    """How many weights met which fate, in one line."""
    counts = Counter(row.fate for row in rows)
    words = {
        "resized": "resized to another map",
        "new": "not in the file, which begin as they would have",
        "left": "left in the file",
    }
    fates: tuple[Fate, ...] = ("taken", "resized", "cut", "filled in part", "left", "new")
    parts = [f"{counts[fate]:,} {words.get(fate, fate)}" for fate in fates if counts[fate]]
    return ", ".join(parts)


def reasons(rows: Sequence[Row]) -> list[str]:
    """Why weights were left, each reason once with its first weight."""
    by_reason: dict[str, list[Row]] = {}
    for row in rows:
        if row.fate == "left":
            by_reason.setdefault(row.why, []).append(row)
    return [f"{_named(left)}: {why}" for why, left in by_reason.items()]


def _named(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(row.theirs for row in rows))
    return ", ".join(names[:2]) + (f" and {len(names) - 2:,} more" if len(names) > 2 else "")


def listing(rows: Sequence[Row]) -> str:
    """Every weight, a line each."""
    lines = []
    for row in rows:
        shapes = " -> ".join(str(shape) for shape in dict.fromkeys([row.given, row.here]) if shape)
        names = " -> ".join(name for name in (row.theirs, row.ours) if name)
        lines.append(f"{row.fate:<14}  {names}  {shapes}" + (f"  ({row.why})" if row.why else ""))
    return "\n".join(lines) + "\n"
