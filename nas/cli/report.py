"""`nas report`: the report of a study as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.output import StorageOption, StudyArgument, echo, open_storage


def report(
    study: StudyArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; by default nas-runs/STUDY/report.html.")
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Write the report of a study: one HTML file that opens from disk, without a network."""
    from nas.pipeline.plan import study_folder
    from nas.report import write_report

    path = write_report(open_storage(storage), study, output or study_folder(study) / "report.html")
    echo(f"Wrote {path}")
