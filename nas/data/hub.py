"""Image data sets that Hugging Face `datasets` can load, from the hub or from a local folder."""

from __future__ import annotations

from typing import Any

import torch

from nas.data.bundle import DataBundle, hold_out
from nas.data.images import DecodedImages, Images
from nas.errors import NasError

TEST_SHARE = 0.2
TEST_SEED = 0


def load_hub(text: str, search_share: float, seed: int) -> DataBundle:
    """`NAME`, `NAME:CONFIG`, or a local folder of parquet files or images.

    Raises:
        NasError: `datasets` is not installed, the data cannot be loaded, or has no image and label columns.
    """
    try:
        import datasets
    except ImportError:
        raise NasError(
            'data hf:NAME needs a package that is not installed: pip install "nas[hub]".'
        ) from None
    name, _, config = text.partition(":")
    if not name:
        raise NasError("data 'hf' needs a name: hf:NAME.")
    try:
        loaded = datasets.load_dataset(name, config or None)
    except Exception as error:
        raise NasError(f"data hf:{text} cannot be loaded: {str(error).splitlines()[0]}") from None
    first = loaded["train"] if "train" in loaded else next(iter(loaded.values()))
    image, label, names = _columns(first, text, datasets)
    everything: Images = _images(first, image, label)
    test_name = next((split for split in ("test", "validation", "valid") if split in loaded), None)
    if test_name is not None:
        rest: Images = everything
        test: Images = _images(loaded[test_name], image, label)
    else:
        rest, test = hold_out(everything, TEST_SHARE, TEST_SEED, text)
    train, search = hold_out(rest, search_share, seed, text)
    return DataBundle(f"hf:{text}", names, train, search, test, mirrored=True)


def _columns(split: Any, text: str, datasets: Any) -> tuple[str, str, tuple[str, ...]]:
    images = [name for name, kind in split.features.items() if isinstance(kind, datasets.Image)]
    labels = [name for name, kind in split.features.items() if isinstance(kind, datasets.ClassLabel)]
    if not images or not labels:
        raise NasError(
            f"data hf:{text}: an image and a class label column are needed; it has {list(split.features)}."
        )
    return images[0], labels[0], tuple(split.features[labels[0]].names)


def _images(split: Any, image: str, label: str) -> DecodedImages:
    def decode(row: int) -> Any:
        return split[row][image].convert("RGB")

    return DecodedImages(range(len(split)), torch.tensor(split[label]), decode)
