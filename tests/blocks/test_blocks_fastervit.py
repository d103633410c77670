"""Hierarchical attention equals its description, windows cut out one by one and carriers followed by hand."""

from __future__ import annotations

from typing import Any

import naive_fastervit as naive
import numpy as np
import pytest
import torch
from torch import Tensor

from nas.blocks.elastic import Elastic
from nas.blocks.layouts import MAP, Interface
from nas.blocks.ops import Ops
from nas.blocks.registry import UNITS
from nas.testing import check_block
from nas.testing.blocks import static

KINDS = ("carrier_attention", "windowed_attention", "end_carriers")


def layers(
    side: tuple[int, int], window: int, carriers: int, **fields: int
) -> list[tuple[str, dict[str, int]]]:
    """A stage with one block: kinds and sizes, as a space plans them."""
    given = {"stride": 1, "heads": 3, "mlp_ratio": 2, "act": 2, "scale": 0, "propagate": 1} | fields
    first = UNITS["carrier_tokens"]
    sizes, between = first.plan(Interface(MAP, 12, *side), {"window": window, "carriers": carriers})
    stage = [("carrier_tokens", sizes), *((kind, UNITS[kind].plan(between, given)[0]) for kind in KINDS)]
    return [(kind, {key: int(value) for key, value in sizes.items()}) for kind, sizes in stage]


def drawn(kind: str, sizes: dict[str, int], seed: int) -> Elastic:
    layer = static(UNITS[kind], sizes, torch.Generator().manual_seed(seed)).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in layer.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_(1 + 0.3 * noise if name.endswith(("norm_weight", "_scale")) else 0.4 * noise)
    return layer


@pytest.mark.parametrize(
    ("side", "window", "carriers", "scale"),
    [
        ((4, 4), 2, 1, 0),
        ((6, 6), 3, 2, 1),
        ((5, 7), 3, 2, 0),
        ((4, 4), 2, 0, 0),
        ((3, 3), 4, 2, 1),
        ((2, 5), 2, 1, 1),
    ],
)
def test_a_stage_equals_its_description(
    side: tuple[int, int], window: int, carriers: int, scale: int
) -> None:
    stage = layers(side, window, carriers, scale=scale)
    built = [drawn(kind, sizes, seed) for seed, (kind, sizes) in enumerate(stage)]
    x = torch.randn(2, 12, *side, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    got: Any = x
    with torch.no_grad():
        for layer, (_, sizes) in zip(built, stage):
            got = layer(got, sizes, Ops())
        parts = [dict(layer.named_parameters()) for layer in built]
        for image, answer in zip(x, got):
            state = naive.begin(image, parts[0], window, carriers)
            state = naive.among_carriers(state, parts[1], 3)
            state = naive.in_windows(state, parts[2], 3)
            torch.testing.assert_close(answer, ended(state), rtol=1e-9, atol=1e-9)


def ended(state: naive.State) -> Tensor:
    """Every pixel with the carrier of its place in its window."""
    y = state.pixels.clone()
    for (row, column), own in state.carriers.items():
        for i in range(state.window):
            for j in range(state.window):
                at = row * state.window + i, column * state.window + j
                if at[0] < y.shape[1] and at[1] < y.shape[2]:
                    place = nearest(at, y.shape[1:], state)
                    y[:, at[0], at[1]] += own_of(state, place)
        del own
    return y


def nearest(at: tuple[int, int], sides: Any, state: naive.State) -> tuple[int, int]:
    """The carrier of a pixel, of all carriers as one grid as large as the map."""
    rows, columns = (max(place[axis] for place in state.carriers) + 1 for axis in (0, 1))
    count = next(iter(state.carriers.values())).shape[1]
    return at[0] * rows * count // sides[0], at[1] * columns * count // sides[1]


def own_of(state: naive.State, place: tuple[int, int]) -> Tensor:
    count = next(iter(state.carriers.values())).shape[1]
    own = state.carriers[place[0] // count, place[1] // count]
    return own[:, place[0] % count, place[1] % count]


def test_windows_know_nothing_of_each_other_without_carriers() -> None:
    """What changes in one window is heard in another only by way of carriers."""
    for carriers, heard in ((0, False), (1, True)):
        stage = layers((4, 4), 2, carriers)
        built = [drawn(kind, sizes, seed) for seed, (kind, sizes) in enumerate(stage)]
        x = torch.randn(1, 12, 4, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        other = x.clone()
        other[:, :, 3, 3] += 1
        answers = []
        for image in (x, other):
            y: Any = image
            with torch.no_grad():
                for layer, (_, sizes) in zip(built, stage):
                    y = layer(y, sizes, Ops())
            answers.append(y[:, :, :2, :2])
        assert torch.equal(*answers) is not heard


def test_counting_equals_running() -> None:
    rng = np.random.default_rng(0)
    rows: dict[str, list[dict[str, int]]] = {}
    for _ in range(12):
        side = (int(rng.integers(2, 10)), int(rng.integers(2, 10)))
        fields = {
            "heads": int(rng.integers(1, 4)),
            "scale": int(rng.integers(2)),
            "propagate": int(rng.integers(2)),
        }
        for kind, sizes in layers(side, int(rng.integers(1, 5)), int(rng.integers(0, 4)), **fields):
            rows.setdefault(kind, []).append(sizes)
    for kind, sizes in rows.items():
        check_block(UNITS[kind], sizes)
