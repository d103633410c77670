"""Maps of a network's stages, for detection and segmentation."""

from __future__ import annotations

from torch import Tensor

from nas.blocks.layouts import MAP, Interface
from nas.blocks.ops import Ops
from nas.blocks.registry import converters
from nas.blocks.sizes import Sizes
from nas.errors import NasError
from nas.supernet.network import Layer, Network, start


def features(network: Network, images: Tensor) -> list[Tensor]:
    """What a network knows of an image at each of its resolutions: the last map before each halving.

    Unrolled tokens are put back in order, so that every map is one of pixels' neighbours.

    Args:
        images: `(B, channels, H, W)`, resized to the network's resolution.

    Returns:
        Maps `(B, C, h, w)`, the largest first: of a Hiera at 224 px 56, 28, 14 and 7 a side, one per stage.

    Raises:
        NasError: the network has no map, only scores.
    """
    ops, layers = Ops(network.training), network.description
    walk = start(images, layers)
    maps: list[Tensor] = []
    for index, (layer, module) in enumerate(zip(layers[:-1], network.layers)):
        x = walk.step(layer, module, ops)
        if index + 2 == len(layers) or _shrinks(layers[index + 1]):
            maps.append(as_map(x, layer.out, ops))
    if not maps:
        raise NasError("a network of one layer has no maps.")
    return maps


def _shrinks(layer: Layer) -> bool:
    return layer.sizes.get("stride", 1) != 1


def as_map(x: Tensor, interface: Interface, ops: Ops) -> Tensor:
    """What a layer hands on as a map `(B, C, h, w)`."""
    for unit in converters(interface.layout, MAP, "features"):
        sizes, interface = unit.plan(interface, {})
        x = unit.forward(x, Sizes(sizes), ops)
    return x
