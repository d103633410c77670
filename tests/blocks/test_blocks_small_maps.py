"""While training, convolutions of small maps take other routes; they must compute the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.blocks.ops import Ops


@pytest.mark.parametrize("side", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("depthwise", [True, False])
def test_training_convolutions_equal_pytorchs(side: int, kernel: int, stride: int, depthwise: bool) -> None:
    generator = torch.Generator().manual_seed(side)
    x = torch.randn(2, 6, side, side, generator=generator, dtype=torch.float64)
    weight = torch.randn(6, 1 if depthwise else 6, kernel, kernel, generator=generator, dtype=torch.float64)

    for bias in (None, torch.randn(6, generator=generator, dtype=torch.float64)):

        def ours(x: Tensor, weight: Tensor, bias: Tensor | None = bias) -> Tensor:
            return Ops(training=True).convolve(x, weight, bias, stride, groups=6 if depthwise else 1)

        def pytorchs(x: Tensor, weight: Tensor, bias: Tensor | None = bias) -> Tensor:
            return F.conv2d(x, weight, bias, stride, padding=kernel // 2, groups=6 if depthwise else 1)

        for got, expected in zip(_with_gradients(ours, x, weight), _with_gradients(pytorchs, x, weight)):
            torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def _with_gradients(
    convolution: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor
) -> tuple[Tensor, ...]:
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    y = convolution(x, weight)
    return (y.detach(), *torch.autograd.grad(y.square().sum(), (x, weight)))
