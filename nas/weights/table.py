"""Tables of names: what others call the weights of a space's networks, one file per family beside its space."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from nas.content import folders
from nas.errors import NasError
from nas.yamlfile import load_document, validate

FormName = Literal[
    "same",
    "flat",
    "by_head",
    "in_rows",
    "tokens",
    "offsets",
    "depthwise",
    "by_head_of_blocks",
    "rows",
    "columns",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WeightRule(_Strict):
    """Where a weight lies in their layer, and in which form (`nas.weights.forms`)."""

    name: str
    form: FormName = "same"


class LayerRule(_Strict):
    """Their names of one kind of layer.

    Attributes:
        at: what their names begin with; `{stage}` is the number in the stage's name from 0, `{position}` the layer's
            in the stage, `{next}` that of the layer behind, `{number}` counts as `numbered` says; `{even}` and
            `{odd}` are twice the position, and one more.
        first: what `{position}` counts from.
        weights: their name by ours. A name without its end stands for all of a layer: `conv` for `conv_weight` and
            `conv_bias`, `bn` for the four of a batch norm. `q+k+v` are several of ours in one of theirs.
    """

    at: str
    first: int = 0
    weights: dict[str, str | WeightRule]


class Numbered(_Strict):
    """Which kinds of layers count for `{number}`, and where it begins again."""

    kinds: list[str]
    within: Literal["stage", "network"]


class Normal(_Strict):
    """How images are normalised, by channel."""

    mean: list[float]
    std: list[float]


class Input(Normal):
    """How their images are normalised, the layer that sees them first, and presets that see them otherwise."""

    first: str
    presets: dict[str, Normal] = {}


class Table(_Strict):
    """A table of names.

    Attributes:
        timm: timm's model functions by the space's presets.
        classifier: what the names of their classifiers begin with; these fit one number of classes alone.
        ignored: patterns of names that hold nothing a network is made of.
        renamed: regular expressions and what replaces them, in order, for files with yet other names.
        indices: what names of tables of offsets end in, and those of the positions in them that lie beside.
        needs: values of sizes, by kind of layer, without which the weights mean something else.
        supernet: whether files hold a supernet, of which a network takes its part.
        layers: rules by pattern of the layer's name; the first that fits counts.
    """

    version: Literal[1]
    about: str
    source: str
    timm: dict[str, str] = {}
    input: Input
    classifier: list[str]
    ignored: list[str] = []
    renamed: dict[str, str] = {}
    numbered: Numbered | None = None
    indices: dict[str, str] = {}
    needs: dict[str, dict[str, str]] = {}
    supernet: bool = False
    layers: dict[str, LayerRule]

    def rule(self, layer: str) -> LayerRule | None:
        """The rule for a layer by its name, `S1.0.mb4d`; None: nobody else has such a layer."""
        return next((rule for pattern, rule in self.layers.items() if fnmatchcase(layer, pattern)), None)

    def ignores(self, name: str) -> bool:
        """Whether a weight of theirs is nothing that a network is made of."""
        return any(fnmatchcase(name, pattern) for pattern in self.ignored)

    def classifies(self, name: str) -> bool:
        """Whether a weight of theirs belongs to a classifier."""
        return any(name.startswith(f"{head}.") for head in self.classifier)


def tables() -> dict[str, Path]:
    """Files of all tables by the space they are of; the user's own first."""
    files: dict[str, Path] = {}
    for folder in folders("spaces"):
        for file in sorted((folder / "weights").glob("*.yaml")):
            files.setdefault(file.stem, file)
    return files


def load_table(file: Path) -> Table:
    """A table from its file.

    Raises:
        ConfigError: what is wrong with it, and where.
    """
    return validate(load_document(file), Table)


def table_of(space: str, layers: list[str]) -> Table:
    """The table of a space; see `family_of`."""
    return load_table(tables()[family_of(space, layers)])


def family_of(space: str, layers: list[str]) -> str:
    """The space whose table fits one: its own name, else the first whose rules fit all its layers (a changed copy).

    Args:
        space: its name.
        layers: names of the layers of one of its networks that have weights.

    Raises:
        NasError: there is none.
    """
    known = tables()
    if space in known:
        return space
    for name, file in known.items():
        table = load_table(file)
        if all(table.rule(layer) is not None for layer in layers):
            return name
    raise NasError(
        f"space {space!r}: nobody's names of its weights are known here. There are tables for {', '.join(known)}; "
        f"write one as spaces/weights/{space}.yaml (docs/weights.md)."
    )
