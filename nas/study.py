"""A stored study, from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas.store import Storage, StudyRow, default_url

if TYPE_CHECKING:
    from pandas import DataFrame


class Study:
    """A configuration with all its results.

    Attributes:
        name: of the study.
        storage: where it is stored.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        self.storage, self.name = storage, name
        self._id = storage.study(name).id

    @property
    def row(self) -> StudyRow:
        """The study as it is stored now."""
        return self.storage.study(self.name)

    @property
    def facts(self) -> dict[str, Any]:
        """Seed, versions, command, data, sampler and predictor facts."""
        return self.row.facts

    def front(self) -> DataFrame:
        """The Pareto front, one row per trial."""
        return self.storage.front_frame(self._id)

    def trials(self) -> DataFrame:
        """Every trial, one row each."""
        return self.storage.trials_frame(self._id)

    def hypervolume(self) -> float | None:
        """Hypervolume of the front against the study's reference point."""
        history = self.storage.hypervolume_history(self._id)
        return history[-1].hypervolume if history else None

    def __repr__(self) -> str:
        row = self.row
        return f"Study({self.name!r}, {row.state}, {row.n_trials} trials, {self.storage.url})"


def load_study(name: str, *, storage: str | None = None) -> Study:
    """A study by name.

    Args:
        storage: URL; `NAS_STORAGE` or `sqlite:///nas.db` by default.

    Raises:
        NasError: no such storage or study.
    """
    return Study(Storage(storage or default_url(), read_only=True), name)
