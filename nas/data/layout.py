"""Which folders of a data set hold classes, and which splits: told by what is in them, not by their names alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.errors import NasError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
TRAIN, TEST = ("train", "training"), ("test", "val", "valid", "validation")
DEEP, DEEPEST = 3, 8


@dataclass(frozen=True)
class Layout:
    """Where the classes' folders are.

    Attributes:
        train: folder with one subfolder per class.
        test: the same for the test images; None: there are none.
    """

    train: Path
    test: Path | None


def layout_of(root: Path) -> Layout:
    """Where the classes' folders are below `root`.

    `train/`, `test/`, `val/` are splits where they hold folders of images and no images themselves; else they are
    classes of these names.

    Raises:
        NasError: it holds no classes, or it cannot be told which folders are classes.
    """
    train, test = _split(root, TRAIN), _split(root, TEST)
    if train is None and test is None:
        return Layout(root, None)
    classes = [path for path in folders(root) if path.name not in (*TRAIN, *TEST) and has_images(path)]
    named = [path for path in folders(root) if path.name in (*TRAIN, *TEST) and images_inside(path)]
    if classes or named:
        split = train or test
        assert split is not None
        other = (classes or named)[0]
        raise NasError(
            f"{root}: {split.name}/ holds folders of images, as a split does, but beside it {other.name}/ holds "
            f"images, as a class does. Put every class into train/, or the images of {split.name}/ right inside it; or "
            f"move {other.name}/ elsewhere if it is no class."
        )
    if train is None:
        assert test is not None
        raise NasError(f"{root}: there is {test.name}/ with folders of images, but no train/.")
    return Layout(train, test)


def check_classes(root: Path, names: Sequence[str]) -> None:
    """Nothing, where there are at least two classes.

    Raises:
        NasError: there are fewer; with the folder that was probably meant.
    """
    if len(names) >= 2:
        return
    meant = _meant(root)
    hint = f" Did you mean {meant}?" if meant is not None else ""
    raise NasError(f"{root}: at least two subfolders, one per class, are needed; found {len(names)}.{hint}")


def folders(root: Path) -> list[Path]:
    """Folders right inside one, but for hidden ones, by name."""
    return sorted(path for path in _entries(root) if path.is_dir() and not path.name.startswith("."))


def images_inside(folder: Path) -> bool:
    """Whether there are images right inside a folder."""
    return any(is_image(path) and path.is_file() for path in _entries(folder))


def has_images(folder: Path, depth: int = 0) -> bool:
    """Whether there are images in a folder or below it; links may lead around in a circle."""
    return images_inside(folder) or (
        depth < DEEPEST and any(has_images(inner, depth + 1) for inner in folders(folder))
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise NasError(f"{folder}: cannot be read ({error.strerror}).") from None


def is_image(path: Path) -> bool:
    """Whether a file is named as an image is."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _split(root: Path, names: Sequence[str]) -> Path | None:
    """The first folder of these names that holds folders of images, and no images itself."""
    there = [root / name for name in names if (root / name).is_dir()]
    return next(
        (path for path in there if not images_inside(path) and any(map(has_images, folders(path)))), None
    )


def _meant(root: Path, depth: int = 0) -> Path | None:
    """The nearest folder below that holds classes."""
    inner = folders(root)
    for path in inner:
        below = folders(path)
        if len([folder for folder in below if images_inside(folder)]) >= 2 or _split(path, TRAIN) is not None:
            return path
    deeper = (_meant(path, depth + 1) for path in inner if depth < DEEP)
    return next((path for path in deeper if path is not None), None)
