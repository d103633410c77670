"""Weights of our own: safetensors files whose hash stands in the card beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import NasError
from nas.files import write_atomically
from nas.kept import file_hash

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS_HASH = "weights_sha256"
"""Where a card has the hash of its weights; cards of earlier versions have none."""


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> str:
    """Write tensors by name; returns the file's SHA-256.

    Raises:
        NasError: the file cannot be written.
    """
    from safetensors.torch import save

    write_atomically(path, save({name: tensor.contiguous().cpu() for name, tensor in weights.items()}))
    return file_hash(path)


def read_weights(path: Path, card: Mapping[str, Any], remedy: str) -> dict[str, Tensor]:
    """The tensors that a card is about.

    Args:
        remedy: a sentence: what to do where they cannot be used.

    Raises:
        NasError: they are missing, damaged, or not those that the card is about.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stated = card.get(WEIGHTS_HASH)
        if stated is not None and file_hash(path) != stated:
            raise NasError(
                f"{path}: damaged, altered, or the weights of another training: its SHA-256 is not the one in the card "
                f"beside it. {remedy}"
            )
        return load_file(path)
    except OSError as error:
        raise NasError(f"{path}: cannot be read ({error.strerror or error}). {remedy}") from None
    except SafetensorError as error:
        raise NasError(f"{path}: damaged ({error}). {remedy}") from None


def fill(module: nn.Module, weights: Mapping[str, Tensor], path: Path, remedy: str, **how: bool) -> None:
    """Load weights into a module.

    Raises:
        NasError: they are of another network.
    """
    try:
        module.load_state_dict(dict(weights), **how)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise NasError(
            f"{path}: not the weights of this network ({' '.join(lines[1:2])}). {remedy}"
        ) from None
