"""Folders of images: `train/CLASS/*.jpg`, optionally `val/` and `test/`, or just `CLASS/*.jpg`."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISREG

import torch

from nas.data.bundle import DataBundle, hold_out, survives_mirroring
from nas.data.files import ImageFile, ImageFiles, open_image, refuse_damaged
from nas.data.images import DecodedImages, Images
from nas.data.layout import SUFFIXES, check_classes, folders, layout_of
from nas.errors import NasError

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
    layout = layout_of(root)
    train_root, test_root = layout.train, layout.test
    names = _classes(train_root)
    damaged: list[str] = []
    files = _files(train_root, names, damaged)
    rest: Images = _images(files)
    tested: list[ImageFile] = []
    if test_root is not None:
        extra = sorted({path.name for path in folders(test_root)} - set(names))
        if extra:
            raise NasError(f"{test_root / extra[0]}: the training images have no such class.")
        tested = _files(test_root, names, damaged)
        test: Images = _images(tested)
    read = ImageFiles(root, (*files, *tested))
    if damaged:  # then those that are there and no images are told with them
        refuse_damaged([*damaged, *read.damaged()], len(read) + len(damaged))
    if test_root is None:
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
        files=read,
    )


def _classes(root: Path) -> list[str]:
    names = [path.name for path in folders(root)]
    check_classes(root, names)
    return names


def _files(root: Path, names: list[str], damaged: list[str]) -> list[ImageFile]:
    """The images below each class's folder that is there, by class and path.

    Args:
        damaged: gets what is wrong with files that are none.
    """
    files: list[ImageFile] = []
    for label, name in enumerate(names):
        folder = root / name
        if not folder.is_dir():
            continue
        found = sorted(path for path in folder.rglob("*") if _named_as_image(path.relative_to(folder)))
        before = len(damaged)
        read = [file for path in found if (file := _file(path, label, damaged)) is not None]
        if not read and len(damaged) == before:
            raise NasError(f"{folder}: no images ({', '.join(SUFFIXES)}).")
        files += read
    return files


def _named_as_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.parts)


def _file(path: Path, label: int, damaged: list[str]) -> ImageFile | None:
    """None for a folder with the name of an image, and for a damaged file, which is noted."""
    try:
        facts = path.stat()
    except OSError as error:
        damaged.append(f"{path}: cannot be read ({error.strerror}). Remove or replace the file.")
        return None
    if not S_ISREG(facts.st_mode):
        return None
    if not facts.st_size:
        damaged.append(f"{path}: cannot be read as an image (it is empty). Remove or replace the file.")
        return None
    return ImageFile(path, label, facts.st_size)


def _images(files: list[ImageFile]) -> DecodedImages:
    labels = torch.tensor([file.label for file in files])
    return DecodedImages([file.path for file in files], labels, open_image)


def _licence(root: Path) -> str:
    found = sorted(path.name for path in root.iterdir() if path.stem.upper() in LICENCES and path.is_file())
    return f"stated in {', '.join(found)} of the folder" if found else ""
