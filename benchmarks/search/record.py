"""Results on disk: each run's is kept as soon as it is there, so that what was stopped goes on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.search.measure import Plan, Result
from nas.errors import NasError
from nas.files import write_atomically


class Record:
    """The results in a JSON file.

    Args:
        path: of the file; read where it is there.

    Raises:
        NasError: a file that is no record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: dict[Plan, Result] = {}
        if path.exists():
            try:
                rows = json.loads(path.read_text(encoding="utf-8"))["results"]
                self.results = {Plan(**row["plan"]): Result(**row["result"]) for row in rows}
            except (ValueError, KeyError, TypeError) as error:
                raise NasError(
                    f"{path} holds no results of this benchmark: {error}. Name another --out."
                ) from None

    def add(self, plan: Plan, result: Result) -> None:
        """Keep a result, on disk when this returns."""
        self.results[plan] = result
        self._write()

    def join(self, other: Record) -> None:
        """Keep another record's results, too."""
        self.results |= other.results
        self._write()

    def _write(self) -> None:
        rows = [{"plan": asdict(plan), "result": asdict(result)} for plan, result in self.results.items()]
        text = ",\n".join(json.dumps(row) for row in rows)
        write_atomically(self.path, f'{{"results": [\n{text}\n]}}\n')
