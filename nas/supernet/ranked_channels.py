"""Ranked channels: the channels of a trained supernet permuted so that narrower networks keep the important ones.

Subnets use the leading part of every weight. A supernet that was trained at its largest widths alone has no reason to
keep what matters there, so its channels are sorted by the squared norm of the weights that read or write them. All
weights that share channels are permuted alike: the largest network computes what it did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nas.blocks.base import Unit
from nas.blocks.counting import weights_of
from nas.errors import NasError
from nas.space.batch import Arch
from nas.space.lowering import Slot
from nas.supernet.relaxed import options_of
from nas.supernet.supernet import Supernet

STREAM_KEYS = ("channels", "cin", "cout")
INNER_KEYS = ("hidden",)


@dataclass
class Channels:
    """Channels that several weights share: where each weight has them."""

    count: int
    axes: list[tuple[Tensor, int, bool]] = field(default_factory=list)
    """Tensor, dimension, and whether it is trained (statistics are moved, but do not count)."""

    def order(self) -> Tensor:
        """Channels by their mean share of the squared norm of each weight, largest first; int64 `(count,)`."""
        score = torch.zeros(self.count, dtype=torch.float64)
        for tensor, axis, trained in self.axes:
            if trained:
                others = [d for d in range(tensor.dim()) if d != axis]
                norms = tensor.detach().double().cpu().square()
                norms = norms.sum(others) if others else norms
                score += norms / norms.sum().clamp_min(1e-30)
        return score.argsort(descending=True, stable=True)

    @torch.no_grad()
    def permute(self, order: Tensor) -> None:
        """Put channel `order[i]` in place i, everywhere."""
        for tensor, axis, _ in self.axes:
            tensor.copy_(tensor.index_select(axis, order.to(tensor.device)))


def rank_channels(supernet: Supernet, largest: Arch) -> int:
    """Sort the channels of every stage and every block's hidden channels by importance, in place.

    Args:
        largest: the arch with the largest widths.

    Returns:
        Number of groups of channels that were sorted.

    Raises:
        NasError: a kind of layer whose channels cannot be told apart by its sizes.
    """
    groups = shared_channels(supernet, largest)
    for group in groups:
        group.permute(group.order())
    return len(groups)


def shared_channels(supernet: Supernet, largest: Arch) -> list[Channels]:
    """The groups of channels: one for each stage's residual stream, one for each block's hidden channels."""
    groups: list[Channels] = []
    stream: Channels | None = None
    for slot, sizes in _slots(supernet, largest):
        if slot.reads:
            raise NasError(
                f"stage {slot.stage!r} reads kept streams; which channels belong together is known of chains alone."
            )
        own = dict(supernet.layers[slot.name.replace(".", "_")].state_dict(keep_vars=True))
        behind = stream
        if "cout" in sizes:
            behind = Channels(sizes["cout"])
            groups.append(behind)
        inner = {key: Channels(sizes[key]) for key in INNER_KEYS if key in sizes}
        holders = {"channels": stream, "cin": stream, "cout": behind, **inner}
        for name, axis, key in _axes(slot.unit, sizes):
            holder = holders[key]
            if holder is not None:
                holder.axes.append((own[name], axis, isinstance(own[name], torch.nn.Parameter)))
        groups += inner.values()
        stream = behind
    return groups


def _slots(supernet: Supernet, largest: Arch) -> Iterator[tuple[Slot, dict[str, int]]]:
    """Every layer of the supernet with its largest sizes, in order."""
    slots, rows, _ = options_of(supernet.space, largest, supernet.resolution_scale, supernet.num_classes)
    n = 1 + sum(len(found) for found in rows.values())
    for slot in slots:
        active = np.broadcast_to(np.asarray(slot.active, dtype=bool), (n,))
        if active.any():
            row = int(active.argmax())
            yield slot, {key: int(np.broadcast_to(np.asarray(v), (n,))[row]) for key, v in slot.sizes.items()}


def _axes(unit: type[Unit], sizes: dict[str, int]) -> Iterator[tuple[str, int, str]]:
    """Weight, dimension and size for every dimension that is a number of channels."""
    for key in (*STREAM_KEYS, *INNER_KEYS):
        if key not in sizes:
            continue
        more = {**sizes, key: sizes[key] + 1}
        grown = weights_of(unit, more)
        for name, weight in weights_of(unit, sizes).items():
            if name not in grown:
                continue
            for axis, (size, now) in enumerate(zip(weight.shape, grown[name].shape)):
                if now == size:
                    continue
                if (size, now) != (sizes[key], sizes[key] + 1):
                    raise NasError(
                        f"channels of {unit.kind!r} cannot be ranked: {name} mixes {key!r} with others."
                    )
                yield name, axis, key
