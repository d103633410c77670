"""Weights to begin with: a file (or timm's) read as a network of a space, and put into a network or a supernet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import NasError
from nas.weights.filling import Row, fill
from nas.weights.names import LayerShapes, entries, shapes_of, state
from nas.weights.normalisation import input_of, with_our_input
from nas.weights.reading import Given, classes_of, renamed, translated
from nas.weights.recognising import check_needs, named_arch, nearest, preset_in, reference
from nas.weights.table import Table, table_of

if TYPE_CHECKING:
    from torch import Tensor

    from nas.space.batch import Arch
    from nas.space.space import Space
    from nas.supernet.network import Network
    from nas.supernet.supernet import Supernet
    from nas.weights.files import WeightFile

LISTED = 6
SUPERNET = "supernet"


@dataclass(frozen=True)
class Initial:
    """Weights of a file, read as those of one network of a space.

    Attributes:
        given: under our names, for images normalised as theirs are.
        text: as it was given: a path, or `timm:NAME`.
        name, sha256: of the file.
        network: whose weights they are: a preset's name, an arch id, or `supernet`.
        classes: that its classifier tells apart; None if it has none.
        mean, std: by channel, with which its images are normalised.
        first: the layer that sees them.
        note: on how the file was read, for the report; empty if there is nothing to say.
    """

    given: Given
    text: str
    name: str
    sha256: str
    network: str
    classes: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    first: str
    note: str = ""

    @property
    def whole(self) -> bool:
        """Whether it is a supernet whose weights they are."""
        return self.network == SUPERNET

    def identity(self) -> dict[str, str]:
        """What tells these weights from others, wherever they lie."""
        return {"weights": self.name, "sha256": self.sha256}

    def facts(self) -> dict[str, Any]:
        """What must be known to begin with the same weights again."""
        where = self.text if self.text.startswith("timm:") else str(Path(self.text).expanduser().resolve())
        return {**self.identity(), "from": where, "network": self.network}

    def put_into(self, net: Network | Supernet, *, as_published: bool = False) -> list[Row]:
        """Fill a network or a supernet in place; what became of every weight.

        Args:
            as_published: for images normalised as theirs are; else for ours, with which the first layer is changed to
                answer as it would (exactly but for the pixels at the border, where padding is zero of another scale).
        """
        given = self.given
        if not as_published:
            given = replace(given, state=with_our_input(given.state, self.first, self.mean, self.std))
        return fill(weights_of(net), given)


def weights_of(net: Network | Supernet) -> dict[str, Mapping[str, Tensor]]:
    """Weights of a network or a supernet by layer and name; not copied."""
    from nas.supernet.network import Network

    if isinstance(net, Network):
        pairs = zip(net.description, net.layers, strict=True)
        return {layer.name: state(module) for layer, module in pairs}
    slots = [slot.name for slot in net.space.lower(net.space.sample(1, seed=0))]
    keys = {name.replace(".", "_"): name for name in slots}
    return {keys[key]: state(module) for key, module in net.layers.items()}


def initial_of_network(space: Space, arch: Arch, text: str, name: str = "") -> Initial:
    """Weights for the network of one architecture, of that architecture.

    Args:
        text: a path, or `timm:NAME`.
        name: what the network is called, for messages; by default its arch id.

    Raises:
        NasError: no such weights, no table of names for the space, or another network's weights.
    """
    from nas.weights.files import read_weights

    called = name or arch.id
    table = _table(space, arch)
    check_needs(space, arch, table)
    file = read_weights(text)
    whose = reference(space, arch, classes_of(renamed(file, table), table), file.metadata)
    try:
        given = translated(file, entries(table, shapes_of(whose)), table, f"{space.name}:{called}")
    except NasError as error:
        other = preset_in(space, file, table)
        hint = f" They are those of {space.name}:{other}." if other is not None and other != called else ""
        raise NasError(f"{error}{hint}") from None
    return _initial(given, text, file, table, called)


def initial_of_supernet(space: Space, text: str) -> Initial:
    """Weights for a whole supernet: those of one of the space's presets, or of an architecture that the file names.

    Raises:
        NasError: no such weights, no table of names for the space, or weights of no network that is known here.
    """
    from nas.weights.files import read_weights

    any_arch = next(iter(space.presets.values()), None) or space.sample(1, seed=0)[0]
    table = _table(space, any_arch)
    file = read_weights(text)
    if table.supernet:
        return _whole(space, any_arch, text, file, table)
    known_arch = named_arch(space, file)
    name = known_arch.id if known_arch is not None else preset_in(space, file, table)
    if name is None:
        known = ", ".join(list(space.presets)[:LISTED]) + (", …" if len(space.presets) > LISTED else "")
        closest, first = nearest(space, file, table)
        raise NasError(
            f"{file.name}: the weights of none of {space.name}'s presets ({known or 'it has none'})"
            + (f"; nearest is {closest}, but {first}" if closest else "")
            + ". Write its architecture into the space's file as a preset."
        )
    arch = known_arch or space.presets[name]
    check_needs(space, arch, table)
    whose = reference(space, arch, classes_of(renamed(file, table), table), file.metadata)
    given = translated(file, entries(table, shapes_of(whose)), table, f"{space.name}:{name}")
    return _initial(given, text, file, table, name)


def _whole(space: Space, arch: Arch, text: str, file: WeightFile, table: Table) -> Initial:
    """A supernet's weights for a whole supernet."""
    from nas.supernet.supernet import Supernet

    check_needs(space, arch, table)
    supernet = Supernet(space, classes_of(renamed(file, table), table), seed=None)
    layers = [
        LayerShapes(name, {key: tuple(tensor.shape) for key, tensor in weights.items()})
        for name, weights in weights_of(supernet).items()
    ]
    given = translated(file, entries(table, layers), table, f"{space.name}'s supernet")
    return _initial(given, text, file, table, SUPERNET)


def _initial(given: Given, text: str, file: WeightFile, table: Table, network: str) -> Initial:
    mean, std = input_of(file, table, network)
    classes = classes_of(renamed(file, table), table)
    note = (
        f"every name in {file.name} begins with {file.prefix!r}, which was taken off" if file.prefix else ""
    )
    return Initial(given, text, file.name, file.sha256, network, classes, mean, std, table.input.first, note)


def _table(space: Space, arch: Arch) -> Table:
    layers = shapes_of(reference(space, arch, None))
    return table_of(space.name, [layer.name for layer in layers if layer.shapes])
