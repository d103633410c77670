"""Catching NaN and collapse: skip the step, after repeated offences go back to the last good checkpoint."""

from __future__ import annotations

from collections import deque
from math import isfinite
from typing import Any, Literal

Verdict = Literal["ok", "skip", "roll back"]
WINDOW = 50
COLLAPSE = 5.0
OFFENCES = 3


class Guard:
    """Judges each step by its loss and by whether its gradients are finite.

    A loss above five times the median of the last 50 good steps counts as a collapse. Three offences in a
    row ask for a roll-back.
    """

    def __init__(self) -> None:
        self.recent: deque[float] = deque(maxlen=WINDOW)
        self.offences = 0
        self.skipped = 0

    def judge(self, loss: float, finite: bool) -> Verdict:
        """What to do with a step."""
        if finite and isfinite(loss) and not self._collapsed(loss):
            self.recent.append(loss)
            self.offences = 0
            return "ok"
        self.offences += 1
        self.skipped += 1
        return "roll back" if self.offences >= OFFENCES else "skip"

    def _collapsed(self, loss: float) -> bool:
        if len(self.recent) < WINDOW // 2:
            return False
        return loss > COLLAPSE * sorted(self.recent)[len(self.recent) // 2]

    def state(self) -> dict[str, Any]:
        """Plain data."""
        return {"recent": list(self.recent), "offences": self.offences, "skipped": self.skipped}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self.recent = deque([float(value) for value in state["recent"]], maxlen=WINDOW)
        self.offences, self.skipped = int(state["offences"]), int(state["skipped"])
