"""Small spaces and brute-force answers about them, for the tests of this package."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from pathlib import Path

import numpy as np

from nas.space import Arch, Space, load_space

FOLDER = Path(__file__).parent / "spaces"
NETWORKS = ("operators", "suffix", "optional", "predicates", "layouts", "single", "pools")
ENUMERABLE = (*NETWORKS, "rules")


def small(name: str) -> Space:
    """A space of `tests/space/spaces`."""
    return load_space(FOLDER / f"{name}.yaml")


def written(folder: Path, text: str) -> Space:
    """A space from the text of its file."""
    path = folder / "space.yaml"
    path.write_text(text)
    return load_space(path)


def every_code(space: Space) -> np.ndarray:
    """All combinations of all decisions, valid or not, `(m, n_decisions)`."""
    return np.array(list(itertools.product(*[range(len(d)) for d in space.decisions])), dtype=np.int16)


def every_valid(space: Space) -> np.ndarray:
    """Codes of the valid archs, by looking at each combination."""
    from nas.space import ArchBatch

    codes = every_code(space)
    return codes[space.valid(ArchBatch(space, codes))]


def network_of(space: Space, arch: Arch) -> Hashable:
    """The network of an arch as kinds and sizes, without any name."""
    return tuple((s.kind, tuple(sorted(s.sizes.items()))) for s in space.lower(arch) if s.active)
