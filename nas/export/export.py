"""Exporting: fold, convert, run in the runtime, compare, and only then write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas.errors import NasError
from nas.export.card import Check, card_text
from nas.export.formats import ExportFormat, Run
from nas.export.source import FromImages, Source
from nas.files import write_atomically
from nas.metrics import Metric
from nas.supernet.deploy import deployed

TOLERANCE = 1e-3
AGREEMENT = 0.995
IMAGES = 512


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        model, weights, card, usage: the files.
        check: how the file compares with PyTorch.
    """

    model: Path
    weights: Path
    card: Path
    usage: Path
    check: Check


def export(
    source: Source,
    form: type[ExportFormat],
    folder: Path,
    metrics: Mapping[str, Metric],
    images: int = IMAGES,
) -> Exported:
    """Export a network, run the file in its runtime and compare it with PyTorch on test images.

    Args:
        folder: where the files go; they appear only if the comparison holds.
        metrics: of the trial, for the model card.
        images: test images to compare on.

    Raises:
        NasError: the format cannot express the network, or the file computes something else.
    """
    shown, labels = source.test_images(images)
    whole = FromImages(source.network).eval()
    bare = FromImages(deployed(source.network)).eval()
    example = shown[:2] if form.dynamic else shown[:1]
    try:
        data = form.export(bare, example.contiguous())
    except NasError:
        raise
    except Exception as error:
        # Converters fail with errors of all kinds; whoever exports needs to know which and why, not the stack.
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise NasError(f"{form.name} cannot express {source.arch.id}: {reason[0]}") from None
    with torch.no_grad():
        expected = np.concatenate([whole(part).numpy() for part in shown.split(64)])
    check = compare(form.runner(data), shown.numpy(), expected, labels.numpy(), form.name)
    return _write(source, form, folder, metrics, data, check)


def compare(
    run: Run, images: NDArray[np.float32], expected: NDArray[np.float32], labels: NDArray[np.int64], name: str
) -> Check:
    """Compare a runtime's scores with PyTorch's.

    Raises:
        NasError: scores differ by more than 0.001 of their range, or 0.5 % of the answers.
    """
    scores = np.concatenate([run(images[start : start + 64]) for start in range(0, len(images), 64)])
    if scores.shape != expected.shape:
        raise NasError(
            f"{name}: scores of shape {scores.shape} instead of {expected.shape}; nothing was written."
        )
    difference = float(np.abs(scores - expected).max())
    spread = float(np.ptp(expected)) or 1.0
    same = float((scores.argmax(1) == expected.argmax(1)).mean())
    check = Check(len(images), difference, same, float((scores.argmax(1) == labels).mean()))
    if not difference <= TOLERANCE * max(spread, 1.0) or same < AGREEMENT:
        raise NasError(
            f"{name}: the file computes something else than PyTorch ({check}); nothing was written."
        )
    return check


def _write(
    source: Source,
    form: type[ExportFormat],
    folder: Path,
    metrics: Mapping[str, Metric],
    data: bytes,
    check: Check,
) -> Exported:
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"{source.arch.id}{form.suffix}"
    weights = folder / f"{source.arch.id}.safetensors"
    usage = folder / f"run_{form.name.replace('-', '_')}.py"
    state: dict[str, Any] = {name: value.contiguous() for name, value in source.network.state_dict().items()}
    write_atomically(weights, save(state))
    write_atomically(usage, form.usage(model.name, source.side))
    write_atomically(folder / "arch.json", json.dumps(dict(source.arch.values), indent=1))
    write_atomically(folder / "README.md", card_text(source, form, metrics, check, model.name, usage.name))
    write_atomically(model, data)
    return Exported(model, weights, folder / "README.md", usage, check)
