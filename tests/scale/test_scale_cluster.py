"""What is said where Ray does not start."""

from __future__ import annotations

from typing import Any

import pytest

from nas.errors import NasError
from nas.scale.cluster import connected
from nas.scale.network import interface_of

ray = pytest.importorskip("ray")


def test_a_ray_that_does_not_start_in_time_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(**options: Any) -> None:
        raise Exception("The current node timed out during startup.\nMore of it.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", slow)
    told = r"no Ray at 'local': The current node timed out during startup\. Ray could not start"
    with pytest.raises(NasError, match=told), connected():
        pass


def test_the_interface_of_an_address() -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("203.0.113.77") is None  # an address of no machine, by RFC 5737
