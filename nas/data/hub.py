"""Image data sets that Hugging Face `datasets` can load, from the hub or from local files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.data.bundle import DataBundle, hold_out, survives_mirroring
from nas.data.images import DecodedImages, Images
from nas.data.pictures import as_rgb
from nas.errors import NasError

BUILDERS = ("imagefolder", "parquet", "arrow", "webdataset")
TRAIN, TEST = ("train", "training"), ("test", "validation", "valid", "val")
LABELS = ("label", "labels", "fine_label", "class", "target", "category")
TEST_SHARE = 0.2
TEST_SEED = 0


def load_hub(text: str, search_share: float, seed: int) -> DataBundle:
    """Load from the hub or from disk; images are decoded when they are needed.

    Args:
        text: `NAME` or `NAME:CONFIG` of the hub; a folder that `datasets` can read or has saved; or
            `BUILDER:PATH` with one of the builders imagefolder, parquet, arrow and webdataset.

    The test images are the split `test`, else `validation`, whichever is labelled; else a fixed fifth. The
    search split is always taken from the training images.

    Raises:
        NasError: `datasets` is not installed, the data cannot be loaded, or has no image or label column or unlabelled
            training images.
    """
    try:
        import datasets
    except ImportError:
        raise NasError(
            'data hf:NAME needs a package that is not installed: pip install "nas[hub]".'
        ) from None
    datasets.config.HF_DATASETS_TRUST_REMOTE_CODE = False  # a data set's own script is code that nobody typed
    splits = _load(text, datasets)
    train_name = next((name for name in TRAIN if name in splits), next(iter(splits)))
    first = splits[train_name]
    image, label = _columns(first, text, datasets)
    names, positions = _classes(first, label, datasets)
    if unlabelled := set(first[label][:]) - set(positions):
        raise NasError(f"data hf:{text}: split {train_name} has labels outside the classes: {unlabelled}.")
    rest: Images = _images(first, image, _labels(first, label, positions), text)
    test = _test_images(splits, train_name, image, label, positions, text)
    if test is None:
        rest, test = hold_out(rest, TEST_SHARE, TEST_SEED, f"hf:{text}", names, "testing")
    train, search = hold_out(rest, search_share, seed, f"hf:{text}", names)
    mirrored, licence = survives_mirroring(names), _licence(first, text)
    return DataBundle(f"hf:{text}", names, train, search, test, mirrored, licence)


def _load(text: str, datasets: Any) -> Mapping[str, Any]:
    """Splits by name."""
    name, _, rest = text.partition(":")
    if not name:
        raise NasError("data 'hf' needs a name: hf:NAME.")
    try:
        if name in BUILDERS and rest:
            where = {"data_dir": rest} if Path(rest).is_dir() else {"data_files": rest}
            loaded = datasets.load_dataset(name, **where)
        elif (Path(name) / "dataset_dict.json").exists() or (Path(name) / "state.json").exists():
            loaded = datasets.load_from_disk(name)
        else:
            loaded = datasets.load_dataset(name, rest or None)
    except Exception as error:  # the hub, the network, parsers and scripts raise whatever they like
        lines = str(error).splitlines() or [type(error).__name__]
        raise NasError(f"data hf:{text} cannot be loaded: {lines[0]}") from None
    return loaded if isinstance(loaded, Mapping) else {"train": loaded}


def _licence(split: Any, text: str) -> str:
    """What the data set states itself, else where its page is; empty for files without a statement."""
    name = text.partition(":")[0]
    page = "" if name in BUILDERS or Path(name).exists() else f"see https://huggingface.co/datasets/{name}"
    return " ".join(str(split.info.license or page).split())


def _columns(split: Any, text: str, datasets: Any) -> tuple[str, str]:
    """Names of the image and the label column."""
    images = [name for name, kind in split.features.items() if isinstance(kind, datasets.Image)]
    labels = [name for name, kind in split.features.items() if isinstance(kind, datasets.ClassLabel)]
    labels += [name for name in LABELS if name in split.features]
    if not images or not labels:
        missing = "image" if not images else "label"
        raise NasError(
            f"data hf:{text}: there is no {missing} column; it has {', '.join(split.features)}. An image column "
            f"of the type Image is needed, and one of the type ClassLabel or called {' or '.join(LABELS)}."
        )
    return images[0], labels[0]


def _classes(split: Any, label: str, datasets: Any) -> tuple[tuple[str, ...], dict[Any, int]]:
    """Class names, and the position of each label value among them."""
    kind = split.features[label]
    if isinstance(kind, datasets.ClassLabel):
        return tuple(kind.names), {value: value for value in range(kind.num_classes)}
    values = sorted(set(split[label][:]))
    return tuple(map(str, values)), {value: position for position, value in enumerate(values)}


def _test_images(
    splits: Mapping[str, Any],
    train_name: str,
    image: str,
    label: str,
    positions: Mapping[Any, int],
    text: str,
) -> Images | None:
    """The first test split whose labels are all known: hub test sets may come with -1 for every label."""
    for name in TEST:
        if name in splits and name != train_name and set(splits[name][label][:]) <= set(positions):
            return _images(splits[name], image, _labels(splits[name], label, positions), text)
    return None


def _images(split: Any, image: str, labels: Tensor, text: str) -> DecodedImages:
    def decode(row: int) -> Any:
        try:
            return as_rgb(split[row][image])
        except Exception as error:  # decoders of damaged files raise whatever they trip over
            raise NasError(f"data hf:{text}: row {row} cannot be read as an image ({error}).") from None

    return DecodedImages(range(len(split)), labels, decode)


def _labels(split: Any, label: str, positions: Mapping[Any, int]) -> Tensor:
    return torch.tensor([positions[value] for value in split[label][:]])
