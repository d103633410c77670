"""Fused stages: steps of single stages, and what a reward that knows the training step chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from seeds import Interval, interval, paired
from study import Row
from timing import Times

from nas.costs.counts import cost
from nas.search.utility import Utility
from nas.space.space import Space

NONE = "none"
EARLY = ("first", "first two", "first three", "first four")
AWARE, UNAWARE = "A·S^w·P^v", "A·P^v"


def ratio(times: Times, base: Times) -> Interval:
    """Times over those of the base, round by round: the geometric mean with its 95 % t interval."""
    logs = interval(np.log(times.runs / base.runs).tolist())
    mean, low, high = (float(np.exp(value)) for value in (logs.mean, logs.low, logs.high))
    return Interval(mean, low, high, logs.n)


def stage_rows(space: Space, singles: Mapping[str, object], times: Mapping[str, Times]) -> list[Row]:
    """A row for each stage: the network in which it is fused over the one in which none is."""
    base = cost(space, space.presets[NONE])
    rows: list[Row] = []
    for stage, arch in singles.items():
        own, found = cost(space, arch), ratio(times[stage], times[NONE])  # type: ignore[arg-type]
        verdict = "faster" if found.high < 1 else "slower" if found.low > 1 else "cannot be told"
        rows.append(
            {
                "fused stage": stage,
                "step ms, median (5–95 %)": times[stage].shown,
                "step over none fused": f"{found.mean:.3f} ({found.low:.3f}–{found.high:.3f})",
                "MACs over none": f"{own['macs'][0] / base['macs'][0]:.2f}",
                "parameters over none": f"{own['params'][0] / base['params'][0]:.2f}",
                "its training step is": verdict,
            }
        )
    return rows


def rewards(
    space: Space, tops: Mapping[str, Sequence[float]], times: Mapping[str, Times], weight: float
) -> dict[str, list[float]]:
    """The reward of each network and seed; S is a median over that of no fused stage."""
    utility = Utility("training_aware", cost="step", target=times[NONE].median, weight=weight)
    found = {}
    for name, values in tops.items():
        params = float(cost(space, space.presets[name])["params"][0])
        costs = {
            key: np.full(len(values), one) for key, one in (("step", times[name].median), ("params", params))
        }
        found[name] = utility(np.array(values), costs).tolist()
    return found


def network_rows(space: Space, tops: Mapping[str, Sequence[float]], times: Mapping[str, Times]) -> list[Row]:
    """A row for each network: accuracy, step, parameters, and both rewards against no fused stage."""
    known = {AWARE: rewards(space, tops, times, Utility.weight), UNAWARE: rewards(space, tops, times, 0.0)}
    rows: list[Row] = []
    for name, values in tops.items():
        counted = cost(space, space.presets[name])
        row: dict[str, object] = {
            "fused stages": name,
            "top-1 %": interval(values).points(),
            "step ms": f"{times[name].median:.1f}",
            "parameters M": f"{counted['params'][0] / 1e6:.2f}",
            "MACs M": f"{counted['macs'][0] / 1e6:.1f}",
        }
        for title, one in known.items():
            gap = paired(one[name], one[NONE])
            row[title] = f"{np.mean(one[name]):.4f}"
            row[f"{title} minus none"] = (
                "" if name == NONE else f"{gap.mean:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})"
            )
        rows.append(row)
    return rows


def chosen(known: Mapping[str, Sequence[float]]) -> tuple[str, bool]:
    """The network of the highest mean reward, and whether it is above no fused stage with certainty."""
    best = max(known, key=lambda name: float(np.mean(known[name])))
    return best, best != NONE and paired(known[best], known[NONE]).low > 0


def reward_verdict(space: Space, tops: Mapping[str, Sequence[float]], times: Mapping[str, Times]) -> str:
    """What the rule says of the two rewards."""
    aware, sure = chosen(rewards(space, tops, times, Utility.weight))
    unaware, _ = chosen(rewards(space, tops, times, 0.0))
    told = f"{AWARE} chooses `{aware}`" + ("" if sure or aware == NONE else ", not with certainty")
    because = "so not because of the step" if unaware in EARLY else "so because of the step"
    holds = aware in EARLY and sure
    return (
        f"{told}; {UNAWARE} chooses `{unaware}`, {because}: the claim {'holds' if holds else 'does not hold'}"
    )
