"""FasterViT's attention from its description: windows cut out one by one, carriers followed by hand, pairs one by one.

A stage's state is a map `(C, H, W)` of one image and, by window, a grid of carriers `(C, c, c)` or None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Parts = Mapping[str, Tensor]
Place = tuple[int, int]


@dataclass
class State:
    """Pixels, the side of a window and each window's carriers by its row and column."""

    pixels: Tensor
    window: int
    carriers: dict[Place, Tensor]


def begin(x: Tensor, p: Parts, window: int, carriers: int) -> State:
    """Carriers: a depth-wise convolution, then means over windows of one size, evenly apart, that cover the map."""
    _, h, w = x.shape
    window = min(window, h, w)
    if carriers == 0 or (h <= window and w <= window):
        return State(x, window, {})
    near = F.conv2d(x[None], p["near_weight"], p["near_bias"], padding=1, groups=x.shape[0])[0]
    rows, columns = -(-h // window), -(-w // window)
    near = F.pad(near, (0, columns * window - w, 0, rows * window - h))
    down, across = rows * carriers, columns * carriers
    grid = torch.zeros(x.shape[0], down, across, dtype=x.dtype)
    step = (near.shape[1] // down, near.shape[2] // across)
    reach = (near.shape[1] - (down - 1) * step[0], near.shape[2] - (across - 1) * step[1])
    for i in range(down):
        for j in range(across):
            part = near[:, i * step[0] : i * step[0] + reach[0], j * step[1] : j * step[1] + reach[1]]
            grid[:, i, j] = part.mean((1, 2))
    cut = {
        (i, j): grid[:, i * carriers : (i + 1) * carriers, j * carriers : (j + 1) * carriers]
        for i in range(rows)
        for j in range(columns)
    }
    return State(x, window, cut)


def among_carriers(state: State, p: Parts, heads: int) -> State:
    """The carriers of all windows, as one grid, attend to each other and pass through the feed-forward network."""
    if not state.carriers:
        return state
    rows, columns = (max(place[axis] for place in state.carriers) + 1 for axis in (0, 1))
    grid = torch.cat([torch.cat([state.carriers[i, j] for j in range(columns)], 2) for i in range(rows)], 1)
    channels, down, across = grid.shape
    tokens = [grid[:, i, j] for i in range(down) for j in range(across)]
    places = [(i, j) for i in range(down) for j in range(across)]
    if down == across:
        tokens = [t + position(p, place, (down, across)) for t, place in zip(tokens, places)]
    tokens = block(tokens, places, (down, across), p, heads)
    new = torch.stack(tokens, 1).view(channels, down, across)
    side = down // rows
    cut = {
        (i, j): new[:, i * side : (i + 1) * side, j * side : (j + 1) * side]
        for i in range(rows)
        for j in range(columns)
    }
    return State(state.pixels, state.window, cut)


def in_windows(state: State, p: Parts, heads: int) -> State:
    """Each window's carriers and pixels attend to each other; a pixel has a position in its window, a carrier none."""
    _, h, w = state.pixels.shape
    side = state.window
    rows, columns = -(-h // side), -(-w // side)
    wide = F.pad(state.pixels, (0, columns * side - w, 0, rows * side - h))
    out, carriers = torch.zeros_like(wide), dict(state.carriers)
    inside = [(y, x) for y in range(side) for x in range(side)]
    for i in range(rows):
        for j in range(columns):
            own = carriers.get((i, j))
            count = 0 if own is None else own.shape[1] * own.shape[2]
            tokens = [] if own is None else list(own.flatten(1).unbind(1))
            for y, x in inside:
                tokens.append(wide[:, i * side + y, j * side + x] + position(p, (y, x), (side, side)))
            tokens = block(tokens, [None] * count + inside, (side, side), p, heads)
            if own is not None:
                carriers[i, j] = torch.stack(tokens[:count], 1).view_as(own)
            for (y, x), token in zip(inside, tokens[count:]):
                out[:, i * side + y, j * side + x] = token
    return State(out[:, :h, :w], side, carriers)


def block(
    tokens: list[Tensor], places: list[Place | None], sides: Place, p: Parts, heads: int
) -> list[Tensor]:
    """Attention and feed-forward network of a list of tokens `(C,)`, each residual."""
    normed = [F.layer_norm(t, t.shape, p["norm_weight"], p["norm_bias"]) for t in tokens]
    q, k, v = (
        [torch.einsum("hdc,c->hd", p[f"{n}_weight"], t) + p[f"{n}_bias"] for t in normed] for n in "qkv"
    )
    table = offsets(p, sides)
    answers = []
    for i, asks in enumerate(q):
        scores = torch.stack([(asks * key).sum(1) / asks.shape[1] ** 0.5 for key in k], 1)
        for j in range(len(k)):
            a, b = places[i], places[j]
            if a is not None and b is not None:  # a carrier among pixels has no bias
                scores[:, j] += table[:, a[0] - b[0] + sides[0] - 1, a[1] - b[1] + sides[1] - 1]
        weights = scores.softmax(1)
        answers.append(sum(weights[:, j, None] * value for j, value in enumerate(v)))
    project = p["project_weight"].flatten(1)
    tokens = [
        t + (project @ a.flatten() + p["project_bias"]) * gain(p, "project") for t, a in zip(tokens, answers)
    ]
    out = []
    for t in tokens:
        y = F.layer_norm(t, t.shape, p["mlp_norm_weight"], p["mlp_norm_bias"])
        y = F.gelu(p["expand_weight"] @ y + p["expand_bias"])
        out.append(t + (p["contract_weight"] @ y + p["contract_bias"]) * gain(p, "contract"))
    return out


def gain(p: Parts, name: str) -> Tensor:
    """The layer scale of a branch; 1 where there is none."""
    return p.get(f"{name}_scale", torch.ones((), dtype=torch.float64))


def offsets(p: Parts, sides: Place) -> Tensor:
    """16 times the sigmoid of what the small network says of each log-spaced offset, `(heads, 2h-1, 2w-1)`."""
    h, w = sides
    table = torch.zeros(p["offsets_heads_weight"].shape[0], 2 * h - 1, 2 * w - 1, dtype=torch.float64)
    for y in range(1 - h, h):
        for x in range(1 - w, w):
            far = torch.tensor([8 * y / max(h - 1, 1), 8 * x / max(w - 1, 1)], dtype=torch.float64)
            log = far.sign() * (far.abs() + 1).log2() / 3
            hidden = (p["offsets_hidden_weight"] @ log + p["offsets_hidden_bias"]).relu()
            table[:, y + h - 1, x + w - 1] = 16 * (p["offsets_heads_weight"] @ hidden).sigmoid()
    return table


def position(p: Parts, place: Place, sides: Place) -> Tensor:
    """What the small network of places says: they count from the middle in halves of the sides."""
    at = [(one - side // 2) / max(side // 2, 1) for one, side in zip(place, sides)]
    hidden = (
        p["position_hidden_weight"] @ torch.tensor(at, dtype=torch.float64) + p["position_hidden_bias"]
    ).relu()
    return p["position_channels_weight"] @ hidden
