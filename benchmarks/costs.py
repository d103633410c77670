"""MACs, parameters and latency of architectures per second, beside a per-arch dictionary sum.

The dictionary sum is how published tools do it: walk one architecture's blocks, build each block's key, add
up the table's entry. Both run here, on the same architectures.

    OMP_NUM_THREADS=2 python benchmarks/costs.py
"""

from __future__ import annotations

import time

import numpy as np

from nas.blocks.counting import macs, params
from nas.costs import cost
from nas.latency.device import load_device
from nas.space import Space, load_space

BATCH, LOOPED = 1_000_000, 1_000


def main() -> None:
    """Print both rates and their ratio."""
    space, device = load_space("elasticvit"), load_device("pixel6")
    batch = space.sample(BATCH, seed=0)
    start = time.perf_counter()
    cost(space, batch[:10]), device.latency(space, batch[:10])
    print(f"plans and tables made once: {time.perf_counter() - start:.2f} s")
    times = []
    for _ in range(5):
        start = time.perf_counter()
        counted, latency = cost(space, batch), device.latency(space, batch)
        times.append(time.perf_counter() - start)
    ours = BATCH / sorted(times)[2]
    table = _dictionary(space, LOOPED)
    archs = [space.lower(arch) for arch in batch[:LOOPED]]
    start = time.perf_counter()
    for slots in archs:
        _summed(slots, table)
    loop = LOOPED / (time.perf_counter() - start)
    start = time.perf_counter()
    for arch in batch[:LOOPED]:
        _summed(space.lower(arch), table)
    whole = LOOPED / (time.perf_counter() - start)
    check = np.array([_summed(slots, table)[0] for slots in archs])
    assert np.array_equal(check, counted["macs"][:LOOPED])
    print(f"batched:                              {ours:12,.0f} archs/s (median of 5, {BATCH:,} archs)")
    print(f"dictionary sum, layers listed before: {loop:12,.0f} archs/s  → {ours / loop:,.0f}x")
    print(f"dictionary sum, layers listed too:    {whole:12,.0f} archs/s  → {ours / whole:,.0f}x")
    print(f"latency range {float(np.min(latency)):.1f} … {float(np.max(latency)):.1f} ms")


def _key(slot: object) -> str:
    sizes = "_".join(str(value) for value in slot.sizes.values())  # type: ignore[attr-defined]
    return f"{slot.kind}_{sizes}"  # type: ignore[attr-defined]


def _dictionary(space: Space, n: int) -> dict[str, tuple[int, int, float]]:
    """An entry for every layer met; its time is a placeholder of the right shape: looking it up costs the same."""
    table = {}
    for arch in space.sample(BATCH, seed=0)[:n]:
        for slot in space.lower(arch):
            if slot.active:
                table[_key(slot)] = (macs(slot.unit, slot.sizes), params(slot.unit, slot.sizes), 0.1)
    return table


def _summed(slots: list[object], table: dict[str, tuple[int, int, float]]) -> tuple[int, int, float]:
    total_macs, total_params, total_ms = 0, 0, 0.0
    for slot in slots:
        if slot.active:  # type: ignore[attr-defined]
            entry = table[_key(slot)]
            total_macs, total_params, total_ms = (
                total_macs + entry[0],
                total_params + entry[1],
                total_ms + entry[2],
            )
    return total_macs, total_params, total_ms


if __name__ == "__main__":
    main()
