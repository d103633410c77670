"""Asking teachers: what another network says of the images of a step, checked before anything learns from it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nas.errors import NasError
from nas.supernet.losses import teacher_target


def taught(
    teachers: Iterable[tuple[str, nn.Module]], images: Tensor, classes: int, temperature: float
) -> Tensor:
    """What teachers, given with their names, say of images `(B, C, H, W)`: probabilities `(B, classes)`, their mean.

    Raises:
        NasError: one of them cannot teach these images; names it and says why.
    """
    return teacher_target([asked(one, images, classes, repr(name)) for name, one in teachers], temperature)


def asked(teacher: nn.Module, images: Tensor, classes: int, name: str) -> Tensor:
    """Class scores `(B, classes)` of a teacher for images `(B, C, H, W)`.

    Args:
        name: of the teacher, for messages.

    Raises:
        NasError: it cannot take these images, answers with something else, or not with finite numbers.
    """
    size = "×".join(map(str, images.shape[1:]))
    try:
        said = teacher(images)
    except Exception as error:
        raise NasError(
            f"the teacher {name} cannot take images of {size}, as this training has them: "
            f"{type(error).__name__}: {error}. Let it resize them, or train at its size (train.resolution_scale)."
        ) from None
    if not isinstance(said, Tensor):
        raise NasError(
            f"the teacher {name} answers with a {type(said).__name__}; class scores, a tensor of shape "
            f"({len(images)}, {classes}), are needed."
        )
    if said.dim() == 2 and said.shape[1] != classes:
        raise NasError(
            f"the teacher {name} tells {said.shape[1]:,} classes apart, the data have {classes:,}; choose a teacher "
            "that was trained on these data."
        )
    if said.shape != (len(images), classes):
        raise NasError(
            f"the teacher {name} answers with a tensor of shape {tuple(said.shape)}; class scores of shape "
            f"({len(images)}, {classes}) are needed."
        )
    if not torch.isfinite(said).all():
        raise NasError(
            f"the teacher {name} does not answer with finite numbers for images of {size}; check its weights, or "
            "choose another."
        )
    return said
