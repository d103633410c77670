"""A tiny space, and a stand-in for a device whose clock the test sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nas.latency.profiling.exports import Exported
from nas.latency.profiling.targets.base import Burst, Facts, Target

UNITS = (
    "conv_stem h=16 w=16 cin=3 cout=8 kernel=3 stride=2 act=hard_swish",
    "mbconv h=8 w=8 cin=8 cout=16 kernel=5 stride=2 expansion=3 se=1 act=hard_swish",
    "downsample h=5 w=5 cin=8 cout=12 kernel=3 stride=2 expansion=2 se=1 act=relu",
    "attention h=3 w=4 channels=16 heads=2 qk_dim=4 v_dim=8 act=hard_swish norm=layer_norm",
    "ffn h=3 w=3 channels=16 hidden=32 act=gelu norm=joint_norm",
    "pooled_head h=2 w=2 channels=16 expanded=32 hidden=24 classes=7 act=hard_swish",
    "to_tokens h=3 w=5 channels=8",
    "to_map h=3 w=5 channels=8",
    "mb4d h=4 w=4 channels=8 hidden=16 act=gelu",
    "mb3d h=3 w=3 channels=16 heads=2 qk_dim=4 v_dim=8 hidden=32 act=gelu",
    "conv_ffn h=4 w=4 channels=8 hidden=16 act=gelu",
    "attention4d h=4 w=4 channels=16 heads=2 qk_dim=4 v_dim=8 grid_stride=2 act=gelu",
    "attention_downsample h=4 w=4 cin=8 cout=16 stride=2 heads=2 qk_dim=4 v_dim=8 act=gelu",
    "dual_head h=2 w=2 channels=16 classes=7 distilled=1",
)
TINY = """
version: 1
name: tiny
input: {resolution: [16, 24], classes: 4}
stages:
  first: {block: conv_stem, stride: 2, width: 8}
  A: {block: mbconv, stride: 2, depth: [1, 2], width: [8, 16], kernel: [3, 5], expansion: [2, 3], se: 1}
  T:
    block: transformer
    stride: 2
    downsample: {block: downsample, expansion: 2}
    depth: [1, 2]
    width: [16, 24, 32]
    heads: width / 8
    qk_dim: 4
    mlp_ratio: [1, 2]
    v_scale: [1, 2]
  head: {block: pooled_head, expansion: 2, hidden: 16}
rules: [A.width <= T.width]
"""


def tiny_space(folder: Path) -> Path:
    """The file of a space with 96 units or fewer."""
    path = folder / "tiny.yaml"
    path.write_text(TINY)
    return path


def exported(name: str) -> Exported:
    """A model that a `FakeTarget` takes."""
    return Exported(name, Path(f"{name}.onnx"), (1, 3, 8, 8))


class FakeTarget(Target):
    """A device on which a model takes `ms(name)` times `speed(now)`, where `now` counts the bursts so far."""

    def __init__(self, ms: Callable[[str], float], speed: Callable[[int], float] = lambda now: 1.0) -> None:
        self.ms, self.speed = ms, speed
        self.now = 0
        self.timed: list[str] = []
        self.loaded: set[str] = set()

    def facts(self) -> Facts:
        return Facts("a test", "1")

    def load(self, model: Exported) -> None:
        self.loaded.add(model.name)

    def time(self, model: Exported, burst: Burst) -> list[float]:
        assert model.name in self.loaded
        self.now += 1
        self.timed.append(model.name)
        return [self.ms(model.name) * self.speed(self.now)] * burst.runs

    def drop(self, model: Exported) -> None:
        self.loaded.remove(model.name)

    def close(self) -> None:
        self.loaded.clear()
