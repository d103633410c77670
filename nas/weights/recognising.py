"""Whose weights a file holds: the preset, or the architecture that it names; and what weights need of a space."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.errors import NasError
from nas.weights.names import entries, shapes_of
from nas.weights.reading import classes_of, problems, renamed
from nas.weights.table import Table

if TYPE_CHECKING:
    from nas.space.batch import Arch
    from nas.space.space import Space
    from nas.supernet.network import Network
    from nas.weights.files import WeightFile


INPUT_KEY = "nas.input"
"""In a file's metadata: height and width in pixels of the images its network was trained on."""


def reference(
    space: Space, arch: Arch, classes: int | None, metadata: Mapping[str, str] | None = None
) -> Network:
    """The network without memory, at the resolution that a file's metadata tell, else at that of its deployment."""
    from nas.supernet.network import build

    deployed = build(space, arch, num_classes=classes, seed=None)
    size = (metadata or {}).get(INPUT_KEY)
    if size is None:
        return deployed
    return build(space, arch, num_classes=classes, seed=None, scale=json.loads(size)[0] / deployed.input.h)


def check_needs(space: Space, arch: Arch, table: Table) -> None:
    """See that a network has the sizes without which a table's weights mean something else.

    Raises:
        NasError: it has not; says what to write into the space's file.
    """
    for layer in reference(space, arch, None).description:
        for key, word in table.needs.get(layer.unit.kind, {}).items():
            words = layer.unit.fields[key].words
            here = words[layer.sizes[key]]
            if here != word:
                raise NasError(
                    f"{space.name}: layer {layer.name} has '{key}: {here}', but the published weights are of networks "
                    f"with '{key}: {word}' and mean nothing without. Copy the space's file and write '{key}: {word}' "
                    f"into the stages of such layers ({layer.name.partition('.')[0]} is one)."
                )


def named_arch(space: Space, file: WeightFile) -> Arch | None:
    """The architecture that a file of `nas export --names` says it is of; None where it says nothing of this."""
    if file.metadata.get("nas.space") != space.name:
        return None
    try:
        return space.encode([json.loads(file.metadata["nas.arch"])])[0]
    except (KeyError, ValueError, NasError):  # of another version of the space: judged by names and shapes
        return None


def preset_in(space: Space, file: WeightFile, table: Table) -> str | None:
    """The preset whose weights a file holds, by names and shapes."""
    tensors = renamed(file, table)
    classes = classes_of(tensors, table)
    for name, arch in space.presets.items():
        if not problems(
            tensors, entries(table, shapes_of(reference(space, arch, classes, file.metadata))), table
        ):
            return name
    return None


def nearest(space: Space, file: WeightFile, table: Table) -> tuple[str, str]:
    """The preset that differs least from what a file holds, and the first difference; empty without presets."""
    tensors = renamed(file, table)
    classes = classes_of(tensors, table)
    wrong = {
        name: problems(
            tensors, entries(table, shapes_of(reference(space, arch, classes, file.metadata))), table
        )
        for name, arch in space.presets.items()
    }
    if not wrong:
        return "", ""
    name = min(wrong, key=lambda preset: len(wrong[preset]))
    return name, wrong[name][0]
