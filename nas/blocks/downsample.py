"""The MBConv that leads into a transformer stage (ElasticViT §2.2).

The same network as `mbconv`, with expansion 6, kernel 3 and squeeze-and-excitation; a kind of its own
because devices' tables time it apart from the convolution stages. It stands in front of every transformer
stage, with stride 1 where the stage only changes the width.
"""

from __future__ import annotations

from nas.blocks.base import Field
from nas.blocks.mbconv import MBConv


class Downsample(MBConv):
    """MBConv with the transformer stages' fixed settings as defaults."""

    kind = "downsample"
    fields = {**MBConv.fields, "expansion": Field(default=6), "se": Field(default=1, low=0, high=1)}
