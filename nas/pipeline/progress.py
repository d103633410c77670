"""Telling people how a run goes: bars with time left on a terminal, plain lines otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from nas.pipeline.stopping import Interrupt as Interrupt
from nas.printable import printable


class Task(Protocol):
    """A phase whose steps are counted."""

    def advance(self, text: str = "") -> None:
        """One more step is done."""


class Reporter(Protocol):
    """Where a run tells what it does."""

    def say(self, text: str) -> None:
        """One line."""

    def warn(self, text: str) -> None:
        """One line that should not be overlooked."""

    def task(self, name: str, total: int, done: int = 0) -> Any:
        """Context manager giving a `Task`."""


class Silent:
    """Says nothing; for use from Python and in tests."""

    def say(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """A task that shows nothing."""
        yield _Quiet()


class _Quiet:
    def advance(self, text: str = "") -> None:
        pass


class ConsoleReporter:
    """Lines on standard error; bars with time left where that is a terminal."""

    LINES_PER_TASK = 8

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line."""
        with suppress(OSError):  # the terminal may have been closed; the run goes on to its next safe point
            self.console.print(printable(text), markup=False)

    def warn(self, text: str) -> None:
        """One line, marked."""
        with suppress(OSError):
            self.console.print(f"warning: {printable(text)}", markup=False, style="yellow")

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        """A bar, or a line every eighth of the way."""
        if not self.console.is_terminal:
            yield _Lines(self, name, total, done)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(name, total=total, completed=done, text="")
            yield _Bar(progress, task)


class _Bar:
    def __init__(self, progress: Any, task: Any) -> None:
        self.progress, self.id = progress, task

    def advance(self, text: str = "") -> None:
        with suppress(OSError):
            self.progress.update(self.id, advance=1, text=text)


class _Lines:
    def __init__(self, reporter: ConsoleReporter, name: str, total: int, done: int) -> None:
        self.reporter, self.name, self.total, self.done = reporter, name, total, done
        self.started, self.first = time.monotonic(), done

    def advance(self, text: str = "") -> None:
        self.done += 1
        every = max(self.total // ConsoleReporter.LINES_PER_TASK, 1)
        if self.done % every and self.done != self.total:
            return
        elapsed = time.monotonic() - self.started
        left = elapsed / max(self.done - self.first, 1) * (self.total - self.done)
        self.reporter.say(f"{self.name} {self.done}/{self.total}, {left:.0f} s left {text}".rstrip())
