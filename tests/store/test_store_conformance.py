"""Both databases have what `nas.testing` demands of any."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nas.testing.storages import PROPERTIES


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_a_database_conforms(holds: Callable[[str], None], url: str) -> None:
    holds(url)
