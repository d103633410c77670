"""Cascaded attention and its rivals: what each head reads."""

from __future__ import annotations

import torch

from nas.blocks.efficientvit_msra import CASCADE, WHOLE, CascadedAttention
from nas.blocks.elastic import Elastic
from nas.blocks.ops import Ops
from nas.blocks.per_head import pack
from nas.testing.blocks import static

SIZES = {"h": 4, "w": 4, "channels": 6, "heads": 2, "qk_dim": 2, "window": 4, "kernels": int(pack([3, 5], 2))}
APART = 0


def drawn(cascade: int) -> tuple[Elastic, dict[str, int]]:
    sizes, generator = {**SIZES, "cascade": cascade}, torch.Generator().manual_seed(1)
    layer = static(CascadedAttention, sizes).double().eval()
    with torch.no_grad():
        for tensor in layer.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64))
    return layer, sizes


def test_a_head_that_reads_all_channels_and_weighs_its_part_alone_is_one_that_reads_its_part() -> None:
    apart, sizes = drawn(APART)
    whole, sizes_of_whole = drawn(WHOLE)
    parts = dict(apart.state_dict())
    for head in range(2):
        weight = torch.zeros_like(whole.state_dict()[f"qkv{head}_weight"])
        weight[:, 3 * head : 3 * head + 3] = parts[f"qkv{head}_weight"]
        parts[f"qkv{head}_weight"] = weight
    whole.load_state_dict(parts)
    x = torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(whole(x, sizes_of_whole, Ops()), apart(x, sizes, Ops()))


def test_only_in_a_cascade_the_second_head_hears_of_the_first_ones_channels() -> None:
    x = torch.randn(1, 6, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    changed = x.clone()
    changed[:, :3] += 1.0
    for cascade, hears in ((APART, False), (CASCADE, True)):
        layer, sizes = drawn(cascade)
        with torch.no_grad():
            layer.state_dict()["project_weight"][:, :3] = 0  # what the first head answers is not read
            before, after = (layer(image, sizes, Ops()) - image for image in (x, changed))
        assert torch.allclose(before, after) != hears
