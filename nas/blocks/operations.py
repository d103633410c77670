"""The operations that blocks are written in, apart from what carries them out.

Tensor operations compute (`nas.blocks.ops`), counting operations describe (`nas.blocks.counting`), folding operations
turn trained weights into deployed ones (`nas.blocks.folding`). A layer is one `forward`, run with each of them.

An operation that has weights is given their name first. Those of projections and norms, and what of them is folded into
what in the deployed form, are in `nas.blocks.projections`; a network of positions becomes its table here.

Shapes are those of one image, without the batch: maps `(C, H, W)`, tokens `(N, C)`, vectors `(C,)`, attention weights
`(heads, Nq, Nk)`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from nas.arith import Num
from nas.blocks.advice import of_ops
from nas.blocks.base import Init
from nas.blocks.projections import Projections, Tensor

INNER = frozenset({"deploy", "answered", "fold", "average", "fuse", "shrink", "check_identity"})
"""Names here that no `forward` uses."""


class Operations(Projections):
    """Operations on one backend."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise of_ops(name)

    # Elementwise and pooling

    def squeeze_excite(self, x: Tensor, squeezed: Num, *, act: Num = 1, gate: str = "hard_sigmoid") -> Tensor:
        """Channel gates: mean over the map, 1×1 `squeeze`, activation, 1×1 `excite`, gate, times the map."""
        y = self.conv("squeeze", self.mean(x, keep=True), squeezed, bias=True, decay=False)
        y = self.conv("excite", self.act(y, act), self.channels(x), bias=True, decay=False)
        return x * self.gate(y, gate)

    @abstractmethod
    def act(self, x: Tensor, kind: Num) -> Tensor:
        """Activation by its position in `ACTIVATIONS`."""

    @abstractmethod
    def gate(self, x: Tensor, kind: str) -> Tensor:
        """`sigmoid` or `hard_sigmoid`."""

    @abstractmethod
    def softmax(self, x: Tensor) -> Tensor:
        """Softmax over the last dimension."""

    @abstractmethod
    def mean(self, x: Tensor, keep: bool = False) -> Tensor:
        """Mean over pixels or tokens: `(C,)`; of a map `(C, 1, 1)` where its dimensions are kept."""

    @abstractmethod
    def halve(self, x: Tensor) -> Tensor:
        """2×2 average pooling to ⌈side / 2⌉; an odd side is padded by one, and the zeros count."""

    @abstractmethod
    def neighbours(self, x: Tensor) -> Tensor:
        """Mean over the 3×3 neighbours that lie on the map."""

    @abstractmethod
    def pool_to(self, x: Tensor, h: Num, w: Num) -> Tensor:
        """Means over `h`×`w` windows of one size, evenly apart, which cover the map."""

    @abstractmethod
    def pad_to(self, x: Tensor, h: Num, w: Num, *, apart: bool = False) -> Tensor:
        """A map with zeros at its far sides, so that it is `h`×`w`.

        Args:
            apart: in a way that no runtime merges with the next operation: ONNX Runtime would merge it with a mean
                over fewer pixels than are added, which it then refuses.
        """

    @abstractmethod
    def every(self, x: Tensor, stride: Num) -> Tensor:
        """Every `stride`-th pixel of a map, from the first on."""

    @abstractmethod
    def resize(self, x: Tensor, h: Num, w: Num, *, corners: bool = False, nearest: bool = False) -> Tensor:
        """A map resized to `h`×`w`, bilinearly.

        Args:
            corners: whether the corners' centres stay where they are, instead of the map's edges.
            nearest: whether each pixel is that of its place instead.
        """

    @abstractmethod
    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        """Maps or tokens joined along their channels."""

    @abstractmethod
    def tokens(
        self, name: str, like: Tensor, count: Num = 1, *, init: Init = "table", decay: bool = False
    ) -> Tensor:
        """`count` learned tokens as wide as `like`, the same for every image: class, carrier or lookup tokens."""

    @abstractmethod
    def join_tokens(self, parts: Sequence[Tensor]) -> Tensor:
        """Tokens `(N₁, C)`, `(N₂, C)`, … one behind the other: `(N₁ + N₂ + …, C)`."""

    @abstractmethod
    def split_tokens(self, x: Tensor, count: Num) -> tuple[Tensor, Tensor]:
        """The leading `count` tokens and the others: `(count, C)` and `(N - count, C)`."""

    @abstractmethod
    def chunk(self, x: Tensor, parts: Num) -> list[Tensor]:
        """Equal parts of the channels of a map."""

    @abstractmethod
    def split_channels(self, x: Tensor, sizes: Sequence[Num]) -> list[Tensor]:
        """The channels of a map in parts of these sizes, which are all of them."""

    @abstractmethod
    def full_precision(self, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """`function(*tensors)` in float32, also under autocast; the answer is of the first tensor's type."""

    @abstractmethod
    def total(self, x: Tensor) -> Tensor:
        """Sum over the last dimension, which is kept as 1."""

    @abstractmethod
    def head(self, x: Tensor, index: int) -> Tensor:
        """What one head has of a weight with a row per head, as a bias: `(1, …)`."""

    @abstractmethod
    def in_windows(
        self,
        function: Callable[..., Any],
        maps: Sequence[Tensor],
        sides: Sequence[tuple[Num, Num]],
    ) -> Any:
        """`function` of each window of one or several maps; what it hands on, put together again.

        A map is padded at its far sides with zeros to whole windows, which see them as any pixel; what lies on the
        padding is cut off again.

        Args:
            function: takes as many maps and hands on the first changed, or a list of all of them.
            maps: each has as many windows across and down as the first.
            sides: height and width of a window of each map.
        """

    # Layouts

    @abstractmethod
    def to_patches(self, x: Tensor, side: Num) -> Tensor:
        """A map as `(C, side², H·W / side²)`: pixels of one place in their patch together (MobileViT)."""

    @abstractmethod
    def from_patches(self, x: Tensor, h: Num, w: Num, side: Num) -> Tensor:
        """The inverse of `to_patches`: a map of `h`×`w`."""

    @abstractmethod
    def to_tokens(self, x: Tensor) -> Tensor:
        """A map `(C, H, W)` as tokens `(H·W, C)`, row by row."""

    @abstractmethod
    def to_map(self, x: Tensor, h: Num, w: Num) -> Tensor:
        """Tokens `(h·w, C)` as a map."""

    @abstractmethod
    def unroll(self, x: Tensor, span: Num) -> Tensor:
        """A map as unrolled tokens `(H·W, C)`; see `nas.blocks.unroll`."""

    @abstractmethod
    def reroll(self, x: Tensor, h: Num, w: Num, span: Num) -> Tensor:
        """Unrolled tokens `(h·w, C)` as a map."""

    @abstractmethod
    def pool_tokens(self, x: Tensor, stride: Num) -> Tensor:
        """Largest of each `stride`×`stride` of unrolled tokens: `(N, C)` to `(N / stride², C)`."""

    # Attention

    @abstractmethod
    def depthwise_tokens(
        self, name: str, x: Tensor, heads: Num, dim: Num, h: Num, w: Num, kernel: int
    ) -> Tensor:
        """Depth-wise convolution of tokens `(h·w, heads·dim)` laid out as a map, its weight kept per head."""

    @abstractmethod
    def offset_bias(self, name: str, heads: Num, h: Num, w: Num) -> Tensor:
        """`B[head, i, j] = table[head, yi - yj + h - 1, xi - xj + w - 1]` for tokens i, j of a map."""

    @abstractmethod
    def distance_bias(self, name: str, heads: Num, h: Num, w: Num, step: Num = 1) -> Tensor:
        """`B[head, i, j] = table[head, |yi - yj|, |xi - xj|]` for every `step`-th token i and every token j."""

    @abstractmethod
    def offset_network(self, name: str, heads: Num, h: Num, w: Num, hidden: int = 512) -> Tensor:
        """The offset bias given by a small network of log-spaced offsets; deployed: its table (SwinV2, FasterViT)."""

    @abstractmethod
    def position_network(self, name: str, channels: Num, h: Num, w: Num, hidden: int = 512) -> Tensor:
        """What a small network says of each place of an h×w map, `(h·w, channels)`; deployed: its table (FasterViT).

        Places count from the middle, in halves of the map's sides: -1 to about 1.
        """

    @abstractmethod
    def zeros_before(self, bias: Tensor, count: Num) -> Tensor:
        """A bias `(heads, n, n)` with `count` rows and columns of zeros before it, for tokens before a map's."""

    @abstractmethod
    def scores(self, q: Tensor, k: Tensor, heads: Num, bias: Tensor | None = None) -> Tensor:
        """`q kᵀ / √d + bias` of tokens `(N, heads·d)` or maps `(heads·d, ·, ·)`: `(heads, Nq, Nk)`."""

    @abstractmethod
    def relu_attention(self, qkv: Tensor, heads: Num, *, quadratic: bool, eps: float = 1e-15) -> Tensor:
        """Attention by ReLU(q)·ReLU(k) instead of a softmax, in float32 (EfficientViT, arXiv 2205.14756, §3.1).

        Args:
            qkv: a map `(heads·3·d, H, W)`: of each head q, k and v, one behind the other.
            quadratic: whether pixels are compared in pairs, which is cheaper for fewer than d pixels.

        Returns:
            A map `(heads·d, H, W)`.
        """

    @abstractmethod
    def talk(self, name: str, weights: Tensor) -> Tensor:
        """A 1×1 convolution over the heads of `(heads, Nq, Nk)` (talking heads, arXiv 2003.02436)."""

    @abstractmethod
    def weigh(self, v: Tensor, weights: Tensor) -> Tensor:
        """Values, tokens `(Nk, heads·e)`, weighed by `(heads, Nq, Nk)`: `(Nq, heads·e)`."""

    @abstractmethod
    def weigh_map(self, v: Tensor, weights: Tensor, h: Num, w: Num) -> Tensor:
        """Values, a map `(heads·e, ·, ·)`, weighed by `(heads, h·w, Nk)`: a map `(heads·e, h, w)`."""

    @abstractmethod
    def window_scores(self, q: Tensor, k: Tensor, windows: Num, heads: Num) -> Tensor:
        """`q kᵀ / √d` within windows of unrolled tokens: `(windows·heads, Nq / windows, Nk / windows)`."""

    @abstractmethod
    def window_weigh(self, v: Tensor, weights: Tensor, windows: Num, heads: Num) -> Tensor:
        """Unrolled values `(Nk, heads·e)` weighed by `(windows·heads, m, Nk / windows)`: `(m·windows, heads·e)`."""
