"""`nas export`: a found model as a file that runs elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import SpaceFileOption, StorageOption, echo

if TYPE_CHECKING:
    from nas.cli.lookup import Found
    from nas.export.source import Source, Weights
    from nas.metrics import Metric


class Origin(StrEnum):
    """Whose weights."""

    inherited = "inherited"
    retrained = "retrained"


class Names(StrEnum):
    """Whose names of weights."""

    timm = "timm"


class Bits(StrEnum):
    """What numbers are quantised to."""

    int8 = "int8"


def export(
    trial: Annotated[
        str,
        typer.Argument(
            help="An arch id, the beginning of one, STUDY/NUMBER, STUDY/PRESET, or SPACE:PRESET retrained without a "
            "study.",
            metavar="TRIAL",
        ),
    ],
    form: Annotated[str, typer.Option("--format", help="onnx, torch-export, executorch or coreml.")] = "onnx",
    weights: Annotated[
        Origin, typer.Option(help="The supernet's, or those of nas retrain.")
    ] = Origin.inherited,
    quantize: Annotated[
        Bits | None, typer.Option(help="Weights and activations of 8 bits (onnx, executorch).")
    ] = None,
    names: Annotated[
        Names | None,
        typer.Option(help="Instead of a format: weights alone, as safetensors under timm's names."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; by default nas-runs/STUDY/export/ARCH.")
    ] = None,
    space: SpaceFileOption = None,
    storage: StorageOption = None,
) -> None:
    """Export a trial's network, checked in the format's own runtime."""
    from nas.errors import NasError
    from nas.export.card import quantised
    from nas.export.export import export as run_export
    from nas.export.formats import format_of
    from nas.export.source import default_folder

    if names is not None and (quantize is not None or form != "onnx"):
        raise NasError("--names writes weights alone; it goes with neither --format nor --quantize.")
    chosen = format_of(form)
    origin: Weights = "retrained" if weights is Origin.retrained else "inherited"
    source, metrics = _of_preset(trial, origin) or _of_trial(trial, origin, space, storage)
    folder = output or default_folder(source.plan.name, source.arch.id, origin)
    if names is not None:
        _write_names(source, folder)
        return
    done = run_export(source, chosen, folder, metrics, quantize=quantize is not None)
    echo(f"{done.model}  ({done.model.stat().st_size / 2**20:.1f} MiB)")
    if done.check is None:
        echo(f"not compared with PyTorch: {form} runs on other machines alone (a Mac for coreml)")
    else:
        echo(f"compared with PyTorch on {done.check}")
    if done.check is not None and done.check.before is not None:
        echo(f"int8: {quantised(done.check)}, on these {done.check.images} images")
    echo(f"model card: {done.card}; how to run it: {done.usage}")


def _of_preset(text: str, origin: Weights) -> tuple[Source, dict[str, Metric]] | None:
    """The retrained network of SPACE:PRESET and its accuracy; None: the text names no preset."""
    from nas.errors import NasError
    from nas.export.source import source_of_preset
    from nas.pipeline.presets import find_preset, is_preset

    if not is_preset(text):
        return None
    if origin == "inherited":
        raise NasError(
            f"{text} belongs to no study, so there is no supernet whose weights it could have: "
            f"`nas retrain {text}` trains it, --weights retrained exports that."
        )
    source, accuracy = source_of_preset(find_preset(text))
    return source, {"accuracy": accuracy}


def _of_trial(
    trial: str, origin: Weights, space: str | None, storage: str | None
) -> tuple[Source, dict[str, Metric]]:
    """The network of a study's trial or preset, and what is known of it."""
    from nas.cli.lookup import find_or_tell
    from nas.cli.output import trial_metrics
    from nas.export.source import source_of

    place = _with_weights(find_or_tell(storage, trial), trial, origin)
    known = place.trial or place.preset
    assert known is not None
    source = source_of(place.study, dict(known.arch), space, origin)
    return source, trial_metrics(place.trial) if place.trial else dict(known.metrics)


def _write_names(source: Source, folder: Path) -> None:
    from nas.weights.writing import write_timm

    arch, space = source.arch, source.plan.space.name
    done = write_timm(source.network, space, arch.values, folder / f"{arch.id}-timm.safetensors")
    echo(f"{done.file}  ({done.file.stat().st_size / 2**20:.1f} MiB)")
    echo(f"weights {source.told}")
    echo(f"loaded by {done.model.call()}")
    echo("images are normalised with mean 0.5 and deviation 0.25 in every channel, not timm's default")


def _with_weights(places: list[Found], wanted: str, origin: Weights) -> Found:
    """The first place whose study has such weights here; the first of all, for its error, where none has."""
    from nas.cli.lookup import in_study
    from nas.pipeline.plan import study_folder
    from nas.pipeline.retrained import CARD as RETRAINED
    from nas.pipeline.retrained import folder_of
    from nas.pipeline.supernet_card import CARD

    def has(place: Found) -> bool:
        if origin == "retrained":
            return (folder_of(place.study.name, place.arch_id) / RETRAINED).exists()
        return (study_folder(place.study.config.get("supernet") or place.study.name) / CARD).exists()

    meant = in_study(places, wanted) if "/" in wanted else places
    return next((place for place in meant if has(place)), meant[0])
