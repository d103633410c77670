"""The runtimes that are installed have what `nas.testing` demands of any."""

from __future__ import annotations

import pytest

from nas.errors import NasError
from nas.latency.profiling.runtimes.base import RUNTIMES, runtime_of
from nas.testing import check_runtime


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_a_runtime_conforms(name: str) -> None:
    try:
        runtime_of(name).version()
    except NasError as error:
        pytest.skip(str(error))
    check_runtime(name)
