"""Spaces of any number of stages, as text."""

from __future__ import annotations

HEAD = "version: 1\nname: chain\ninput: {{resolution: {resolution}, classes: 10}}\nstages:\n"
FIRST = "  first: {block: conv_stem, stride: 2, width: 8}\n"
LAST = "  head: {block: pooled_head, expansion: 2, hidden: 8}\n"
PLAIN = (
    "  S{i}: {{block: mbconv, depth: {{min: 1, max: 3}}, width: [8, 16, 24], kernel: [3, 5], "
    "expansion: {{values: [2, 3, 4], per: block}}, se: 0}}\n",
    "  S{i}: {{block: conv_ffn, downsample: {{block: downsample, kernel: 3, expansion: 2, se: 0}}, "
    "depth: {{min: 1, max: 3}}, width: [8, 16, 24], expansion: {{values: [2, 3, 4], per: block}}}}\n",
)
DERIVED = (
    "  S{i}: {{block: mbconv, depth: {{min: 1, max: 2}}, width: S{before}.width, kernel: 3, "
    "expansion: [2, 3], se: 0}}\n",
)
IDENTITY = (
    "  S{i}: {{block: {{values: [mbconv, identity], per: block}}, depth: 2, width: [8, 16], kernel: 3, "
    "downsample: {{block: downsample, kernel: 3, expansion: 2, se: 0}}, expansion: 2, se: 0}}\n",
)


def chain(stages: int, *, shared: bool = False, rules: bool = False) -> str:
    """Stages of two kinds in turn, each with a width, a depth and expansions of its own.

    Args:
        shared: with a choice of resolution, on which all of them depend.
        rules: with a rule that ties each stage's width to the one before.
    """
    text = HEAD.format(resolution="[64, 96]" if shared else 64) + FIRST
    text += "".join(PLAIN[i % 2].format(i=i) for i in range(stages)) + LAST
    tied = "".join(f"  - S{i}.width + 16 >= S{i - 1}.width\n" for i in range(1, stages))
    return text + ("rules:\n" + tied if rules else "")


def derived_chain(stages: int) -> str:
    """Stages whose width is the width of the stage before."""
    start = "  S0: {block: mbconv, width: [8, 16], kernel: 3, expansion: 2, se: 0}\n"
    body = "".join(DERIVED[0].format(i=i, before=i - 1) for i in range(1, stages))
    return HEAD.format(resolution=64) + FIRST + start + body + LAST


def identity_chain(stages: int) -> str:
    """Stages whose blocks may each be left out."""
    body = "".join(IDENTITY[0].format(i=i) for i in range(stages))
    return HEAD.format(resolution=64) + FIRST + body + LAST
