"""Every preset of every vision space: what it costs, what was published of it, what it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas import content
from nas.latency.network_table import NetworkTable
from nas.latency.signature import rows_of
from nas.latency.table import Key
from nas.metrics import Metric
from nas.pipeline.metrics import CheapMetrics
from nas.space.batch import Arch
from nas.space.load import load_space
from nas.space.space import Space

MOST_MACS, MOST_PARAMS = 20e9, 150e6
_FAMILIES = {
    "efficientformer": "EfficientFormer",
    "efficientformer_v2": "EfficientFormerV2",
    "efficientnetv2": "EfficientNetV2",
    "efficientvit_b": "EfficientViT (MIT)",
    "efficientvit_l": "EfficientViT (MIT)",
    "efficientvit_msra": "EfficientViT (Microsoft)",
    "elasticvit": "ElasticViT",
    "fastervit": "FasterViT",
    "fastervit_any": "FasterViT",
    "fastervit_large": "FasterViT",
    "mobilevitv2": "MobileViTv2",
    "ofa_mobilenetv3": "Once-for-all",
    "ofa_mobilenetv3_w12": "Once-for-all",
    "repvit": "RepViT",
    "repvit_legacy": "RepViT",
    "tiny_vit": "TinyViT",
    "turbovit": "Hiera",
}
_MORE_DATA = {
    "efficientnetv2": ("XL",),
    "fastervit_large": ("FasterViT-4-21k",),
    "tiny_vit": ("",),
}  # beginnings of names, as the spaces' sources say: trained or distilled with ImageNet-21k or 22k


@dataclass(frozen=True)
class Preset:
    """A named network of a space.

    Attributes:
        top1: published, in percent; None where the space states none.
        source: where it was published.
    """

    space: Space
    name: str
    arch: Arch
    macs: int
    params: int
    top1: float | None
    source: str

    @property
    def family(self) -> str:
        """The family that its space belongs to; a space of somebody's own is one."""
        return _FAMILIES.get(self.space.name, self.space.name)

    @property
    def label(self) -> str:
        """Space and name, which no other preset has."""
        return f"{self.space.name} {self.name}"

    @property
    def more_data(self) -> bool:
        """Whether its published weights have seen more than ImageNet-1k."""
        return self.name.startswith(_MORE_DATA.get(self.space.name, ()))

    @property
    def too_big(self) -> str:
        """Why it is not timed here, or nothing."""
        if self.macs > MOST_MACS:
            return "not timed: above 20 G MACs"
        return "not timed: above 150 M parameters" if self.params > MOST_PARAMS else ""

    def units(self) -> list[Key]:
        """The distinct units it is made of."""
        found: dict[Key, None] = {}
        for slot in self.space.lower(self.arch):
            if np.asarray(slot.active).all():
                found[slot.kind, tuple(int(size) for size in rows_of(slot.kind, slot.sizes)[0])] = None
        return list(found)

    def measured(self, networks: NetworkTable) -> Metric | None:
        """Its time in a table of whole networks."""
        key = (self.space.name, self.arch.id)
        if key not in networks:
            return None
        entry = networks[key]
        spread = entry.spread_ms or 0.0
        low, high = entry.median_ms - spread, entry.median_ms + spread
        return Metric(entry.median_ms, "ms", "measured", low, high)


def every_preset(names: Sequence[str] = ()) -> list[Preset]:
    """Presets of these spaces, all vision spaces by default, families together and small ones first."""
    spaces = [load_space(name) for name in names or content.names("spaces")]
    found = [preset for space in spaces if space.blueprint is not None for preset in _of(space)]
    return sorted(found, key=lambda one: (one.family, one.macs, one.label))


def _of(space: Space) -> list[Preset]:
    costs = CheapMetrics(space)
    found = []
    for name, arch in space.presets.items():
        metrics = costs.metrics(arch)[0]
        macs, params = int(metrics["macs"].value), int(metrics["params"].value)
        published = space.published
        found.append(
            Preset(space, name, arch, macs, params, published.top1.get(name), published.source or "")
        )
    return found
