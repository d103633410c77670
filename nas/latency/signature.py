"""Signatures of timed units: the text under which a latency table stores a time.

`attention h=14 w=14 channels=64 heads=4 qk_dim=16 v_dim=32 act=hard_swish norm=layer_norm`: the kind, then
every size that changes its time, in the order the unit declares (`nas.blocks.registry.UNITS[kind].keys`),
activation and norm by name. Precision, threads and batch belong to the device, not to the unit.
In arrays a signature is a row of integers in the same order, a name as its position in `words(kind, key)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nas.blocks.per_head import join_words, split_words
from nas.blocks.registry import UNITS
from nas.errors import NasError, unknown, unprovided
from nas.latency.rows import IntArray, unique_rows


def unit_keys(kind: str) -> tuple[str, ...]:
    """Names of a unit's sizes, in canonical order.

    Raises:
        NasError: no block has units of this kind.
    """
    if kind not in UNITS:
        raise NasError(unprovided("kind of unit", kind, UNITS))
    return UNITS[kind].keys


def words(kind: str, key: str) -> tuple[str, ...]:
    """The names a size of a unit stands for (activations, norms), or `()` where it is a number."""
    field = UNITS[kind].fields.get(key)
    return field.words if field and not field.heads else ()


def rows_of(kind: str, sizes: Mapping[str, object]) -> IntArray:
    """Sizes as rows in canonical order, shape `(n, k)`; single integers are repeated.

    Raises:
        NasError: unknown kind, or a size is missing.
    """
    keys = unit_keys(kind)
    missing = [key for key in keys if key not in sizes]
    if missing:
        raise NasError(f"a unit of kind {kind!r} needs the sizes {', '.join(missing)}.")
    columns = np.broadcast_arrays(*[np.asarray(sizes[key], dtype=np.int64) for key in keys])
    return np.stack([np.atleast_1d(column) for column in columns], axis=1)


def sizes_of(kind: str, rows: IntArray) -> dict[str, IntArray]:
    """The columns of `rows`, shape `(n, k)`, by name."""
    return {key: rows[:, column] for column, key in enumerate(unit_keys(kind))}


def signature_rows(kind: str, sizes: Mapping[str, object]) -> tuple[IntArray, IntArray]:
    """Distinct signatures of a batch of units as integer rows `(m, k)`, and each unit's among them `(n,)`."""
    return unique_rows(rows_of(kind, sizes))


def format_signature(kind: str, row: Sequence[int] | IntArray) -> str:
    """The signature of one row of sizes."""
    keys = unit_keys(kind)
    parts = [f"{key}={size_word(kind, key, int(value))}" for key, value in zip(keys, row, strict=True)]
    return " ".join([kind, *parts])


def parse_signature(text: str) -> tuple[str, tuple[int, ...]]:
    """Kind and row of a signature; the inverse of `format_signature`.

    Raises:
        NasError: unknown kind or word, a key missing, unknown or out of order, a value that is no integer
            from 0 on.
    """
    kind, *parts = text.split() or [""]
    keys = unit_keys(kind)
    given = [part.partition("=")[0] for part in parts]
    if tuple(given) != keys:
        raise NasError(f"signature {text!r}: after {kind!r} come {' '.join(key + '=' for key in keys)}.")
    try:
        return kind, tuple(_value(kind, key, part.partition("=")[2]) for key, part in zip(keys, parts))
    except NasError as error:
        raise NasError(f"signature {text!r}: {error}") from None


def by_head(kind: str, key: str) -> bool:
    """Whether a size holds a value for each head (`nas.blocks.per_head`)."""
    field = UNITS[kind].fields.get(key)
    return bool(field and field.heads)


def size_word(kind: str, key: str, value: int) -> str:
    """How a signature writes one size: a name, values per head, or the number."""
    known = words(kind, key)
    if by_head(kind, key):
        return _words_by_head(kind, key, value)
    if not known:
        return str(value)
    if not 0 <= value < len(known):
        raise NasError(f"{kind}: {key} is at position {value}, but the known ones are {', '.join(known)}.")
    return known[value]


def _words_by_head(kind: str, key: str, code: int) -> str:
    known = UNITS[kind].fields[key].words
    try:
        return join_words(code, known)
    except IndexError:
        raise NasError(f"{kind}: {key} has a value per head that is none of {', '.join(known)}.") from None


def _value(kind: str, key: str, word: str) -> int:
    known = words(kind, key)
    if by_head(kind, key):
        try:
            return split_words(word, UNITS[kind].fields[key].words)
        except ValueError:
            example = ".".join(UNITS[kind].fields[key].words[:2]) or "5.5.3"
            raise NasError(f"{key}={word!r} is no list of values per head, such as {example}.") from None
    if known:
        if word not in known:
            raise NasError(unknown(key, word, known))
        return known.index(word)
    if not (word.isascii() and word.isdigit()):
        raise NasError(f"{key}={word!r} is not a whole number from 0 on.")
    return int(word)
