"""A file's weights as those of a network, exactly; what does not fit is refused by name and shape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.errors import NasError
from nas.weights.files import WeightFile
from nas.weights.forms import KERNEL, Shape, leading
from nas.weights.names import Entry
from nas.weights.table import Table

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, dict[str, "Tensor"]]
"""Weights by layer and name, as `S1.0.mb4d` and `expand_weight`."""


@dataclass(frozen=True)
class Given:
    """A file's weights under our names.

    Attributes:
        state: weights in our form.
        theirs: name in the file, by layer and name.
        classifier: layer and name of those that fit one number of classes alone.
        centred: layer and name of those that are shared by their centre.
        resized: layer and name of those that are interpolated for a map of another size.
    """

    state: State
    theirs: Mapping[tuple[str, str], str]
    classifier: frozenset[tuple[str, str]]
    centred: frozenset[tuple[str, str]]
    resized: frozenset[tuple[str, str]] = frozenset()


def renamed(file: WeightFile, table: Table) -> dict[str, Tensor]:
    """The file's tensors under the names that the table's rules are written in, without what it ignores."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in file.tensors.items():
        for pattern, replacement in table.renamed.items():
            name = re.sub(pattern, replacement, name)
        if not table.ignores(name):
            tensors[name] = tensor
    return tensors


def classes_of(tensors: Mapping[str, Tensor], table: Table) -> int | None:
    """How many classes a file's classifier tells apart; None if it has none of a known name."""
    weights = (tensors.get(f"{head}.weight") for head in table.classifier)
    return next((int(weight.shape[0]) for weight in weights if weight is not None), None)


def problems(tensors: Mapping[str, Tensor], wanted: Sequence[Entry], table: Table) -> list[str]:
    """What keeps tensors from being a network's: missing, of another shape, or not of it; a line each."""
    lines = []
    for entry in wanted:
        tensor = tensors.get(entry.theirs)
        if tensor is None:
            lines.append(f"there is no {entry.theirs!r} {_shape(entry.shape)} in it")
        elif not _fits(tuple(tensor.shape), entry, table):
            lines.append(f"{entry.theirs!r} is {_shape(tensor.shape)} where {_shape(entry.shape)} is needed")
    names = {entry.theirs for entry in wanted}
    if not table.supernet:
        left = [name for name in tensors if name not in names]
        lines += [f"{name!r} {_shape(tensors[name].shape)} belongs to no layer of it" for name in left]
    return lines


def _unfit(tensor: Tensor) -> str:
    """What keeps a tensor's numbers from being weights; empty if nothing does."""
    if not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        return f"has numbers of type {kind} where weights are floating-point numbers"
    bad = int((~tensor.float().isfinite()).sum())
    return f"has {bad:,} of {tensor.numel():,} numbers that are not finite (NaN or infinity)" if bad else ""


def _fits(shape: Shape, entry: Entry, table: Table) -> bool:
    shape = _without_ones(shape, len(entry.shape))
    if not table.supernet:
        return shape == entry.shape
    return len(shape) == len(entry.shape) and all(a >= b for a, b in zip(shape, entry.shape))


def translated(file: WeightFile, wanted: Sequence[Entry], table: Table, network: str) -> Given:
    """The file's weights under our names.

    Args:
        wanted: every weight of the network.
        network: what it is called, for messages.

    Raises:
        NasError: the file holds another network's; with the first weight that says so.
    """
    tensors = renamed(file, table)
    wrong = problems(tensors, wanted, table)
    if wrong:
        raise NasError(
            f"{file.name}: not the weights of {network}: {wrong[0]}{_more(wrong)}. It is read as {table.source} names "
            "them."
        )
    for entry in wanted:
        unfit = _unfit(tensors[entry.theirs])
        if unfit:
            raise NasError(
                f"{file.name}: {entry.theirs!r} {unfit}: a damaged file, or not one of trained weights."
            )
    state: State = {}
    for entry in wanted:
        for name, part in zip(entry.ours, _parts(tensors[entry.theirs], entry), strict=True):
            state.setdefault(entry.layer, {})[name] = part
    return Given(
        state,
        {(entry.layer, name): entry.theirs for entry in wanted for name in entry.ours},
        frozenset((entry.layer, name) for entry in wanted for name in entry.ours if entry.classifier),
        frozenset((entry.layer, name) for entry in wanted for name in entry.ours if _centred(entry)),
        frozenset((entry.layer, name) for entry in wanted for name in entry.ours if entry.form.resized),
    )


def _without_ones(shape: Shape, dims: int) -> Shape:
    """A shape without ones at its end that are more than `dims` dimensions: `(C, 1, 1)` is a scale `(C,)`."""
    while len(shape) > dims and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _parts(tensor: Tensor, entry: Entry) -> list[Tensor]:
    tensor = tensor.reshape(_without_ones(tuple(tensor.shape), len(entry.shape)))
    if tuple(tensor.shape) != entry.shape:
        tensor = (entry.form.cut or leading)(tensor, entry.shapes, entry.shape)
    return entry.form.split(tensor, entry.shapes)


def _centred(entry: Entry) -> bool:
    return entry.form.centred or len(entry.shapes[0]) >= KERNEL


def _more(lines: Sequence[str]) -> str:
    return f" ({len(lines) - 1:,} more of the kind)" if len(lines) > 1 else ""


def _shape(shape: Sequence[int]) -> str:
    return str(tuple(shape))
