"""What became of the weights that a training begins with: said in short, written down in full."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.files import write_atomically
from nas.pipeline.progress import Reporter

if TYPE_CHECKING:
    from nas.weights.filling import Row

FATES = "initial-weights.txt"


def tell_fates(rows: Sequence[Row], folder: Path, reporter: Reporter, note: str = "") -> None:
    """Say in short what became of weights from elsewhere, and write it down weight by weight.

    Args:
        note: on how their file was read.
    """
    from nas.weights.filling import listing, reasons, summary

    file = folder / FATES
    write_atomically(file, listing(rows))
    reporter.say(f"weights: {summary(rows)} (each of them: {file})")
    if note:
        reporter.say(f"  {note}")
    for line in reasons(rows):
        reporter.say(f"  left: {line}")
