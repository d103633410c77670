"""EfficientViT's blocks (Microsoft): cascaded group attention in a sandwich of depth-wise and feed-forward layers.

Source: EfficientViT (arXiv 2305.07027), published code of microsoft/Cream. Convolutions have batch norms and no bias.
Attention runs in windows of a map. Each head has a part of the channels, its own projection and a depth-wise kernel of
its own for the queries; what one head answers is added to what the next one takes. A learned bias per head and
absolute offset is added to the scores. For comparison heads may be apart (`cascade: 0`), or read all channels each, as
in plain multi-head attention (`cascade: 2`).

* `efficientvit`: depth-wise, feed-forward, attention, depth-wise, feed-forward, each residual; `efficientvit_2` has two
  such pairs on each side, `efficientvit_plain` no attention (§3.1 asks for N pairs; published networks have one).
* `efficientvit_subsample`: depth-wise, feed-forward, then an inverted bottleneck of stride 2 with squeeze-and-
  excitation, then depth-wise and feed-forward at the new width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.arith import Num, minimum
from nas.blocks.base import ACTIVATIONS, SAME_WIDTH, Field, Member, Unit, block_of, refuse, width_of
from nas.blocks.bottleneck import InvertedBottleneck
from nas.blocks.layouts import Interface
from nas.blocks.map_parts import Depthwise, MapFFN
from nas.blocks.operations import Operations
from nas.blocks.per_head import at
from nas.blocks.sizes import Sizes

MOST_HEADS = 8
RELU = ACTIVATIONS.index("relu")
CASCADE, WHOLE = 1, 2  # values of `cascade`


class CascadedAttention(Unit):
    """Cascaded group attention in windows, with its residual."""

    kind = "cascaded_attention"
    fields = {
        "width": SAME_WIDTH,
        "heads": Field(default=4, high=MOST_HEADS, about="attention heads, which divide the width"),
        "qk_dim": Field(default=16, about="query and key channels per head"),
        "window": Field(default=7, about="side of a window; a smaller map is one"),
        "kernels": Field(
            default=5, odd=True, high=7, heads="heads", about="depth-wise kernel of each head's queries"
        ),
        "cascade": Field(
            default=1,
            low=0,
            high=2,
            about="1: a head hears of the one before; 0: it does not; 2: nor has it a part, but all channels",
        ),
    }
    keys = ("h", "w", "channels", "heads", "qk_dim", "window", "kernels", "cascade")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        channels = width_of(inp, f)
        refuse(channels % f.heads != 0, f"{f.heads} heads do not divide {channels} channels")
        return {"window": minimum(f.window, minimum(inp.h, inp.w))}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        bias = ops.distance_bias("distance_bias", s.heads, s.window, s.window)
        side, v_dim = s.window, s.channels // s.heads

        def attend(window: Any) -> Any:
            answers: list[Any] = []
            parts = [window for _ in range(s.heads)] if s.cascade == WHOLE else ops.chunk(window, s.heads)
            for head, part in enumerate(parts):
                y = part + answers[-1] if answers and s.cascade == CASCADE else part
                sizes = (s.qk_dim, s.qk_dim, v_dim)
                q, k, v = ops.split_channels(ops.conv_norm(f"qkv{head}", y, sum(sizes)), sizes)
                q = ops.conv_norm(f"near{head}", q, s.qk_dim, at(s.kernels, head), depthwise=True)
                weights = ops.softmax(ops.scores(q, k, 1, ops.head(bias, head)))
                answers.append(ops.weigh_map(v, weights, side, side))
            y = ops.act(ops.concat(answers), RELU)
            return ops.conv_norm("project", y, s.channels, gamma="zeros")

        return x + ops.in_windows(attend, [x], [(side, side)])


_NEAR, _FFN = {"kernel": "near_kernel"}, {"width": "ffn_width"}


def _pair(place: str) -> tuple[Member, Member]:
    """A depth-wise convolution and a feed-forward network."""
    return Member(f"near_{place}", Depthwise, _NEAR), Member(f"ffn_{place}", MapFFN, _FFN)


ATTENTION = Member("attention", CascadedAttention)


PARTS = (
    CascadedAttention,
    block_of("efficientvit", *_pair("before"), ATTENTION, *_pair("after")),
    block_of(
        "efficientvit_2", *_pair("before"), *_pair("before2"), ATTENTION, *_pair("after"), *_pair("after2")
    ),
    block_of("efficientvit_plain", *_pair("before"), *_pair("after")),
    block_of(
        "efficientvit_subsample", *_pair("before"), Member("merge", InvertedBottleneck), *_pair("after")
    ),
)
