"""One way to stop, whoever asks: Ctrl-C, a scheduler's SIGTERM, a terminal that is closed; or a deadline."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Those that ask a process to end: Ctrl-C; `kill`, `timeout`, systemd, Slurm, Kubernetes; a closed terminal."""
BY_SIGNAL = 128
"""Exit statuses of processes that a signal ended begin here."""


@dataclass(frozen=True)
class End:
    """When a search ends before its last trial.

    Attributes:
        deadline: `time.monotonic()` after which no further batch is begun; None: no limit.
        trials: after which none is begun: where a run that is repeated was ended by its deadline; None: no limit.
    """

    deadline: float | None = None
    trials: int | None = None

    @property
    def why(self) -> str:
        """What ends it, in words."""
        return "--timeout" if self.trials is None else "the end of the run that is repeated"

    def reached(self, trials: int) -> bool:
        """Whether no further batch may be begun after so many trials."""
        if self.trials is not None:
            return trials >= self.trials
        return self.deadline is not None and time.monotonic() > self.deadline


class Stopped(KeyboardInterrupt):
    """A run came to a safe point because a signal asked for it.

    Attributes:
        number: of the signal.
    """

    def __init__(self, saved: str, number: int = signal.SIGINT) -> None:
        super().__init__(saved)
        self.number = number


def status(stopped: BaseException) -> int:
    """The exit status that says which signal ended the process: 130, 143 or 129."""
    return BY_SIGNAL + int(getattr(stopped, "number", signal.SIGINT))


class Interrupt:
    """A signal asks for a stop at the next safe point; a second one stops at once.

    Attributes:
        asked: whether one came.
        number: of the one that did.
    """

    def __init__(self) -> None:
        self.asked = False
        self.number: int = signal.SIGINT
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number != signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN:
                    continue  # as under nohup
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def status(self) -> int:
        """The exit status of a process that stops because of it."""
        return BY_SIGNAL + self.number

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise Stopped("", number)
        self.asked, self.number = True, number
        with suppress(OSError, ValueError):  # the terminal may be gone
            print("stopping at the next safe point (once more stops at once) …", file=sys.stderr)  # noqa: T201


class Forwarded:
    """Other signals arrive as SIGINT, for libraries that stop well at that one alone.

    Attributes:
        number: of the signal that came, SIGINT where none did.
    """

    def __init__(self) -> None:
        self.number: int = signal.SIGINT
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number != signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def status(self) -> int:
        """The exit status of a process that stops because of it."""
        return BY_SIGNAL + self.number

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        signal.raise_signal(signal.SIGINT)
