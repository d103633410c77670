"""What is said where Ray does not start."""

from __future__ import annotations

from typing import Any

import pytest

from nas.errors import NasError
from nas.scale.cluster import connected

ray = pytest.importorskip("ray")


def test_a_ray_that_does_not_start_in_time_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(**options: Any) -> None:
        raise Exception("The current node timed out during startup.\nMore of it.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", slow)
    told = r"no Ray at 'local': The current node timed out during startup\. Ray could not start"
    with pytest.raises(NasError, match=told), connected():
        pass
