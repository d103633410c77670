"""The operations that have weights: projections and norms, and how those that follow each other become one.

What is folded into what in the deployed form is said here, once per operation, so that no block has to: a norm behind a
projection, a layer scale, a norm before a linear layer, branches that become one convolution.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from nas.arith import Num
from nas.blocks.base import Init

BN_EPS = 1e-5  # PyTorch's default, and what every model published so far was trained with
LN_EPS = 1e-5  # PyTorch's default
Tensor = Any
"""What a backend computes with: tensors `(B, …)`, or shapes."""


class Projections(ABC):
    """Projections and norms on one backend.

    Attributes:
        deploy: whether the layer runs in its deployed form.
    """

    deploy: bool = False

    @abstractmethod
    def channels(self, x: Tensor) -> Num:
        """Channels of a map, tokens or a vector."""

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
