"""Where in a cluster the files of studies lie: one that was interrupted goes on from its checkpoint or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.pipeline.plan import study_folder
from nas.scale.cluster import Origin, alive

ANSWER_S = 120.0


def homes(
    ray: Any, begun: Sequence[str], supernet: str | None, origin: Origin
) -> tuple[dict[str, str], str | None]:
    """Addresses of the machines that studies have to run at.

    Args:
        ray: the connected module.
        begun: names of studies that were begun.
        supernet: name of a study whose weights all use.
        origin: of the driver; see `nas.scale.cluster.Origin`.

    Returns:
        An address for each begun study whose newest files only some machines see, and one with the supernet where
        not all see it.
    """
    wanted = [*begun, *([supernet] if supernet is not None else [])]
    machines = {node["NodeManagerAddress"]: node["NodeID"] for node in alive(ray)}
    if len(machines) < 2 or not wanted:
        return {}, None
    times = _answers(ray, machines, wanted, origin)
    there = {address: dict.fromkeys(of, 0.0) for address, of in times.items()}  # weights do not age
    return pinned(times, begun), None if supernet is None else pinned(there, [supernet]).get(supernet)


def _answers(
    ray: Any, machines: Mapping[str, str], names: list[str], origin: Origin
) -> dict[str, dict[str, float]]:
    """What `newest` finds on each machine; nothing on those that do not answer: they cannot go on either."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=0)(newest)
    asked = {
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            names, origin
        ): address
        for address, node in machines.items()
    }
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
    found: dict[str, dict[str, float]] = {address: {} for address in machines}
    for answer in answered:
        try:
            found[asked[answer]] = ray.get(answer)
        except ray.exceptions.RayError:
            continue
    return found


def pinned(times: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> dict[str, str]:
    """Which studies only some machines can go on with, and the first of these for each.

    Args:
        times: by the address of each machine, when its files of each study were last changed; without studies it
            has no files of.
    """
    chosen = {}
    for name in names:
        known = {address: of[name] for address, of in times.items() if name in of}
        latest = [address for address, at in known.items() if at == max(known.values())]
        if 0 < len(latest) < len(times):
            chosen[name] = latest[0]
    return chosen


def newest(names: Sequence[str], origin: Origin) -> dict[str, float]:
    """When what each study goes on from was last changed on this machine, in seconds by its clock.

    Studies without any are left out. Reports and exports do not count: they are written where somebody asks for them.
    """
    from nas.pipeline.search_state import CHECKPOINT
    from nas.pipeline.supernet_card import CARD
    from nas.supernet.checkpoint import BETWEEN, CURRENT, PREVIOUS

    origin.enter()
    found: dict[str, float] = {}
    for name in names:
        for file in (CHECKPOINT, CURRENT, PREVIOUS, BETWEEN, CARD):
            try:
                at = (study_folder(name) / file).stat().st_mtime
            except FileNotFoundError:
                continue
            found[name] = max(at, found.get(name, 0.0))
    return found
