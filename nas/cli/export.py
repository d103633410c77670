"""`nas export`: a found model as a file that runs elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import StorageOption

if TYPE_CHECKING:
    from nas.cli.lookup import Found


def export(
    trial: Annotated[
        str, typer.Argument(help="An arch id, the beginning of one, or STUDY/NUMBER.", metavar="TRIAL")
    ],
    form: Annotated[str, typer.Option("--format", help="onnx, torch-export or executorch.")] = "onnx",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; by default nas-runs/STUDY/export/ARCH.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="File of the space, if it is not found by its name.")
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Export a trial's network with its inherited weights, checked in the format's own runtime."""
    from nas.cli.lookup import find
    from nas.cli.output import trial_metrics
    from nas.export.export import export as run_export
    from nas.export.formats import format_of
    from nas.export.source import default_folder, source_of

    chosen = format_of(form)
    place = _with_weights(find(storage, trial))
    known = place.trial or place.preset
    assert known is not None
    source = source_of(place.study, dict(known.arch), space)
    metrics = trial_metrics(place.trial) if place.trial else dict(known.metrics)
    folder = output or default_folder(place.study.name, source.arch.id)
    done = run_export(source, chosen, folder, metrics)
    typer.echo(f"{done.model}  ({done.model.stat().st_size / 2**20:.1f} MiB)")
    typer.echo(f"compared with PyTorch on {done.check}")
    typer.echo(f"model card: {done.card}; how to run it: {done.usage}")


def _with_weights(places: list[Found]) -> Found:
    """The first place whose study has a supernet here; the first of all, for its error, where none has."""
    from nas.pipeline.plan import study_folder
    from nas.pipeline.training import CARD

    def has(place: Found) -> bool:
        return (study_folder(place.study.config.get("supernet") or place.study.name) / CARD).exists()

    return next((place for place in places if has(place)), places[0])
