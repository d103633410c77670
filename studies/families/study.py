"""All families on one page: each preset's cost, latency on one device and published accuracy.

python studies/families/study.py [DEVICE]

DEVICE is `host`, this machine under ONNX Runtime, whose presets the study times itself, or a device's name or folder.
It can be interrupted and run again: what is timed lies in the working folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "predictors"))

from drawing import COLOURS, Panel, figure  # noqa: E402
from fronts import Placed, competitors, families, front, leads  # noqa: E402
from presets import Preset, every_preset  # noqa: E402
from profiled import NAME, profiled  # noqa: E402
from study import Row, run, say, write_tables  # noqa: E402

from nas.files import write_atomically  # noqa: E402
from nas.latency.device import Device, load_device  # noqa: E402
from nas.pipeline.progress import ConsoleReporter  # noqa: E402

_SUMS = {"measured": "timed units", "table": "a table's units"}
GREY, LATENCIES = "#cccccc", (3, 10, 30, 100, 300, 1000)


def main() -> None:
    """Run the study and write its tables and figure."""
    parser = argparse.ArgumentParser(
        prog="python studies/families/study.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "device", nargs="?", default=NAME, help="host (default), or a device's name or folder"
    )
    parser.add_argument("--work", type=Path, default=Path("families-work"), help="working folder")
    parser.add_argument("--output", type=Path, help="folder for tables and figure (default: here, by device)")
    options = parser.parse_args()
    presets = every_preset()
    here = options.device == NAME
    device = (
        profiled(options.work / NAME, presets, ConsoleReporter()) if here else load_device(options.device)
    )
    say(device.describe())
    output = options.output or HERE / device.name
    placed = place(device, presets, here)
    write_tables(output, "results", rows(placed))
    write_tables(output, "families", families(placed))
    for name, more_data in (("leads", True), ("leads-imagenet1k", False)):
        found = leads(competitors(placed, more_data))
        write_tables(output, name, found)
        for row in found:
            say(f"{name}: " + " ".join(str(cell) for cell in row.values()))
    write_atomically(output / "families.svg", draw(placed, device.name, here))


def place(device: Device, presets: Sequence[Preset], by_measured: bool) -> list[Placed]:
    """The presets on a device, with predicted and measured latencies."""
    return [
        Placed(
            one,
            device.latency(one.space, one.arch).metric(0),
            one.measured(device.networks),
            by_measured,
        )
        for one in presets
    ]


def rows(placed: Sequence[Placed]) -> list[Row]:
    """The table: a row for each preset."""
    measured = any(one.measured for one in placed)
    best = {one.label for one in front(competitors(placed, True))}
    plain = {one.label for one in front(competitors(placed, False))}
    return [_row(one, measured, best, plain) for one in placed]


def _row(one: Placed, measured: bool, best: set[str], plain: set[str]) -> Row:
    preset, guess = one.preset, one.predicted
    times: dict[str, object] = {}
    if measured and one.measured is not None and one.ratio is not None:
        half = one.measured.value - (one.measured.low or 0.0)
        times = {"measured ms": f"{one.measured.value:.2f}", "±": f"{half:.2f}", "ratio": f"{one.ratio:.2f}"}
    elif measured:
        times = {"measured ms": preset.too_big or "not timed", "±": "", "ratio": ""}
    label = preset.label
    interval = "" if guess.low is None else f"{guess.low:.2f}–{guess.high:.2f}"
    return {
        "family": preset.family,
        "space": preset.space.name,
        "preset": preset.name,
        "parameters M": f"{preset.params / 1e6:.2f}",
        "MACs M": f"{preset.macs / 1e6:.1f}",
        "predicted ms": f"{guess.value:.2f}",
        "90 % interval": interval,
        "predicted from": _SUMS.get(guess.provenance, f"{guess.provenance} units"),
        **times,
        "published top-1": "" if preset.top1 is None else f"{preset.top1:g}",
        "more data": "yes" if preset.more_data and preset.top1 is not None else "",
        "on the front": _fronts(label in best, label in plain),
    }


def _fronts(all_presets: bool, plain: bool) -> str:
    """On which fronts a preset lies: of all presets, of those that have seen ImageNet-1k alone."""
    return {(True, True): "both", (True, False): "all", (False, True): "ImageNet-1k"}.get(
        (all_presets, plain), ""
    )


def draw(placed: Sequence[Placed], device: str, by_measured: bool) -> str:
    """Published top-1 over latency: a panel for each family, its line before those of all others."""
    among = competitors(placed, True)
    lines = {name: [one for one in among if one.family == name] for name in sorted({c.family for c in among})}
    times, tops = np.array([one.ms for one in among]), np.array([one.top1 for one in among])
    xs = (float(times.min()) * 0.8, float(times.max()) * 1.25)
    ys = (float(np.floor(tops.min())) - 1, float(np.ceil(tops.max())) + 1)
    ticks = ([t for t in LATENCIES if xs[0] < t < xs[1]], [t for t in range(60, 95, 5) if ys[0] < t < ys[1]])
    across = ("measured" if by_measured else "predicted") + f" ms, {device}"
    panels = []
    for index, (name, members) in enumerate(lines.items()):
        panel = Panel(name, across, "top-1 %", xs, ys, (True, False), ticks)
        for other in lines.values():
            panel.line([(one.ms, one.top1) for one in front(other)], GREY)
        colour = COLOURS[index % len(COLOURS)]
        panel.line([(one.ms, one.top1) for one in front(members)], colour)
        panel.dots([(one.ms, one.top1) for one in members if not one.more_data], colour, 3)
        panel.dots([(one.ms, one.top1) for one in members if one.more_data], "#000000", 3)
        panels.append(panel)
    legend = [("other families", GREY), ("more data than ImageNet-1k", "#000000")]
    return figure(panels, 5, legend)


if __name__ == "__main__":
    run(main)
