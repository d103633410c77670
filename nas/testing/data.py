"""What training and evaluation rely on in a data set."""

from __future__ import annotations

import torch

from nas.data.bundle import SPLITS, DataBundle
from nas.data.images import Images
from nas.data.load import load_data
from nas.testing.demand import demand

SHARE, LOOKED = 0.2, 24


def check_data(spec: str, *, side: int = 16) -> None:
    """Check what `--data SPEC` gives.

    Args:
        spec: as `--data` takes it.
        side: of the images to look at, in pixels.

    Raises:
        AssertionError: the first property that does not hold, in a sentence.
        NasError: the data cannot be loaded.
    """

    def load(share: float, seed: int) -> DataBundle:
        return load_data(spec, side=side, search_share=share, seed=seed)

    data = load(SHARE, 0)
    demand(data.name, "the data set has no name.")
    for name in SPLITS:
        _check_labels(data, name)
        _check_images(data.split(name), name, side)
    missing = sorted(set(range(data.classes)) - set(data.train.labels.tolist()))
    demand(not missing, f"class {missing and data.class_names[missing[0]]!r} has no training image.")
    _check_again(data, load(SHARE, 0), side)
    _check_seeds(data, load(SHARE, 1), side)
    more = load(2 * SHARE, 0)
    demand(
        len(more.search.labels) > len(data.search.labels),
        "a larger share for the search holds out no more images; heed the third argument.",
    )


def _check_labels(data: DataBundle, name: str) -> None:
    labels = data.split(name).labels
    demand(len(labels) > 0, f"the {name} split is empty.")
    demand(
        labels.dtype == torch.int64 and labels.ndim == 1,
        f"labels of the {name} split are {labels.dtype} of shape {tuple(labels.shape)}, not int64 of shape (n,).",
    )
    low, high = int(labels.min()), int(labels.max())
    demand(
        low >= 0 and high < data.classes,
        f"labels of the {name} split reach from {low} to {high}; there are {data.classes} class names.",
    )


def _check_images(images: Images, name: str, side: int) -> None:
    index = _few(images)
    for size in (side, side + 3):
        pixels = images.get(index, size)
        channels = pixels.shape[1] if pixels.ndim == 4 else 0
        wanted = (len(index), 3, size, size)
        demand(
            channels in (1, 3) and tuple(pixels.shape) == (len(index), channels, size, size),
            f"images of the {name} split have shape {tuple(pixels.shape)}, not {wanted}.",
        )
        demand(pixels.dtype == torch.float32, f"images of the {name} split are {pixels.dtype}, not float32.")
        inside = bool(torch.isfinite(pixels).all()) and float(pixels.min()) >= 0 and float(pixels.max()) <= 1
        demand(inside, f"images of the {name} split are not all within 0..1.")
    same = torch.equal(images.get(index, side), images.get(index, side))
    demand(same, f"the same images of the {name} split are not the same when they are asked for again.")
    later = images.begin(index, side)()
    demand(
        torch.equal(later, images.get(index, side)), f"begin gives other images of the {name} split than get."
    )
    part = images.subset(index[::-1])
    demand(
        torch.equal(part.labels, images.labels[index[::-1]])
        and torch.equal(part.get(range(len(index)), side), images.get(index[::-1], side)),
        f"a subset of the {name} split has other images or labels than were chosen, or in another order.",
    )


def _check_again(data: DataBundle, again: DataBundle, side: int) -> None:
    for name in SPLITS:
        demand(
            _same(data.split(name), again.split(name), side),
            f"loaded again with the same seed, the {name} split is another one.",
        )


def _check_seeds(data: DataBundle, other: DataBundle, side: int) -> None:
    demand(
        _same(data.test, other.test, side), "the test images depend on the seed; final numbers would, too."
    )
    counts = [len(part.train.labels) + len(part.search.labels) for part in (data, other)]
    demand(
        counts[0] == counts[1],
        f"training and search images together are {counts[0]} with one seed and {counts[1]} with another.",
    )
    demand(
        not _same(data.search, other.search, side),
        "another seed holds out the same images for the search; heed the fourth argument.",
    )


def _same(a: Images, b: Images, side: int) -> bool:
    if not torch.equal(a.labels, b.labels):
        return False
    return torch.equal(a.get(_few(a), side), b.get(_few(b), side))


def _few(images: Images) -> list[int]:
    """Some positions, spread evenly."""
    n = len(images.labels)
    return sorted({round(place * (n - 1) / (LOOKED - 1)) for place in range(LOOKED)})
