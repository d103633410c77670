"""A small space of operators per position, for the tests of relaxed training."""

from __future__ import annotations

from pathlib import Path

import torch

from nas.space import Arch, Space, load_space
from nas.space.choices import heaviest
from nas.supernet.supernet import Supernet

TEXT = """
version: 1
name: operators
input: {resolution: 32, classes: 4}
stages:
  stem: {block: conv_norm, stride: 2, width: A.width, kernel: 3, act: relu}
  A:
    block: {values: [identity, mb4d], per: block}
    depth: 3
    width: [4, 8]
  B:
    block: {values: [identity, mb4d, mb3d], per: block}
    stride: 2
    downsample: {block: conv_norm, kernel: 3}
    depth: 4
    width: [8, 12, 16]
    heads: 2
    qk_dim: 4
  head: {block: dual_head}
rules:
  - A.block[0] != 'identity' and B.block[0] != 'identity'
  - >-
    (B.block[0] != 'mb3d' or B.block[1] != 'mb4d') and (B.block[1] != 'mb3d' or B.block[2] != 'mb4d') and
    (B.block[2] != 'mb3d' or B.block[3] != 'mb4d')
"""


def operators(folder: Path) -> Space:
    """Three positions of two blocks, four of three."""
    path = folder / "operators.yaml"
    path.write_text(TEXT)
    return load_space(path)


def shaken(space: Space, scale: float = 0.5) -> Supernet:
    """A float64 relaxed supernet at eval, every weight and statistic moved away from its start."""
    net = Supernet(space, 4, resolution_scale=scale, relaxed=True).double().eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name != "relaxation.temperature":
                noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.add_(noise if name.endswith("_var") else 0.6 * (noise - 0.4))
    return net


def arch(space: Space, a: str, b: str, wide: int = 8, wider: int = 16) -> Arch:
    """Blocks by letter (4: mb4d, 3: mb3d, -: identity) and widths."""
    words = {"4": "mb4d", "3": "mb3d", "-": "identity"}
    blocks = {f"A.block[{i}]": words[letter] for i, letter in enumerate(a)}
    blocks |= {f"B.block[{i}]": words[letter] for i, letter in enumerate(b)}
    return space.encode([{**blocks, "A.width": wide, "B.width": wider}])[0]


def largest(space: Space) -> Arch:
    """All positions filled with the block listed last."""
    return heaviest(space)[0]
