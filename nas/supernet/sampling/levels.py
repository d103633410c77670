"""Levels of complexity and the smallest subnets that serve them (ElasticViT, fact sheet §3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.costs.counts import cost, plan_for
from nas.quantity import parse_quantity
from nas.space.batch import Arch
from nas.space.space import Space

DERIVED_LEVELS = 8
DERIVED_MINIMA = 3
DERIVED_DRAWS = 20_000
DERIVED_WINDOW = 0.1


@dataclass(frozen=True)
class Levels:
    """Levels in MACs, ascending, the window above each, and its smallest subnet.

    Attributes:
        macs: lower end of each level's window.
        window: width of the windows in MACs.
        minimum: smallest subnet of each level: trained with it, and the lower bound of its decisions.
        widths, depths: decision indices that the preference rule exchanges.
        anchor: smallest subnet of the space, the rule's anchor at the lowest level.
    """

    macs: tuple[float, ...]
    window: float
    minimum: tuple[Arch, ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    anchor: Arch


def levels_of(space: Space) -> Levels:
    """The space's own levels, or derived ones where its file gives none.

    Derived: eight levels between the 1st and 99th percentile of uniformly drawn MACs, equally spaced in
    their logarithm and moved down to the MACs of an arch that was drawn (small spaces have few); windows of a
    tenth of the first level; three smallest subnets, at the space's minimum and at a quarter and half of the
    way up every decision.
    """
    return _declared(space) if space.sampling is not None else _derived(space)


def _declared(space: Space) -> Levels:
    assert space.sampling is not None
    macs = tuple(sorted(parse_quantity(level, "MACs") for level in space.sampling.levels))
    minima = [(parse_quantity(m.up_to, "MACs"), space.presets[m.preset]) for m in space.sampling.minimum]
    minima.sort(key=lambda item: item[0])
    return Levels(
        macs=macs,
        window=parse_quantity(space.sampling.window, "MACs"),
        minimum=tuple(next((arch for top, arch in minima if level <= top), minima[-1][1]) for level in macs),
        widths=tuple(space.index[name] for name in space.sampling.widths),
        depths=tuple(space.index[name] for name in space.sampling.depths),
        anchor=minima[0][1],
    )


def _derived(space: Space) -> Levels:
    batch = space.sample(DERIVED_DRAWS, seed=0)
    drawn = plan_for(space)(batch)["macs"]
    low, high = np.percentile(drawn, [1, 99])
    macs = tuple(float(value) for value in np.geomspace(low, max(high, low), DERIVED_LEVELS))
    sizes = np.array([len(d) for d in space.decisions])
    ordinal = np.array([d.kind == "ordinal" for d in space.decisions])
    shares = np.array([0.0, 0.25, 0.5])[:, None]
    codes = np.where(ordinal, np.floor(shares * (sizes - 1)), 0).astype(np.int16)
    minima = list(space.repair(space.decode(codes)))
    minimum_macs = [float(cost(space, arch)["macs"][0]) for arch in minima]
    reach = [
        next((i for i in reversed(range(DERIVED_MINIMA)) if minimum_macs[i] < level / 2), 0) for level in macs
    ]
    found: dict[float, Arch] = {}
    for level, i in zip(macs, reach):
        above = drawn[(batch.codes >= np.where(ordinal, space.encode([minima[i]]).codes, 0)).all(axis=1)]
        near = above if len(above) else drawn
        below = near[near <= level]
        found[float(below.max() if len(below) else near.min())] = minima[i if len(above) else 0]
    macs = tuple(sorted(found))
    return Levels(
        macs=macs,
        window=DERIVED_WINDOW * macs[0],
        minimum=tuple(found[level] for level in macs),
        widths=_named(space, "width"),
        depths=_named(space, "depth"),
        anchor=minima[0],
    )


def _named(space: Space, field: str) -> tuple[int, ...]:
    return tuple(i for i, d in enumerate(space.decisions) if d.name.split(".")[-1] == field)
