"""Telling people which studies of a sweep have ended; imports Ray Tune."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune import Callback

from nas.pipeline.progress import Reporter


class Told(Callback):  # type: ignore[misc]
    """A line for each study that ends."""

    def __init__(self, reporter: Reporter, total: int) -> None:
        self.reporter, self.total, self.done = reporter, total, 0

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A study ended by itself, well or with an error of its own."""
        result: Mapping[str, Any] = trial.last_result or {}
        self._say(trial.config["name"], result.get("failed"), result.get("hypervolume"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A study's process ended."""
        self._say(trial.config["name"], "its process ended", None)

    def _say(self, name: str, failed: str | None, volume: float | None) -> None:
        self.done += 1
        if failed:
            self.reporter.warn(f"{self.done}/{self.total} {name}: {failed}")
        else:
            self.reporter.say(f"{self.done}/{self.total} {name}: hypervolume {volume:.6g}")

    def __reduce__(self) -> Any:
        # Tune writes its callbacks down; a terminal cannot be, and a sweep is continued from the store anyway.
        return Callback, ()
