"""Options of a data set, as they follow its name: `shapes:size=6000,classes=10`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.errors import NasError, unknown

MOST = 2**31
"""Of whole numbers that have no bound of their own."""


def read_options(
    kind: str,
    text: str,
    numbers: Mapping[str, tuple[int, int]],
    words: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Options from `key=value,…`.

    Args:
        kind: name of the data, for errors.
        numbers: whole numbers by key, with the smallest and the largest that is possible.
        words: possible words by key.

    Raises:
        NasError: an unknown key, or a value that is not possible.
    """
    values: dict[str, Any] = {}
    allowed = {**numbers, **(words or {})}
    for part in filter(None, text.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in allowed:
            raise NasError(f"data {kind!r}: {unknown('option', key, allowed)}")
        if not equals:
            raise NasError(f"data {kind!r}: write the option {key!r} as {key}=VALUE.")
        values[key] = _number(kind, key, value, *numbers[key]) if key in numbers else value
        if words and key in words and value not in words[key]:
            raise NasError(f"data {kind!r}: {unknown(key, value, words[key])}")
    return values


def _number(kind: str, key: str, value: str, low: int, high: int) -> int:
    if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
        raise NasError(f"data {kind!r}: {key}={value!r} is not a whole number of {low}..{high}.")
    return int(value)
