"""The times that `nas predictor` is given: one source of them, and the options that belong to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import NasError

if TYPE_CHECKING:
    from nas.latency.arch import Pairs
    from nas.latency.fitting import Timed
    from nas.latency.times import FloatArray
    from nas.space import Space

SOURCES = ("--table", "--device", "--archs", "--study")
BELONGS = {
    "--networks": ("--table",),
    "--source": ("--table", "--archs"),
    "--licence": ("--table", "--archs"),
    "--column": ("--archs",),
    "--storage": ("--study",),
}


@dataclass(frozen=True)
class Given:
    """What was given on the command line; None where nothing was.

    Attributes:
        table, networks: files with times of units and of whole networks.
        device: whose folder holds times.
        archs, column: a CSV with latencies of archs, and its column with ms.
        study, storage: with measured latencies of archs, and where it is.
        source, licence: of the times in a file.
        spaces: whose networks or archs they are.
        like: devices that are known already; for `archs` CSV files, `FILE` or `FILE#COLUMN`.
    """

    table: Path | None = None
    networks: Path | None = None
    device: str | None = None
    archs: Path | None = None
    column: str | None = None
    study: str | None = None
    storage: str | None = None
    source: str | None = None
    licence: str | None = None
    spaces: Sequence[Space] = ()
    like: Sequence[str] = ()

    def of_archs(self) -> bool:
        """Whether the times are of whole archs.

        Raises:
            NasError: no source of times or several, or an option that has no meaning beside the one.
        """
        options = self._options()
        chosen = [name for name in SOURCES if options[name] is not None]
        if len(chosen) != 1:
            said = f", not by {' and '.join(chosen)} together" if chosen else ""
            raise NasError(f"give the times by one of {', '.join(SOURCES)}{said}.")
        for name, owners in BELONGS.items():
            if options[name] is not None and chosen[0] not in owners:
                raise NasError(
                    f"{name} belongs to {' or '.join(owners)}; it says nothing beside {chosen[0]}."
                )
        if self.study and self.like:
            raise NasError("--like needs --table, --device or --archs; it says nothing beside --study.")
        return chosen[0] in ("--archs", "--study")

    def timed(self) -> Timed:
        """Times of units, and of networks if there are any.

        Raises:
            NasError: a file or device is missing or wrong.
        """
        from nas.latency.device import load_device
        from nas.latency.fitting import UNSTATED, read_times, times_of_device

        if self.device is not None:
            return times_of_device(load_device(self.device, with_predictor=False))
        assert self.table is not None
        return read_times(self.table, self.networks, self.source or UNSTATED, self.licence or UNSTATED)

    def pairs(self) -> Pairs:
        """Latencies of archs.

        Raises:
            NasError: not exactly one space, or a file or study is missing or wrong.
        """
        from nas.latency.arch import pairs_from_csv, pairs_from_study
        from nas.latency.arch.pairs import LATENCY_COLUMN

        if len(self.spaces) != 1:
            raise NasError("latencies of archs need the one --space they belong to.")
        if self.archs is not None:
            stated = {key: value for key in ("source", "licence") if (value := getattr(self, key))}
            pairs = pairs_from_csv(self.spaces[0], self.archs, column=self.column or LATENCY_COLUMN)
            return pairs.stated(**stated)
        from nas.store import Storage

        assert self.study is not None
        return pairs_from_study(Storage(self.storage, read_only=True), self.study, self.spaces[0])

    def elsewhere(self, pairs: Pairs) -> dict[str, FloatArray]:
        """By device in `like`, the known latencies of the same archs in ms, shape `(n,)`.

        Raises:
            NasError: a file is missing or wrong, or lacks an arch.
        """
        from nas.latency.arch.pairs import LATENCY_COLUMN, known_elsewhere

        return known_elsewhere(pairs, self.like, column=self.column or LATENCY_COLUMN)

    def _options(self) -> Mapping[str, object]:
        names = {option.removeprefix("--") for option in (*SOURCES, *BELONGS)}
        return {f"--{name}": getattr(self, name) for name in names}
