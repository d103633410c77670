"""Folders of images: `train/CLASS/*.jpg`, optionally `val/` and `test/`, or just `CLASS/*.jpg`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nas.data.bundle import DataBundle, hold_out, survives_mirroring
from nas.data.images import DecodedImages, Images
from nas.errors import NasError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
TRAIN, TEST = ("train", "training"), ("test", "val", "valid", "validation")
TEST_SHARE = 0.2
TEST_SEED = 0


def load_folder(text: str, search_share: float, seed: int) -> DataBundle:
    """A folder with one subfolder per class.

    `test/` (else `val/`) holds the test images; where there is neither, a fixed fifth of each class does. The
    search split is always taken from the training images.

    Raises:
        NasError: no such folder, no classes, an empty class, or a test class that training lacks.
    """
    root = Path(text).expanduser()
    if not text:
        raise NasError("data 'imagefolder' needs a path: imagefolder:PATH.")
    if not root.is_dir():
        raise NasError(f"{root}: {'this is a file, not a folder' if root.exists() else 'no such folder'}.")
    train_root = next((root / name for name in TRAIN if (root / name).is_dir()), None)
    test_root = next((root / name for name in TEST if (root / name).is_dir()), None)
    if test_root is not None and train_root is None:
        raise NasError(f"{root}: there is {test_root.name}/, but no train/.")
    names = _classes(train_root or root)
    everything: Images = _read(train_root or root, names)
    if test_root is not None:
        extra = sorted(set(_classes(test_root)) - set(names))
        if extra:
            raise NasError(f"{test_root / extra[0]}: the training images have no such class.")
        rest: Images = everything
        test: Images = _read(test_root, names)
    else:
        rest, test = hold_out(everything, TEST_SHARE, TEST_SEED, str(root))
    train, search = hold_out(rest, search_share, seed, str(root))
    mirrored = survives_mirroring(names)
    return DataBundle(f"imagefolder:{root.name}", tuple(names), train, search, test, mirrored)


def open_image(path: Path) -> Any:
    """A PIL image in RGB.

    Raises:
        NasError: the file cannot be read, is not an image, or is broken.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except Exception as error:  # decoders of damaged files raise whatever they trip over
        raise NasError(f"{path}: cannot be read as an image ({error}). Remove or replace the file.") from None


def _classes(root: Path) -> list[str]:
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(names) < 2:
        raise NasError(f"{root}: at least two subfolders, one per class, are needed; found {len(names)}.")
    return names


def _read(root: Path, names: list[str]) -> DecodedImages:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        if not (root / name).is_dir():
            continue
        found = sorted(path for path in (root / name).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not found:
            raise NasError(f"{root / name}: no images ({', '.join(SUFFIXES)}).")
        paths += found
        labels += [label] * len(found)
    return DecodedImages(paths, torch.tensor(labels), open_image)
