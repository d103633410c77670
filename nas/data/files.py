"""Files of images: which there are, what is in them, and whether they can be read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from nas.data.images import DECODERS
from nas.data.pictures import as_rgb
from nas.errors import NasError

WHOLE = 2**30
"""Bytes of a folder that are read whole, before a run and for its digest."""
_FEW, _SHORT = 2000, 2**26
_AT_ONCE = 1024
_TAIL = 32
SHOWN = 10
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
T = TypeVar("T")


@dataclass(frozen=True)
class ImageFile:
    """An image's file, its class by position, and its length in bytes."""

    path: Path
    label: int
    length: int


@dataclass(frozen=True)
class ImageFiles:
    """The files of a data set, below one folder."""

    root: Path
    files: Sequence[ImageFile]

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def content(self) -> str:
        """16 digits that change with the name or the length of any file; their bytes are not read."""
        known = hashlib.sha256()
        for file in self.files:
            known.update(f"{self._name(file)}\0{file.length}\n".encode(errors="surrogateescape"))
        return known.hexdigest()[:16]

    @cached_property
    def digest(self) -> str:
        """16 digits that change with the bytes of the files: of all up to 1 GiB, else of a fixed choice of about that.

        The choice depends on names alone and is the same on every machine.

        Raises:
            NasError: a file cannot be read.
        """
        known = hashlib.blake2b(digest_size=8)
        for part in _each(_bytes_of, [file.path for file in self._chosen()]):
            known.update(part)
        return known.hexdigest()

    def check(self) -> Iterator[None]:
        """Look at every image, several at a time, and yield once for each: decode it, or where they have more than
        1 GiB together, read its header and look for its end, which a file that broke off lacks.

        Raises:
            NasError: images that cannot be read: the first ten, and how many there are.
        """
        look = open_image if self._length <= WHOLE else _look_at_ends
        damaged: list[str] = []
        for wrong in _each(partial(_why_not, look), [file.path for file in self.files]):
            damaged += wrong
            yield
        refuse_damaged(damaged, len(self.files))

    def damaged(self) -> list[str]:
        """What is wrong with each image that cannot be read."""
        look = open_image if self._length <= WHOLE else _look_at_ends
        listed = _each(partial(_why_not, look), [file.path for file in self.files])
        return [why for wrong in listed for why in wrong]

    @property
    def many(self) -> bool:
        """Whether looking at them takes more than a few seconds."""
        return len(self.files) > _FEW or self._length > _SHORT

    @property
    def _length(self) -> int:
        return sum(file.length for file in self.files)

    def _chosen(self) -> Sequence[ImageFile]:
        if self._length <= WHOLE:
            return self.files
        by_chance = sorted(self.files, key=lambda file: hashlib.sha256(self._name(file).encode(
            errors="surrogateescape")).digest())  # fmt: skip
        left, chosen = WHOLE, []
        for file in by_chance:
            left -= file.length
            chosen.append(file)
            if left <= 0:
                break
        return chosen

    def _name(self, file: ImageFile) -> str:
        return file.path.relative_to(self.root).as_posix()


def open_image(path: Path) -> Any:
    """A PIL image in RGB, upright; see `as_rgb`.

    Raises:
        NasError: the file cannot be read, is not an image, or is broken.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return as_rgb(image)
    except Exception as error:  # decoders of damaged files raise whatever they trip over
        raise _unreadable(path, str(error)) from None


def refuse_damaged(damaged: Sequence[str], total: int) -> None:
    """Nothing, where no image is damaged.

    Args:
        damaged: what is wrong with each.
        total: images that were looked at.

    Raises:
        NasError: the first ten, and how many there are.
    """
    if not damaged:
        return
    count = len(damaged)
    more = f"\n{count:,} of {total:,} images cannot be read" if count > 1 else ""
    more += f"; the first {SHOWN} are listed." if count > SHOWN else "." if more else ""
    raise NasError("\n  ".join(damaged[:SHOWN]) + more)


def _why_not(look: Callable[[Path], Any], path: Path) -> list[str]:
    """What is wrong with an image, if anything is."""
    try:
        look(path)
    except NasError as error:
        return [str(error)]
    return []


def _look_at_ends(path: Path) -> None:
    """Read an image's header and its last bytes; decode it where those are not what images of its kind end with."""
    from PIL import Image

    try:
        with Image.open(path) as image, path.open("rb") as file:
            file.seek(-min(_TAIL, path.stat().st_size), os.SEEK_END)
            whole = image.format in _ENDS and _ENDS[image.format] in file.read()
    except Exception as error:  # decoders of damaged files raise whatever they trip over
        raise _unreadable(path, str(error)) from None
    if not whole:
        open_image(path)


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").digest()
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None


def _unreadable(path: Path, why: str) -> NasError:
    return NasError(f"{path}: cannot be read as an image ({why}). Remove or replace the file.")


def _each(do: Callable[[Path], T], paths: Sequence[Path]) -> Iterator[T]:
    """What `do` makes of each path, in order, by several threads; a bounded number is under way."""
    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(paths), _AT_ONCE):
            yield from pool.map(do, paths[start : start + _AT_ONCE])
