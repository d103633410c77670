"""Data by specification: `digits`, `numbers`, `shapes`, `imagefolder:PATH` or `hf:NAME`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nas.data.bundle import DataBundle
from nas.data.images import remembered
from nas.errors import NasError, suggestion


def load_data(spec: str, *, side: int, search_share: float, seed: int) -> DataBundle:
    """Load a data set.

    Args:
        spec: `digits`; `numbers` with options as `numbers:size=5000,classes=30`; `shapes` with options as
            `shapes:size=6000,classes=10,difficulty=hard`; `imagefolder:PATH`; `hf:NAME`, `hf:NAME:CONFIG` or
            `hf:BUILDER:PATH`.
        side: side of the images that will be asked for, in pixels.
        search_share: share of the training images held out for the search.
        seed: of the search split; the test images do not depend on it.

    Raises:
        NasError: unknown data, missing files or packages, too few images.
    """
    kind, _, rest = spec.partition(":")
    if kind not in LOADERS:
        known = [_FORMS.get(name, name) for name in LOADERS]
        raise NasError(
            f"unknown data {spec!r}.{suggestion(kind, LOADERS)} Known: {', '.join(known)}. If a plug-in provides "
            "it, add --plugin FILE (or MODULE)."
        )
    data = LOADERS[kind](rest, side, search_share, seed)
    # The search reads its split again for every candidate, and the final numbers theirs for every front member.
    return replace(data, search=remembered(data.search, side), test=remembered(data.test, side))


def _digits(rest: str, side: int, search_share: float, seed: int) -> DataBundle:
    from nas.data.digits import load_digits

    if rest:
        raise NasError(f"data 'digits' has no options, but {rest!r} is given.")
    return load_digits(search_share, seed)


def _numbers(rest: str, side: int, search_share: float, seed: int) -> DataBundle:
    from nas.data.numbers import load_numbers

    return load_numbers(rest, search_share, seed)


def _shapes(rest: str, side: int, search_share: float, seed: int) -> DataBundle:
    from nas.data.shapes_data import load_shapes

    return load_shapes(rest, side, search_share, seed)


def _folder(rest: str, side: int, search_share: float, seed: int) -> DataBundle:
    from nas.data.folder import load_folder

    return load_folder(rest, search_share, seed)


def _hub(rest: str, side: int, search_share: float, seed: int) -> DataBundle:
    from nas.data.hub import load_hub

    return load_hub(rest, search_share, seed)


LOADERS: dict[str, Callable[[str, int, float, int], DataBundle]] = {
    "digits": _digits,
    "numbers": _numbers,
    "shapes": _shapes,
    "imagefolder": _folder,
    "hf": _hub,
}
_FORMS = {
    "numbers": "numbers[:OPTIONS]",
    "shapes": "shapes[:OPTIONS]",
    "imagefolder": "imagefolder:PATH",
    "hf": "hf:NAME",
}
