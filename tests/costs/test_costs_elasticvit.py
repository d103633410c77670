"""The published numbers of the released architectures (fact sheet §7.1)."""

from __future__ import annotations

import pytest

from nas.costs import cost
from nas.space import Arch, load_space

SPACE = load_space("elasticvit")
PUBLISHED = {
    "T1": (62.91512, 8_905_832),
    "T2": (119.97959, 9_300_065),
    "S1": (217.641922, 10_836_592),
    "S2": (318.528056, 10_231_654),
    "M": (415.580824, 12_016_968),
    "L1": (517.107584, 12_764_996),
    "L1.5": (618.780672, 14_706_044),
    "L2": (704.110592, 14_901_060),
    "L3": (815.399296, 15_344_982),
}
MINIMA = {"min-200": 37.365024, "min-400": 159.924302, "min-800": 288.809400}
STAGES = {
    "T1": (3.408, 9.363, 6.322, 5.902, 11.268, 11.335, 8.319, 6.998),
    "S1": (7.668, 30.523, 18.887, 28.014, 48.135, 45.533, 29.665, 9.217),
    "M": (13.648, 61.365, 62.590, 46.124, 85.961, 69.950, 62.567, 13.375),
    "L3": (17.826, 132.186, 123.815, 98.787, 195.617, 145.342, 86.202, 15.624),
}
ORDER = ("stem", "C1", "C2", "T1", "T2", "T3", "T4", "head")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_official_formula_gives_the_published_macs(name: str) -> None:
    assert sum(_official(SPACE.presets[name]).values()) == round(PUBLISHED[name][0] * 1e6)


@pytest.mark.parametrize("name", MINIMA)
def test_the_official_formula_gives_the_minima(name: str) -> None:
    assert sum(_official(SPACE.presets[name]).values()) == round(MINIMA[name] * 1e6)


@pytest.mark.parametrize("name", STAGES)
def test_the_official_formula_gives_the_published_stages(name: str) -> None:
    found = _official(SPACE.presets[name])
    assert [round(found[stage] / 1e6, 3) for stage in ORDER] == list(STAGES[name])


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_equal_the_published_ones(name: str) -> None:
    assert cost(SPACE, SPACE.presets[name], "train")["params"][0] == PUBLISHED[name][1]


def test_the_largest_network() -> None:
    largest = Arch(SPACE, {d.name: d.values[-1] for d in SPACE.decisions})
    assert sum(_official(largest).values()) / 1e6 == pytest.approx(3191.459, abs=5e-4)


def test_presets_are_inside_the_space() -> None:
    assert len(SPACE.presets) == 12
    assert {name for name, arch in SPACE.presets.items() if not SPACE.contains(arch)} == set()


def test_our_macs_differ_from_the_official_rules_only_as_stated() -> None:
    """Ours count what runs: gates and shortcuts of down-samplers and the 3×3 of V, real odd sides, no 1-per-score."""
    for name, (published, _) in PUBLISHED.items():
        ours = cost(SPACE, SPACE.presets[name])["macs"][0] / 1e6
        assert 0.99 * published < ours < 1.04 * published


def _official(arch: Arch) -> dict[str, int]:
    """MACs by stage under the rules of the published counter, from our lowered layers."""
    totals = dict.fromkeys(ORDER, 0)
    layers = [(slot.stage, slot.kind, slot.sizes) for slot in SPACE.lower(arch) if slot.active]
    kernel = next(s["kernel"] for stage, _, s in layers if stage == "stem")
    for stage, kind, s in layers:
        where = "stem" if stage == "first" else stage
        if stage == "stem":
            c, area = s["cout"], s["h"] ** 2
            totals[where] += c * area * kernel**2 + c * c * area
        elif kind == "conv_stem":
            totals[where] += 27 * s["cout"] * (s["h"] // 2) ** 2
        elif kind in ("mbconv", "downsample"):
            totals[where] += _mbconv(kind, s)
        elif kind == "attention":
            totals[where] += _attention(s)
        elif kind == "ffn":
            totals[where] += s["h"] ** 2 * 2 * s["channels"] * s["hidden"]
        elif kind == "pooled_head":
            c = s["channels"]
            totals[where] += 6 * c * c * s["h"] ** 2 + 6 * c * 1984 + 1984 * 1000
    return totals


def _mbconv(kind: str, s: dict[str, int]) -> int:
    out = -(-s["h"] // s["stride"])
    side = 2 * out if s["stride"] == 2 else out
    inner = s["cin"] * s["expansion"]
    total = s["cin"] * inner * side**2 + inner * s["kernel"] ** 2 * out**2 + inner * s["cout"] * out**2
    if kind == "mbconv":
        total += 2 * inner * (inner // 4) if s["se"] else 0
        total += s["cin"] * s["cout"] * out**2 if s["stride"] == 2 else 0
    return total


def _attention(s: dict[str, int]) -> int:
    n, c, heads, qk, v = s["h"] ** 2, s["channels"], s["heads"], s["qk_dim"], s["v_dim"]
    return heads * n * n * (qk + v + 1) + c * n * heads * (2 * qk + v) + n * heads * v * c + n * heads * v
