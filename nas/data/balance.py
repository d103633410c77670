"""What an answer that never looks would score: where classes are uneven, accuracies mean less than they seem to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

MORE, TIMES = 0.3, 2.5


def constant_answer(labels: torch.Tensor, classes: int) -> tuple[int, float]:
    """The most frequent class, and the accuracy of always answering it."""
    counts = np.bincount(labels.numpy(), minlength=classes)
    return int(counts.argmax()), float(counts.max() / max(counts.sum(), 1))


def is_uneven(share: float, classes: int) -> bool:
    """Whether a constant answer scores much above chance: 65 % of two classes, 25 % of ten, 2.5 % of a hundred."""
    chance = 1 / classes
    return share >= min(chance + MORE * (1 - chance), TIMES * chance)


def uneven_splits(labels: Mapping[str, torch.Tensor], class_names: Sequence[str]) -> list[str]:
    """One line on the splits, by name, of which a constant answer scores much above chance, if there are any."""
    found = []
    for split, held in labels.items():
        label, share = constant_answer(held, len(class_names))
        if is_uneven(share, len(class_names)):
            found.append(f"{share:.1%} on the {split} images ({class_names[label]})")
    if not found:
        return []
    return [
        f"the classes are uneven: always answering the most frequent one scores {' and '.join(found)}, where chance "
        f"among {len(class_names)} even classes is {1 / len(class_names):.1%}. Judge accuracies by that, not by chance."
    ]
