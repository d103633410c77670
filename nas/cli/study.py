"""`nas study`: the studies of a storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.output import (
    Format,
    FormatOption,
    StorageOption,
    StudyArgument,
    echo,
    echo_json,
    echo_table,
    new_grid,
    new_table,
    open_storage,
    text,
)
from nas.errors import NasError
from nas.shell import command_line, resumed, words_of

if TYPE_CHECKING:
    from nas.store import Storage, StudyRow

app = typer.Typer(help="Studies: list, show, delete.", no_args_is_help=True)


@app.command("list")
def list_studies(form: FormatOption = Format.table, storage: StorageOption = None) -> None:
    """List the studies of a storage, oldest first."""
    opened = open_storage(storage)
    studies = _readable(opened)
    if form is Format.json:
        echo_json(studies)
        return
    if not studies:
        echo(f"There are no studies in {opened.url} yet.")
        return
    heads = ("name", "state", "objectives", "trials", "front", "hypervolume", "changed")
    table = new_table(*heads, right=[3, 4, 5])
    for column in table.columns[1:]:
        column.no_wrap = True
    for one in studies:
        volume = "" if one["hypervolume"] is None else f"{one['hypervolume']:.5g}"
        counts = [f"{one['trials']:,}", f"{one['front']:,}", volume]
        table.add_row(
            text(one["name"]), one["state"], text("\n".join(one["objectives"])), *counts, one["updated"][:10]
        )
    echo_table(table)


@app.command()
def show(name: StudyArgument, form: FormatOption = Format.table, storage: StorageOption = None) -> None:
    """Show one study: what it searched, how far it is, and what is needed to repeat it."""
    opened = open_storage(storage)
    study = opened.study(name)
    told = {**brief(opened, study), **_details(opened, study)}
    if form is Format.json:
        echo_json(told)
        return
    grid = new_grid()
    for key, value in _lines(study, told):
        grid.add_row(key, text(value))
    echo_table(grid)
    steps = [command_line(["nas", verb], [name], storage) for verb in ("front", "report")]
    echo(f"\nNext: {', '.join(steps)}")
    if study.state in ("interrupted", "lost", "failed"):
        echo(f"To go on: {_again(study)}")


@app.command()
def delete(
    name: StudyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    storage: StorageOption = None,
) -> None:
    """Delete a study from its storage; its files stay. One that is being run is refused."""
    from nas.pipeline.plan import study_folder
    from nas.store import Storage

    reading = open_storage(storage)
    if name not in reading.names():
        reading.study(name)  # says which there are
    if not yes:
        typer.confirm(f"Delete the study {name!r} with its trials from {reading.url}?", abort=True)
    Storage(storage).delete_study(name)
    folder = study_folder(name)
    left = f" Its files are still in {folder}." if folder.exists() else ""
    echo(f"Deleted the study {name!r} from {reading.url}.{left}")


def _readable(storage: Storage) -> list[dict[str, Any]]:
    """What the listing says of every study that can be read; of the others what is wrong, on standard error."""
    for wrong in storage.damaged():
        echo(f"warning: {wrong}", err=True)
    listed = []
    for study in storage.studies():
        try:
            listed.append(brief(storage, study))
        except NasError as error:
            echo(f"warning: {error}", err=True)
    return listed


def _again(study: StudyRow) -> str:
    """The command that goes on with a study."""
    words = words_of(str(study.facts.get("command", "")))
    if words[:2] == ["nas", "run"]:
        return resumed(words[1:])
    return "its command again, with --resume"


def brief(storage: Storage, study: StudyRow) -> dict[str, Any]:
    """What the listing says of a study."""
    history = storage.hypervolume_history(study.id)
    return {
        "name": study.name,
        "state": study.state,
        "runner": None if study.runner is None else str(study.runner),
        "space": study.space,
        "objectives": [f"{one.name}:{one.direction}" for one in study.objectives],
        "trials": study.n_trials,
        "complete": study.n_complete,
        "front": len(storage.front(study.id)),
        "hypervolume": history[-1].hypervolume if history else None,
        "created": study.created.isoformat(),
        "updated": study.updated.isoformat(),
    }


def _details(storage: Storage, study: StudyRow) -> dict[str, Any]:
    artefacts = storage.artefacts(study.id)
    return {
        "space_hash": study.space_hash,
        "constraints": study.constraints,
        "reference_point": study.reference_point,
        "generation": study.generation,
        "presets": [preset.name for preset in storage.presets(study.id)],
        "series": storage.series_names(study.id),
        "artefacts": [{"path": one.path, "kind": one.kind, "sha256": one.sha256} for one in artefacts],
        "facts": study.facts,
        "config": study.config,
    }


def _lines(study: StudyRow, told: dict[str, Any]) -> list[tuple[str, str]]:
    from nas.plugins.compare import identities
    from nas.report.units import exact

    point = study.reference_point or {}
    corner = [
        f"{one.name} {exact(point[one.name], one.unit)}" for one in study.objectives if one.name in point
    ]
    volume = "" if told["hypervolume"] is None else f"{told['hypervolume']:.6g}"
    lines = [
        ("name", study.name),
        ("state", study.state),
        ("run by", _runner(study)),
        ("created", f"{study.created:%Y-%m-%d %H:%M:%S} UTC"),
        ("changed", f"{study.updated:%Y-%m-%d %H:%M:%S} UTC"),
        ("space", f"{study.space} ({study.space_hash})"),
        ("objectives", ", ".join(told["objectives"])),
        ("constraints", ", ".join(str(one.get("text") or one) for one in study.constraints)),
        ("trials", f"{study.n_trials:,}, {study.n_complete:,} complete"),
        ("front", f"{told['front']:,}"),
        ("hypervolume", f"{volume} from ({', '.join(corner)})" if volume else ""),
        ("presets", ", ".join(told["presets"])),
        *((key, _plain(value)) for key, value in study.facts.items() if key in _FACTS),
        *((f"plug-in {name}", known) for name, known in identities(study.facts).items()),
        *((f"warning {index + 1}", one) for index, one in enumerate(study.facts.get("warnings") or [])),
        *((f"file {one['kind']}", one["path"]) for one in told["artefacts"]),
    ]
    return [(key, value) for key, value in lines if value]


def _runner(study: StudyRow) -> str:
    if study.runner is None:
        return ""
    gone = ", which is gone" if study.state == "lost" else ""
    return f"{study.runner}{gone}; heard from {study.runner.beat:%Y-%m-%d %H:%M:%S} UTC"


_FACTS = (
    "command",
    "seed",
    "threads",
    "data",
    "devices",
    "predictor",
    "sampler",
    "wall_s",
    "versions",
    "git",
)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
