"""Catching NaN and collapse: skip the step, after repeated offences go back to the last good checkpoint."""

from __future__ import annotations

from collections import deque
from math import isfinite, log
from typing import Any, Literal

Verdict = Literal["ok", "skip", "roll back"]
WINDOW = 50
COLLAPSE = 5.0
OFFENCES = 3
STUCK, LAST = 0.98, 10
"""Share of the loss of guessing that a training has left behind which learns; of how many of its last steps."""


class Guard:
    """Judges each step by its loss and by whether its gradients are finite.

    A loss above twice that of guessing and above five times the median of the last 50 good steps counts as a
    collapse (levels differ, so a large loss alone does not). Three offences in a row ask for a roll-back.

    Args:
        classes: number of classes; guessing has the loss ln(classes).
    """

    def __init__(self, classes: int) -> None:
        self.guessing = log(classes)
        self.recent: deque[float] = deque(maxlen=WINDOW)
        self.offences = 0
        self.skipped = 0

    def judge(self, loss: float, finite: bool, scaled: bool = False) -> Verdict:
        """What to do with a step.

        Args:
            loss: mean over the step's subnets.
            finite: whether all gradients are.
            scaled: whether the loss is scaled for fp16, where an overflow of gradients is how the scale is
                found: the step is skipped, but it is no offence.
        """
        if scaled and not finite and isfinite(loss):
            self.skipped += 1
            return "skip"
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
        median = sorted(self.recent)[len(self.recent) // 2]
        return loss > 2.0 * self.guessing and loss > COLLAPSE * median

    def remark(self) -> str:
        """What is wrong with a training that ends now: its loss is that of guessing; else nothing."""
        last = sorted(list(self.recent)[-LAST:])
        if not last or last[len(last) // 2] < STUCK * self.guessing:
            return ""
        return (
            f"the training's loss stayed at that of guessing: {last[len(last) // 2]:.2f} at its end, ln(classes) is "
            f"{self.guessing:.2f}. Its networks know nothing; it needs more steps (train.steps), or another train.lr."
        )

    def state(self) -> dict[str, Any]:
        """Plain data."""
        return {"recent": list(self.recent), "offences": self.offences, "skipped": self.skipped}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self.recent = deque([float(value) for value in state["recent"]], maxlen=WINDOW)
        self.offences, self.skipped = int(state["offences"]), int(state["skipped"])
