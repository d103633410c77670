"""Telling people which studies of a sweep have ended; imports Ray Tune."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ray.tune import Callback

from nas.pipeline.progress import Reporter
from nas.scale.cluster import alive

LOOK_S = 10.0


class Told(Callback):  # type: ignore[misc]
    """A line for each study that ends, and for each that waits for a machine that is gone.

    Args:
        at: addresses of the machines that studies are tied to, by name.
    """

    def __init__(self, reporter: Reporter, total: int, at: Mapping[str, str]) -> None:
        self.reporter, self.total, self.done = reporter, total, 0
        self.at, self._warned, self._looked = at, set[str](), time.monotonic()

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Now and then, see whether the machines that studies wait for are there."""
        if not self.at or time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        import ray

        there = {node["NodeManagerAddress"] for node in alive(ray)}
        for name in (trial.config["name"] for trial in trials if trial.status == "PENDING"):
            if self.at.get(name, "") and self.at[name] not in there and name not in self._warned:
                self._warned.add(name)
                self.reporter.warn(
                    f"{name} waits for {self.at[name]}, which has its files and has left the cluster; "
                    "bring it back, or stop the sweep."
                )

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
            reached = "finished" if volume is None else f"hypervolume {volume:.6g}"
            self.reporter.say(f"{self.done}/{self.total} {name}: {reached}")

    def __reduce__(self) -> Any:
        # Tune writes its callbacks down; a terminal cannot be, and a sweep is continued from the store anyway.
        return Callback, ()
