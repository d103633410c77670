"""`nas reproduce`: a stored study, run once more."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nas.cli.output import (
    Format,
    FormatOption,
    QuietOption,
    SpaceFileOption,
    StorageOption,
    StudyArgument,
    echo,
    echo_json,
    open_storage,
)


def reproduce(
    study: StudyArgument,
    study_name: Annotated[
        str, typer.Option(help="Of the new study; by default STUDY-reproduced.", metavar="NAME")
    ] = "",
    space: SpaceFileOption = None,
    storage: StorageOption = None,
    form: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Run STUDY again from its run facts; say whether the same came out (exit status 1 if not), and what differs."""
    from nas.pipeline.progress import ConsoleReporter, Silent
    from nas.pipeline.reproduce import reproduce as run
    from nas.pipeline.stopping import status
    from nas.store import Storage

    open_storage(storage).study(study)
    store = Storage(storage)
    try:
        found = run(
            store,
            store.study(study),
            Silent() if quiet else ConsoleReporter(),
            name=study_name,
            space_file=space,
        )
    except KeyboardInterrupt as stopped:
        if not any(stopped.args):  # before there was a study to go on with
            raise
        echo(f"stopped; {stopped}. The same command goes on.", err=True)
        raise typer.Exit(status(stopped)) from None
    if form is Format.json:
        echo_json(
            {
                "study": found.study,
                "again": found.again,
                "same": found.same,
                "trials": found.trials,
                "front": found.front,
                "facts": [{"fact": fact, "then": then, "now": now} for fact, then, now in found.facts],
            }
        )
    else:
        for label, told in (("trials", found.trials), ("front", found.front)):
            echo(f"{label}: {f'differ; {told}' if told else 'the same, to the last digit'}")
        for fact, then, now in found.facts:
            echo(f"  {fact}: then {_shown(then)}, now {_shown(now)}")
    if not found.same:
        raise typer.Exit(1)


def _shown(fact: Any) -> str:
    if isinstance(fact, list):
        return "; ".join(map(str, fact))
    return "none" if fact is None else str(fact)
