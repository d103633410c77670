"""What a target must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from nas.latency.profiling.exports import Exported


@dataclass(frozen=True)
class Burst:
    """How long one burst of runs is.

    Attributes:
        warmup, warmup_ms: least runs and time of the warm-up.
        runs, least_ms: the burst goes on until it has this many runs and took this long …
        most_ms: … or this long, with three runs.
        flush_kib: KiB of other memory read before every run, where the target can: in a network a unit finds its
            weights where the other units left them, not in the nearest cache.
        between: names of loaded models that run after that: in a network the runtime's code is at hand.
    """

    warmup: int = 2
    warmup_ms: float = 2.0
    runs: int = 12
    least_ms: float = 4.0
    most_ms: float = 1000.0
    flush_kib: int = 0
    between: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What a target says of itself: hardware, the runtime's version there, and what else must be known."""

    hardware: str
    version: str
    notes: str = ""


class Target(ABC):
    """A machine with a runtime. A context manager; nothing stays on the machine after it."""

    @abstractmethod
    def facts(self) -> Facts:
        """What it is.

        Raises:
            NasError: it cannot be reached, or lacks the runtime; says what to do.
        """

    @abstractmethod
    def load(self, model: Exported) -> None:
        """Make a model ready to be timed.

        Raises:
            AnswerError: the runtime cannot run this model.
            NasError: the target is gone or full.
        """

    @abstractmethod
    def time(self, model: Exported, burst: Burst) -> list[float]:
        """Times of single runs of a loaded model, in ms.

        Raises:
            NasError: the target is gone.
        """

    @abstractmethod
    def drop(self, model: Exported) -> None:
        """Forget a loaded model."""

    @abstractmethod
    def close(self) -> None:
        """Leave the machine as it was."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
