"""Exporting: fold, convert, run in the runtime, compare, and only then write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas.errors import NasError
from nas.export.card import Check, card_text
from nas.export.formats import ExportFormat, Run
from nas.export.quantize import CALIBRATION
from nas.export.source import FromImages, Source
from nas.files import write_atomically
from nas.metrics import Metric
from nas.plugins.records import used
from nas.supernet.deploy import deployed

TOLERANCE = 1e-3
AGREEMENT = 0.995
IMAGES = 512


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        model, weights, card, usage: the files.
        check: how the file compares with PyTorch; None where it does not run on this machine.
    """

    model: Path
    weights: Path
    card: Path
    usage: Path
    check: Check | None


def export(
    source: Source,
    form: type[ExportFormat],
    folder: Path,
    metrics: Mapping[str, Metric],
    images: int = IMAGES,
    quantize: bool = False,
) -> Exported:
    """Export a network, run the file in its runtime and compare it with PyTorch on test images.

    Args:
        folder: where the files go; they appear only if the comparison holds.
        metrics: of the trial, for the model card.
        images: test images to compare on.
        quantize: to 8 bits; the file's accuracy is then compared, not its scores.

    Raises:
        NasError: the format cannot express the network, or the file computes something else.
    """
    shown, labels = source.test_images(images)
    whole = FromImages(source.network).eval()
    bare = FromImages(deployed(source.network)).eval()
    # No image of the data: torch.export keeps its example in the file.
    example = torch.zeros(2 if form.dynamic else 1, *shown.shape[1:])
    with torch.no_grad():
        bare(example)  # what it remembers of its sizes must not be made while it is traced
        expected = np.concatenate([whole(part).numpy() for part in shown.split(64)])
    seen, answers = shown.numpy(), labels.numpy()
    if quantize:
        calibrating = source.training_images(CALIBRATION)
        with _explained(f"{form.name} cannot express {source.arch.id} with 8 bits"):
            data = form.int8(bare, example, calibrating)
            check = measured(form.runner(data), seen, expected, answers, form.name)
        before = float((expected.argmax(1) == answers).mean())
        return _write(source, form, folder, metrics, data, replace(check, before=before))
    with _explained(f"{form.name} cannot express {source.arch.id}"):
        data = form.export(bare, example)
    if not form.runs_here:
        return _write(source, form, folder, metrics, data, None)
    with _explained(f"{form.name} cannot run the file of {source.arch.id}"):
        check = compare(form.runner(data), seen, expected, answers, form.name)
    return _write(source, form, folder, metrics, data, check)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Converters and runtimes fail with errors of all kinds; who exports needs to know which and why, not the stack."""
    try:
        yield
    except NasError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise NasError(f"{what}: {reason[0]} Nothing was written.") from None


def compare(
    run: Run, images: NDArray[np.float32], expected: NDArray[np.float32], labels: NDArray[np.int64], name: str
) -> Check:
    """Compare a runtime's scores with PyTorch's.

    Raises:
        NasError: scores differ by more than 0.001 of their range, or 0.5 % of the answers.
    """
    check = measured(run, images, expected, labels, name)
    spread = float(np.ptp(expected)) or 1.0
    if check.difference > TOLERANCE * max(spread, 1.0) or check.agreement < AGREEMENT:
        raise NasError(
            f"{name}: the file computes something else than PyTorch ({check}); nothing was written."
        )
    return check


def measured(
    run: Run, images: NDArray[np.float32], expected: NDArray[np.float32], labels: NDArray[np.int64], name: str
) -> Check:
    """How a runtime's scores differ from PyTorch's, and how many of its answers are right.

    Raises:
        NasError: scores of another shape, or that are no numbers.
    """
    scores = np.concatenate([run(images[start : start + 64]) for start in range(0, len(images), 64)])
    if scores.shape != expected.shape:
        raise NasError(
            f"{name}: scores of shape {scores.shape} instead of {expected.shape}; nothing was written."
        )
    if not np.isfinite(scores).all():
        raise NasError(
            f"{name}: the file computes something else than PyTorch: scores that are no numbers; nothing was "
            "written."
        )
    difference = float(np.abs(scores - expected).max())
    same = float((scores.argmax(1) == expected.argmax(1)).mean())
    return Check(len(images), difference, same, float((scores.argmax(1) == labels).mean()))


def _write(
    source: Source,
    form: type[ExportFormat],
    folder: Path,
    metrics: Mapping[str, Metric],
    data: bytes,
    check: Check | None,
) -> Exported:
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    int8 = "" if check is None or check.before is None else "-int8"
    model = folder / f"{source.arch.id}{int8}{form.suffix}"
    weights = folder / f"{source.arch.id}.safetensors"
    usage = folder / f"run_{form.name.replace('-', '_')}{int8.replace('-', '_')}.py"
    state: dict[str, Any] = {name: value.contiguous() for name, value in source.network.state_dict().items()}
    meta = _meta()
    write_atomically(weights, save(state, metadata=meta or None))
    write_atomically(usage, form.usage(model.name, source.size, source.data.channels))
    write_atomically(folder / "arch.json", json.dumps(dict(source.arch.values), indent=1))
    card = folder / f"README-{form.name}{int8}.md"
    write_atomically(card, card_text(source, form, metrics, check, model.name, usage.name))
    write_atomically(model, form.annotated(data, meta) if meta else data)
    return Exported(model, weights, card, usage, check)


def _meta() -> dict[str, str]:
    """Meta data of the files: the plug-ins the network came from, without paths of this machine."""
    plugins = {
        name: {key: value for key, value in facts.items() if key != "source"}
        for name, facts in used().items()
    }
    return {"nas_plugins": json.dumps(plugins)} if plugins else {}
