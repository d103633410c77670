"""`nas measure`: found architectures timed on the real device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import (
    Format,
    FormatOption,
    QuietOption,
    SpaceFileOption,
    StorageOption,
    echo,
    echo_json,
    echo_table,
    new_table,
    text,
)
from nas.shell import command_line

if TYPE_CHECKING:
    from nas.pipeline.measuring import Measurement
    from nas.store import Storage, StudyRow, TrialRow


def measure(
    trial: Annotated[
        list[str] | None,
        typer.Argument(help="Arch ids, beginnings of them, or STUDY/NUMBER.", metavar="[TRIAL]..."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Time the whole front of this study.", metavar="STUDY")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Device made by nas device profile; by default the study's.", metavar="DEVICE"),
    ] = None,
    via: Annotated[
        str, typer.Option(help="How to reach it: ssh://user@host[:port] or adb[:serial].", metavar="WAY")
    ] = "",
    binary: Annotated[
        Path | None, typer.Option(help="For adb: the runtime's benchmark program built for the phone.")
    ] = None,
    python: Annotated[str, typer.Option(help="For ssh: Python on the board.")] = "python3",
    space: SpaceFileOption = None,
    storage: StorageOption = None,
    form: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Time trials' networks on a device and store the latencies as measured, beside the predicted ones."""
    from nas.latency.device import load_device
    from nas.latency.profiling.known_device import Reach, network_timing
    from nas.pipeline.measuring import measure as run
    from nas.pipeline.progress import ConsoleReporter, Interrupt, Silent
    from nas.pipeline.study_space import space_of
    from nas.store import Storage

    owner, trials = _wanted(storage, trial or [], study)
    loaded, source = space_of(owner, space)
    target = load_device(device or _device_of(owner))
    reporter = Silent() if quiet else ConsoleReporter()
    reach = Reach(via, binary, python)
    with Interrupt() as interrupt, network_timing(target, loaded, source, reporter, reach) as timing:
        found = run(
            Storage(storage), owner, trials, target, loaded, timing, reporter, lambda: interrupt.asked
        )
    _print(found, form)
    if len(found) < len(trials):
        echo(f"stopped; {len(found)} of {len(trials)} are measured and stored.", err=True)
        raise typer.Exit(interrupt.status)
    if not quiet:
        echo(f"Next:\n  {command_line(['nas', 'report'], [owner.name], storage)}", err=True)


def _wanted(url: str | None, names: list[str], front_of: str | None) -> tuple[StudyRow, list[TrialRow]]:
    """The study and its trials that are to be timed.

    Raises:
        NasError: none are named, or those of several studies, or a preset.
    """
    from nas.cli.lookup import find
    from nas.cli.output import open_storage
    from nas.errors import NasError

    if bool(names) == bool(front_of):
        raise NasError("name trials (arch ids or STUDY/NUMBER), or a study's whole front with --study STUDY.")
    if front_of:
        reading: Storage = open_storage(url)
        row = reading.study(front_of)
        return row, list(reading.front(row.id))
    places = {name: [place for place in find(url, name) if place.trial is not None] for name in names}
    for name, found in places.items():
        if not found:
            raise NasError(
                f"{name} is a preset of a study, not a trial; measured latencies belong to trials."
            )
    shared = set.intersection(*({place.study.name for place in found} for found in places.values()))
    owners = {name.rpartition("/")[0] for name in names if "/" in name}
    if not shared or len(owners) > 1 or not owners <= shared:
        raise NasError("these trials are of different studies; measure those of one study at a time.")
    meant = owners or shared
    if len(meant) > 1:
        raise NasError(
            f"these trials are in several studies ({', '.join(sorted(meant))}); name them STUDY/NUMBER."
        )
    chosen = [next(place for place in found if place.study.name in meant) for found in places.values()]
    return chosen[0].study, [place.trial for place in chosen if place.trial is not None]


def _device_of(study: StudyRow) -> str:
    from nas.errors import NasError

    names = study.config.get("devices") or []
    if len(names) != 1:
        told = f"was searched for {', '.join(names)}" if names else "names no device"
        raise NasError(f"study {study.name!r} {told}; say which one to time on with --device.")
    return str(names[0])


def _print(found: list[Measurement], form: Format) -> None:
    from nas.pipeline.measuring import shown

    if form is Format.json:
        echo_json([
            {"trial": one.number, "arch_id": one.arch_id, "predicted": one.predicted.to_json(),
             "measured": one.measured.to_json(), "inside": one.inside}
            for one in found
        ])  # fmt: skip
        return
    table = new_table("trial", "arch", "predicted", "measured", "error", "interval", right=(0, 4))
    for one in found:
        error = one.predicted.value / one.measured.value - 1
        table.add_row(
            str(one.number),
            text(one.arch_id),
            f"{text(shown(one.predicted))} {one.predicted.provenance}",
            text(shown(one.measured)),
            f"{100 * error:+.1f} %",
            "holds" if one.inside else "missed",
        )
    echo_table(table)
