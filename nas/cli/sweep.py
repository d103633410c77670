"""`nas sweep`: many studies on one machine or a cluster."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import StorageOption, echo
from nas.shell import with_plugins

if TYPE_CHECKING:
    from nas.report.overlay import Overlay
    from nas.scale.sweep import Outcome
    from nas.store import Storage


def sweep(
    file: Annotated[Path, typer.Argument(help="A sweep's YAML file.", metavar="FILE")],
    address: Annotated[
        str,
        typer.Option(help="local (starts Ray here), auto, HOST:PORT or ray://HOST:PORT.", metavar="ADDRESS"),
    ] = "local",
    concurrent: Annotated[
        int | None, typer.Option(help="Most studies at once; by default what resources allow.", min=1)
    ] = None,
    storage: StorageOption = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print only the result and errors.")] = False,
) -> None:
    """Run the studies of a grid (spaces, devices, strategies, seeds, settings); again to continue."""
    from nas.pipeline.progress import ConsoleReporter, Silent
    from nas.pipeline.stopping import Forwarded
    from nas.scale.sweep import sweep as run_sweep
    from nas.scale.sweep_file import load_sweep

    loaded = load_sweep(file)
    reporter = Silent() if quiet else ConsoleReporter()
    with Forwarded() as stop:
        outcome = run_sweep(loaded, reporter, address=address, storage=storage, concurrent=concurrent)
    for name, why in outcome.failed.items():
        echo(f"failed: {name}: {why}", err=True)
    if outcome.finished:
        _tell(loaded.name, outcome, storage)
    if outcome.unfinished:
        again = _again(file, address, concurrent, storage)
        echo(f"{len(outcome.unfinished)} studies are not finished. Continue with:\n  {again}", err=True)
        raise typer.Exit(stop.status)
    if outcome.failed:
        echo(f"{len(outcome.failed)} studies failed; the same command tries them again.", err=True)
        raise typer.Exit(1)


def _again(file: Path, address: str, concurrent: int | None, storage: str | None) -> str:
    """The command that goes on, without the storage's password."""
    from sqlalchemy import make_url

    words = with_plugins(["nas", "sweep", str(file)])
    words += ["--address", address] if address != "local" else []
    words += ["--concurrent", str(concurrent)] if concurrent else []
    words += ["--storage", make_url(storage).render_as_string(hide_password=True)] if storage else []
    return shlex.join(words)


def _tell(name: str, outcome: Outcome, storage: str | None) -> None:
    """Compare what can be compared: studies with the same objectives."""
    from nas.cli.output import open_storage

    opened = open_storage(storage)
    kinds: dict[tuple[str, ...], list[str]] = {}
    for member in outcome.finished:
        objectives = opened.study(member.name).objectives
        kinds.setdefault(tuple(f"{o.name}:{o.direction}" for o in objectives), []).append(member.name)
    for sought, names in kinds.items():
        if len(kinds) > 1:
            echo(" ".join(sought))
        suffix = "" if len(kinds) == 1 else "-" + "-".join(sought).replace(":", "-")
        _compare(f"{name}{suffix}", opened, names, outcome)


def _compare(name: str, storage: Storage, names: list[str], outcome: Outcome) -> None:
    from nas.cli.output import echo_table, new_table
    from nas.pipeline.plan import study_folder
    from nas.report.overlay import by_group, overlay
    from nas.report.overlay_page import write_overlay

    found = overlay(storage, names)
    groups = {group: [one for one in each if one in names] for group, each in outcome.groups.items()}
    volumes = by_group({group: each for group, each in groups.items() if each}, found)
    table = new_table("studies", "hypervolume: mean", "least", "largest", "of each seed", right=(1, 2, 3))
    for group, each in volumes.items():
        known = [value for value in each if value == value]
        cells = [sum(known) / len(known), min(known), max(known)] if known else []
        shown = [f"{value:.6g}" for value in cells] or ["–"] * 3
        table.add_row(
            group, *shown, ", ".join(f"{value:.4g}" if value == value else "no front" for value in each)
        )
    echo_table(table)
    echo(_reference(found))
    path = write_overlay(name, found, volumes, study_folder(f"{name}-sweep") / "report.html")
    echo(f"fronts over each other: {path}", err=True)


def _reference(found: Overlay) -> str:
    corner = ", ".join(
        f"{objective.name} = {value:.6g} {objective.unit}"
        for objective, value in zip(found.objectives, found.reference)
    )
    return f"hypervolumes against the reference point {corner}"
