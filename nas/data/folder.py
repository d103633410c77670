"""Folders of images: `train/CLASS/*.jpg`, optionally `val/` and `test/`, or just `CLASS/*.jpg`."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISREG

import torch

from nas.data.bundle import DataBundle, hold_out, survives_mirroring
from nas.data.files import ImageFile, ImageFiles, open_image
from nas.data.images import DecodedImages, Images
from nas.errors import NasError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
TRAIN, TEST = ("train", "training"), ("test", "val", "valid", "validation")
LICENCES = ("LICENSE", "LICENCE", "COPYING")
TEST_SHARE = 0.2
TEST_SEED = 0


def load_folder(text: str, search_share: float, seed: int) -> DataBundle:
    """A folder with one subfolder per class.

    `test/` (else `val/`) holds the test images; where there is neither, a fixed fifth of each class does. The
    search split is always taken from the training images. Hidden files and folders are passed over.

    Raises:
        NasError: no such folder, no classes, an empty class or file, a class with too few images, or a test class that
            training lacks.
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
    files = _files(train_root or root, names)
    rest: Images = _images(files)
    tested: list[ImageFile] = []
    if test_root is not None:
        extra = sorted(set(_classes(test_root)) - set(names))
        if extra:
            raise NasError(f"{test_root / extra[0]}: the training images have no such class.")
        tested = _files(test_root, names)
        test: Images = _images(tested)
    else:
        rest, test = hold_out(rest, TEST_SHARE, TEST_SEED, str(root), names, "testing")
    train, search = hold_out(rest, search_share, seed, str(root), names)
    return DataBundle(
        f"imagefolder:{root.name}",
        tuple(names),
        train,
        search,
        test,
        survives_mirroring(names),
        licence=_licence(root),
        files=ImageFiles(root, (*files, *tested)),
    )


def _classes(root: Path) -> list[str]:
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(names) < 2:
        raise NasError(f"{root}: at least two subfolders, one per class, are needed; found {len(names)}.")
    return names


def _files(root: Path, names: list[str]) -> list[ImageFile]:
    """The images below each class's folder that is there, by class and path."""
    files: list[ImageFile] = []
    for label, name in enumerate(names):
        folder = root / name
        if not folder.is_dir():
            continue
        found = sorted(path for path in folder.rglob("*") if _named_as_image(path.relative_to(folder)))
        read = [file for path in found if (file := _file(path, label)) is not None]
        if not read:
            raise NasError(f"{folder}: no images ({', '.join(SUFFIXES)}).")
        files += read
    return files


def _named_as_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.parts)


def _file(path: Path, label: int) -> ImageFile | None:
    """None for a folder with the name of an image."""
    try:
        facts = path.stat()
    except OSError as error:
        raise NasError(f"{path}: cannot be read ({error.strerror}). Remove or replace the file.") from None
    if not S_ISREG(facts.st_mode):
        return None
    if not facts.st_size:
        raise NasError(f"{path}: cannot be read as an image (it is empty). Remove or replace the file.")
    return ImageFile(path, label, facts.st_size)


def _images(files: list[ImageFile]) -> DecodedImages:
    labels = torch.tensor([file.label for file in files])
    return DecodedImages([file.path for file in files], labels, open_image)


def _licence(root: Path) -> str:
    found = sorted(path.name for path in root.iterdir() if path.stem.upper() in LICENCES and path.is_file())
    return f"stated in {', '.join(found)} of the folder" if found else ""
