"""Demanding a property."""

from __future__ import annotations


def demand(holds: object, sentence: str) -> None:
    """Nothing where something holds.

    Raises:
        AssertionError: it does not; `sentence` says what does not hold. Raised under `python -O`, too.
    """
    if not holds:
        raise AssertionError(sentence)
