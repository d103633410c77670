"""Where in a cluster the files of interrupted studies lie: a study goes on from its checkpoint or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.pipeline.lock import LOCK
from nas.pipeline.plan import study_folder
from nas.scale.cluster import Origin

ANSWER_S = 120.0


def homes(ray: Any, names: Sequence[str], origin: Origin) -> dict[str, str]:
    """Address of the machine that each study has to go on at.

    Args:
        ray: the connected module.
        names: of studies that were begun.
        origin: of the driver; see `nas.scale.cluster.Origin`.

    Returns:
        Addresses by name. Studies whose newest files all machines see, or none, are left out.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node.get("Alive")]
    if len(nodes) < 2 or not names:
        return {}
    ask = ray.remote(num_cpus=0, max_retries=0)(newest)
    answers = {
        node["NodeManagerAddress"]: ask.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(list(names), origin)
        for node in nodes
    }
    found = {}
    for address, answer in answers.items():
        try:
            found[address] = ray.get(answer, timeout=ANSWER_S)
        except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError):
            continue  # a machine that does not answer cannot go on with a study either
    return pinned(found, names)


def pinned(times: dict[str, dict[str, float]], names: Sequence[str]) -> dict[str, str]:
    """Which studies only some machines can go on with, and the first of these for each.

    Args:
        times: when each machine's files of each study were last changed; without studies it has no files of.
    """
    chosen = {}
    for name in names:
        known = {address: of[name] for address, of in times.items() if name in of}
        latest = [address for address, at in known.items() if at == max(known.values())]
        if 0 < len(latest) < len(times):
            chosen[name] = latest[0]
    return chosen


def newest(names: Sequence[str], origin: Origin) -> dict[str, float]:
    """When the files of each study were last changed on this machine, in seconds; those without files left out."""
    origin.enter()
    found = {}
    for name in names:
        files = [path for path in study_folder(name).rglob("*") if path.is_file() and path.name != LOCK]
        if files:
            found[name] = max(path.stat().st_mtime for path in files)
    return found
