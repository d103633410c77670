"""Dense convolution with a bias, batch norm, activation: EfficientFormer's stems and embeddings.

Source: EfficientFormer (arXiv 2206.01191) and V2 (arXiv 2212.08059), published code. Between stages it stands
alone, without activation ("embedding"); two of stride 2 make the stem.
"""

from __future__ import annotations

from nas.blocks.base import ACTIVATIONS, Field, Sizes, Weight
from nas.blocks.conv_stem import ConvStem


class ConvNorm(ConvStem):
    """The network of `conv_stem` with a bias before the norm, as published."""

    kind = "conv_norm"
    fields = {**ConvStem.fields, "act": Field(default="none", words=ACTIVATIONS)}

    @classmethod
    def weights(cls, s: Sizes) -> dict[str, Weight]:
        found = super().weights(s)
        decayed = Weight(found["conv_weight"].shape, "conv", crop=True, decay=True)
        return {**found, "conv_weight": decayed, "conv_bias": Weight((s["cout"],), "zeros")}
