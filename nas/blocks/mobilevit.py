"""MobileViTv2's blocks: separable self-attention among patches of a map.

Source: MobileViTv2 (arXiv 2206.02680), section 3 and published code `mobilevit_block.py`. A map is cut into
patches; pixels of one place in their patch attend to each other, so that tensors are maps `(C, side², patches)`.

* `patch_unfold`: a depth-wise and a 1×1 convolution, then patches. A map whose sides no patch divides is resized.
* `separable_attention`: one weight for each pixel, `softmax(q)` over its place; the mean of the keys so weighed, times
  `ReLU(v)`. Steps grow with the pixels, not with their square.
* `patch_attention`: multi-head attention over the same pixels, which the paper compares with (and MobileViT has).
* `patch_ffn`: the feed-forward network. Norms are of all channels and pixels together (`map_norm`).
* `patch_fold`: norm, back to a map, 1×1 convolution.

Differences from the published code, on purpose: q, k and v are convolutions of their own, so that rows keep their role
at every width; the last layer of a residual branch starts at zero; a map that was resized is not made smaller again,
as in timm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nas.arith import Num, ceil_div
from nas.blocks.base import (
    ACTIVATIONS,
    SAME_WIDTH,
    Field,
    Unit,
    act,
    block_of,
    eps_of,
    epsilon,
    refuse,
    width,
    width_of,
)
from nas.blocks.layouts import MAP, PATCHES, Interface
from nas.blocks.operations import Operations
from nas.blocks.sizes import Sizes

RELU = ACTIVATIONS.index("relu")


class PatchUnfold(Unit):
    """Local convolution, projection, and the map cut into patches."""

    kind = "patch_unfold"
    fields = {
        "width": width("channels of the patches' pixels"),
        "kernel": Field(default=3, odd=True, about="odd kernel side"),
        "patch": Field(default=2, about="side of a patch in pixels"),
        "act": act("silu"),
        "eps": epsilon(5),
    }
    keys = ("h", "w", "cin", "cout", "kernel", "patch", "act", "eps")

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        h, w = _whole(s)
        return inp.with_(layout=PATCHES, channels=s.cout, h=h, w=w, extras={"patch": s.patch})

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        h, w = _whole(s)
        if h != s.h or w != s.w:
            x = ops.resize(x, h, w, corners=True)
        y = ops.act(ops.conv_norm("near", x, s.cin, s.kernel, depthwise=True, eps=eps_of(s)), s.act)
        return ops.to_patches(ops.conv("project", y, s.cout), s.patch)


def _whole(s: Sizes) -> tuple[Num, Num]:
    """Sides of the smallest map of whole patches that is no smaller."""
    return ceil_div(s.h, s.patch) * s.patch, ceil_div(s.w, s.patch) * s.patch


class OnPatches(Unit):
    """What the parts on patches share."""

    takes = PATCHES

    @classmethod
    def plan(cls, inp: Any, fields: Mapping[str, Num]) -> tuple[dict[str, Num], Interface]:
        side = inp.extra("patch")
        refuse(
            (inp.h % side != 0) | (inp.w % side != 0),
            f"a map of {inp.h}×{inp.w} has no whole patches of {side}",
        )
        return super().plan(inp, fields)


class SeparableAttention(OnPatches):
    """Attention of linear cost, with its residual."""

    kind = "separable_attention"
    fields = {"width": SAME_WIDTH, "eps": epsilon(5)}
    keys = ("h", "w", "channels", "patch", "eps")

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.map_norm("norm", x, eps=eps_of(s))
        shares = ops.softmax(ops.conv("q", y, 1, bias=True))
        context = ops.total(ops.conv("k", y, s.channels, bias=True) * shares)
        y = ops.act(ops.conv("v", y, s.channels, bias=True), RELU) * context
        return x + ops.conv("project", y, s.channels, bias=True, init="zeros")


class PatchAttention(OnPatches):
    """Multi-head attention among the pixels of each place, with its residual."""

    kind = "patch_attention"
    fields = {"width": SAME_WIDTH, "heads": Field(default=4, about="attention heads"), "eps": epsilon(5)}
    keys = ("h", "w", "channels", "heads", "dim", "patch", "eps")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        dim = width_of(inp, f) // f.heads
        refuse(dim < 1, f"{f.heads} heads are more than the channels")
        return {"dim": dim}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y, patches = ops.map_norm("norm", x, eps=eps_of(s)), s.h * s.w // (s.patch * s.patch)

        def attend(q: Any, k: Any, v: Any) -> Any:
            return ops.weigh_map(v, ops.softmax(ops.scores(q, k, s.heads)), 1, patches)

        maps = [ops.conv(name, y, (s.heads, s.dim), bias=True) for name in ("q", "k", "v")]
        y = ops.in_windows(attend, maps, [(1, patches)] * len(maps))
        return x + ops.conv("project", y, s.channels, bias=True, inputs=(s.heads, s.dim), init="zeros")


class PatchFFN(OnPatches):
    """Two 1×1 convolutions with an activation between, and their residual."""

    kind = "patch_ffn"
    fields = {
        "width": SAME_WIDTH,
        "mlp_ratio": Field(default=2, about="hidden over input channels"),
        "act": act("silu"),
        "eps": epsilon(5),
    }
    keys = ("h", "w", "channels", "hidden", "patch", "act", "eps")

    @classmethod
    def sizes(cls, inp: Interface, f: Sizes) -> Mapping[str, Num]:
        return {"hidden": f.mlp_ratio * width_of(inp, f)}

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.conv("expand", ops.map_norm("norm", x, eps=eps_of(s)), s.hidden, bias=True)
        return x + ops.conv("project", ops.act(y, s.act), s.channels, bias=True, init="zeros")


class PatchFold(OnPatches):
    """Patches as a map again, and its projection."""

    kind = "patch_fold"
    fields = {"width": width("output channels"), "eps": epsilon(5)}
    keys: ClassVar[tuple[str, ...]] = ("h", "w", "cin", "cout", "patch", "eps")

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        return Interface(MAP, s.cout, inp.h, inp.w)

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        y = ops.from_patches(ops.map_norm("norm", x, eps=eps_of(s)), s.h, s.w, s.patch)
        return ops.conv_norm("project", y, s.cout, eps=eps_of(s))


class FromPatches(OnPatches):
    """Patches as a map, as they are."""

    kind = "from_patches"
    keys = ("h", "w", "channels", "patch")

    @classmethod
    def out(cls, inp: Interface, s: Sizes) -> Interface:
        return Interface(MAP, inp.channels, inp.h, inp.w)

    @classmethod
    def forward(cls, x: Any, s: Sizes, ops: Operations) -> Any:
        return ops.from_patches(x, s.h, s.w, s.patch)


PARTS = (
    PatchUnfold,
    SeparableAttention,
    PatchAttention,
    PatchFFN,
    PatchFold,
    FromPatches,
    block_of("separable_transformer", SeparableAttention, PatchFFN),
    block_of("patch_transformer", PatchAttention, PatchFFN),
)
