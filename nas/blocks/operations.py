"""The operations that blocks are written in, apart from what carries them out.

Tensor operations compute (`nas.blocks.ops`), counting operations describe (`nas.blocks.counting`), folding operations
turn trained weights into deployed ones (`nas.blocks.folding`). A layer is one `forward`, run with each of them.

An operation that has weights is given their name first. What is folded into what in the deployed form is said here,
once per operation, so that no block has to: a norm behind a projection, a layer scale, a norm before a linear layer,
branches that become one convolution, a network of positions that becomes its table.

Shapes are those of one image, without the batch: maps `(C, H, W)`, tokens `(N, C)`, vectors `(C,)`, attention weights
`(heads, Nq, Nk)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from nas.arith import Num
from nas.blocks.advice import of_ops
from nas.blocks.base import Init

BN_EPS = 1e-5  # PyTorch's default, and what every model published so far was trained with
LN_EPS = 1e-5  # PyTorch's default
INNER = frozenset({"deploy", "fold", "average", "fuse", "shrink", "check_identity"})
"""Names here that no `forward` uses."""
Tensor = Any
"""What a backend computes with: tensors `(B, …)`, or shapes."""


class Operations(ABC):
    """Operations on one backend.

    Attributes:
        deploy: whether the layer runs in its deployed form.
    """

    deploy: bool = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise of_ops(name)

    # Projections and norms

    @abstractmethod
    def conv(
        self,
        name: str,
        x: Tensor,
        out: Num | tuple[Num, ...],
        kernel: Num = 1,
        stride: Num = 1,
        *,
        groups: Num = 1,
        depthwise: bool = False,
        bias: bool = False,
        decay: bool = True,
        padding: Num | None = None,
        far: Num = 0,
        inputs: tuple[Num, ...] | None = None,
        init: Init = "conv",
    ) -> Tensor:
        """Convolution `(C, H, W)` to `(out, …)`; depth-wise: a group per channel.

        Args:
            out: channels; `(heads, 3, channels per head)` keeps the weight in these parts, each sliced by itself.
            inputs: the same of the channels that come in.
            padding: zeros around the map; None: kernel // 2, of an odd kernel; 0 for patches, as of an even one.
            far: position in `PADDINGS`; 1: with a stride, what is odd of the padding lies at the far sides.
        """

    @abstractmethod
    def shrunk_conv(
        self,
        name: str,
        x: Tensor,
        kernel: Num,
        stride: Num = 1,
        *,
        kernels: Sequence[int],
        decay: bool = True,
    ) -> Tensor:
        """Depth-wise convolution with a kernel that is made of a larger one (Once-for-all, arXiv 1908.09791, §3.3).

        The centre of each kernel, flattened, times a learned matrix `NAME_7to5`, `NAME_5to3`, … is the next smaller
        one; one matrix serves all channels.

        Args:
            kernel: side that is used, one of `kernels`.
            kernels: odd sides, the largest first; the weight is of that side.
        """

    @abstractmethod
    def linear(
        self,
        name: str,
        x: Tensor,
        out: Num | tuple[Num, Num],
        *,
        bias: bool = True,
        inputs: tuple[Num, Num] | None = None,
        init: Init = "linear",
        decay: bool = True,
    ) -> Tensor:
        """Linear layer over the last dimension.

        Args:
            out: channels; `(heads, channels per head)` keeps the weight per head, so that each head has its own slice.
            inputs: the same of the channels that come in.
        """

    @abstractmethod
    def batch_norm(
        self, name: str, x: Tensor, *, gamma: Init = "ones", eps: float = BN_EPS, foldable: bool = False
    ) -> Tensor:
        """Batch norm of maps over pixels, of tokens over tokens.

        Args:
            gamma: start of its factor.
            foldable: the next operations are a mean or none, then linear layers with a bias: deployed, it is in them.
        """

    @abstractmethod
    def token_norm(self, name: str, x: Tensor, kind: Num = 0, eps: float = LN_EPS) -> Tensor:
        """Layer norm of tokens or vectors: per token (0), or over tokens and channels (1), by `TOKEN_NORMS`."""

    @abstractmethod
    def map_norm(self, name: str, x: Tensor, eps: float = LN_EPS) -> Tensor:
        """Layer norm of a map over channels and pixels together, a factor and a shift per channel (GroupNorm of 1)."""

    @abstractmethod
    def scale(self, name: str, x: Tensor) -> Tensor:
        """A factor per channel, 1e-5 at the start (layer scale, CaiT)."""

    @abstractmethod
    def param(
        self, name: str, *shape: Num, init: Init = "linear", crop: bool = False, decay: bool = False
    ) -> Tensor:
        """A weight as it is, to be added to or multiplied with a tensor."""

    def conv_norm(
        self,
        name: str,
        x: Tensor,
        out: Num,
        kernel: Num = 1,
        stride: Num = 1,
        *,
        groups: Num = 1,
        depthwise: bool = False,
        bias: bool = False,
        decay: bool = True,
        scale: bool = False,
        norm: str | None = None,
        gamma: Init = "ones",
        eps: float = BN_EPS,
        padding: Num | None = None,
        far: Num = 0,
        inputs: tuple[Num, ...] | None = None,
    ) -> Tensor:
        """Convolution `NAME`, batch norm `NAME_bn` (or `norm`) and, if asked for, layer scale `NAME_scale`.

        Deployed: one convolution with a bias.
        """
        norm = norm or f"{name}_bn"
        scales = (f"{name}_scale",) if scale else ()
        shape = {
            "kernel": kernel,
            "stride": stride,
            "groups": groups,
            "depthwise": depthwise,
            "inputs": inputs,
        }
        shape |= {"decay": decay, "padding": padding, "far": far}
        if self.deploy:
            self.fold(name, norm, *scales, eps=eps)
            return self.conv(name, x, out, bias=True, **shape)
        y = self.batch_norm(norm, self.conv(name, x, out, bias=bias, **shape), gamma=gamma, eps=eps)
        return self.scale(scales[0], y) if scales else y

    def shrunk_conv_norm(
        self,
        name: str,
        x: Tensor,
        kernel: Num,
        stride: Num = 1,
        *,
        kernels: Sequence[int],
        decay: bool = True,
        eps: float = BN_EPS,
    ) -> Tensor:
        """`shrunk_conv` and batch norm `NAME_bn`; deployed: one convolution of side `kernel` with a bias."""
        if self.deploy:
            self.shrink(name, kernel, kernels)
            self.fold(name, f"{name}_bn", eps=eps)
            channels = self.channels(x)
            return self.conv(name, x, channels, kernel, stride, depthwise=True, bias=True, decay=decay)
        y = self.shrunk_conv(name, x, kernel, stride, kernels=kernels, decay=decay)
        return self.batch_norm(f"{name}_bn", y, eps=eps)

    def linear_norm(
        self,
        name: str,
        x: Tensor,
        out: Num,
        *,
        bias: bool = True,
        norm: str | None = None,
        eps: float = BN_EPS,
    ) -> Tensor:
        """Linear layer `NAME` and batch norm `NAME_bn` (or `norm`) behind it; deployed: one linear layer."""
        norm = norm or f"{name}_bn"
        if self.deploy:
            self.fold(name, norm, eps=eps)
            return self.linear(name, x, out)
        return self.batch_norm(norm, self.linear(name, x, out, bias=bias), eps=eps)

    def linear_scale(
        self, name: str, x: Tensor, out: Num, *, inputs: tuple[Num, Num] | None = None, init: Init = "linear"
    ) -> Tensor:
        """Linear layer `NAME` and layer scale `NAME_scale` behind it; deployed: one linear layer."""
        if self.deploy:
            self.fold(name, f"{name}_scale")
            return self.linear(name, x, out, inputs=inputs)
        return self.scale(f"{name}_scale", self.linear(name, x, out, inputs=inputs, init=init))

    def mean_linear(
        self, names: Sequence[str], x: Tensor, out: Num, *, norms: Sequence[str] = (), eps: float = BN_EPS
    ) -> Tensor:
        """The mean of several linear layers, as of a classifier and its distilled twin; deployed: one.

        Args:
            norms: batch norms of a vector, one before each of them.
        """
        if self.deploy:
            self.average(names, norms, eps)
            return self.linear(names[0], x, out)
        answers = [
            self.linear(name, self.batch_norm(norms[index], x, eps=eps) if norms else x, out)
            for index, name in enumerate(names)
        ]
        self.answered(answers)
        total = answers[0]
        for answer in answers[1:]:
            total = total + answer
        return total * (1 / len(names)) if len(names) > 1 else total

    def answered(self, answers: Sequence[Tensor]) -> None:
        """Told the answers of a classifier and of its distilled twin, before their mean is taken."""

    def rep_conv(
        self,
        name: str,
        x: Tensor,
        out: Num,
        kernels: Sequence[int],
        stride: Num = 1,
        *,
        groups: Num = 1,
        depthwise: bool = False,
        identity: bool = False,
        norm: bool = False,
        bare: Sequence[int] = (),
        gamma: Init = "ones",
    ) -> Tensor:
        """Parallel convolutions, each with its norm, and the identity, summed; deployed: one convolution (RepVGG).

        Args:
            kernels: odd sides of the branches `NAME_0`, `NAME_1`, …; the deployed convolution has the largest.
            bare: positions of branches that have a bias instead of a norm.
            identity: whether the input is added, where neither sides nor channels change.
            norm: whether a batch norm `NAME_bn` follows the sum (RepViT).
            gamma: start of the factors of the branches' norms; zeros: bare branches start at zero, too.
        """
        shape = {"stride": stride, "groups": groups, "depthwise": depthwise}
        if identity:
            self.check_identity(name, x, out, stride)
        if self.deploy:
            self.fuse(name, tuple(kernels), identity, norm, tuple(bare))
            return self.conv(name, x, out, max(kernels), bias=True, **shape)
        total = x if identity else None
        for index, kernel in enumerate(kernels):
            branch = f"{name}_{index}"
            if index in bare:
                start: Init = "zeros" if gamma == "zeros" else "conv"
                y = self.conv(branch, x, out, kernel, bias=True, init=start, **shape)
            else:
                y = self.conv_norm(branch, x, out, kernel, gamma=gamma, **shape)
            total = y if total is None else total + y
        return self.batch_norm(f"{name}_bn", total) if norm else total

    def squeeze_excite(self, x: Tensor, squeezed: Num, *, act: Num = 1, gate: str = "hard_sigmoid") -> Tensor:
        """Channel gates: mean over the map, 1×1 `squeeze`, activation, 1×1 `excite`, gate, times the map."""
        y = self.conv("squeeze", self.mean(x, keep=True), squeezed, bias=True, decay=False)
        y = self.conv("excite", self.act(y, act), self.channels(x), bias=True, decay=False)
        return x * self.gate(y, gate)

    def check_identity(self, name: str, x: Tensor, out: Num, stride: Num) -> None:
        """Refuse to add an input to what has other channels or sides; counting operations do."""

    # How the deployed form's weights come about; only folding operations do something here.

    def fold(self, name: str, *followers: str, eps: float = BN_EPS) -> None:
        """Multiply batch norms and scales into the projection `name` before them."""

    def average(self, names: Sequence[str], norms: Sequence[str], eps: float) -> None:
        """Give the first of several linear layers the mean of all weights, each with the norm before it."""

    def fuse(
        self, name: str, kernels: tuple[int, ...], identity: bool, norm: bool, bare: tuple[int, ...]
    ) -> None:
        """Make one convolution `name` of its branches."""

    def shrink(self, name: str, kernel: Num, kernels: Sequence[int]) -> None:
        """Make the kernel of `shrunk_conv` that is used of the largest one."""

    # Elementwise and pooling

    @abstractmethod
    def channels(self, x: Tensor) -> Num:
        """Channels of a map, tokens or a vector."""

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
