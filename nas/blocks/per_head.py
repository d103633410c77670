"""A value for each head of a block, as one size: four bits per head, the value plus one, the first head lowest.

So a layer's signature stays a fixed row of integers, whatever its number of heads.
"""

from __future__ import annotations

from collections.abc import Sequence

from nas.arith import Num, where

BASE, MOST_HEADS, HIGHEST = 16, 15, 14
"""15 heads of 4 bits fill the 63 bits of an index; values 0 to 14."""
NONE = "none"
"""How a signature writes a head without a value, and a block of which no head has one."""


def pack(values: Sequence[Num], heads: Num) -> Num:
    """The values of the first `heads` heads as one integer; for heads without one the last."""
    code: Num = 0
    for head in range(MOST_HEADS):
        value = values[min(head, len(values) - 1)]
        code = code + where(heads > head, (value + 1) * BASE**head, 0)
    return code


def at(code: Num, head: int) -> Num:
    """The value of one head."""
    return code // BASE**head % BASE - 1


def unpack(code: int) -> list[int]:
    """The values of all heads."""
    values = []
    while code:
        code, digit = divmod(code, BASE)
        values.append(digit - 1)
    return values


def join_words(code: int, words: Sequence[str] = ()) -> str:
    """How a signature writes it: `5.5.3`, or words; every code has a text of its own."""
    return ".".join(_word(value, words) for value in unpack(code)) or NONE


def split_words(text: str, words: Sequence[str] = ()) -> int:
    """The inverse of `join_words`.

    Raises:
        ValueError: something is neither a known word nor a number from 0 to 14.
    """
    parts = text.split(".")
    values = [_value(part, words) for part in parts]
    if len(values) > MOST_HEADS or any(value > HIGHEST for value in values):
        raise ValueError(text)
    return sum((value + 1) * BASE**head for head, value in enumerate(values))


def _word(value: int, words: Sequence[str]) -> str:
    if value < 0:
        return NONE
    return words[value] if words else str(value)


def _value(part: str, words: Sequence[str]) -> int:
    if part == NONE:
        return -1
    if words:
        return words.index(part)
    if not (part.isascii() and part.isdigit()):
        raise ValueError(part)
    return int(part)
