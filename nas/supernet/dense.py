"""Maps of a network's stages, for detection and segmentation."""

from __future__ import annotations

from torch import Tensor

from nas.blocks.base import Interface
from nas.blocks.ops import Ops
from nas.blocks.registry import converters
from nas.errors import NasError
from nas.supernet.network import Layer, Network, to_resolution


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
    x = to_resolution(images, network.resolution)
    ops = Ops(network.training)
    found: list[Tensor] = []
    span, layers = 1, network.description
    for index, (layer, module) in enumerate(zip(layers[:-1], network.layers)):
        x = module(x, layer.sizes, ops)
        span = _span(layer, span)
        if index + 2 == len(layers) or _shrinks(layers[index + 1]):
            found.append(_as_map(x, layers[index + 1], span, ops))
    if not found:
        raise NasError("a network of one layer has no maps.")
    return found


def _span(layer: Layer, span: int) -> int:
    """Side of the squares of the unrolled order behind a layer."""
    if layer.unit.kind == "unroll":
        return layer.sizes["span"]
    return 1 if layer.unit.takes != "unrolled" else span // layer.sizes.get("stride", 1)


def _shrinks(layer: Layer) -> bool:
    return layer.sizes.get("stride", 1) != 1


def _as_map(x: Tensor, reader: Layer, span: int, ops: Ops) -> Tensor:
    """The input of the layer `reader` as a map."""
    inp = Interface(reader.unit.takes, x.shape[-1], reader.sizes["h"], reader.sizes["w"], span)
    for unit in converters(inp.layout, "map", "features"):
        sizes, inp = unit.plan(inp, {})
        x = unit.forward(x, {}, sizes, ops)
    return x
