"""A data set with its three splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.data.files import ImageFiles
from nas.data.images import Images
from nas.errors import NasError

SPLITS = ("train", "search", "test")


@dataclass(frozen=True)
class DataBundle:
    """A data set.

    Attributes:
        name: with the options that make it what it is.
        class_names: in the order of the labels.
        train, search, test: `search` is taken from the training images; `test` is for final numbers only.
        mirrored: whether a mirrored image keeps its label.
        licence: of the images, in words; empty where the data set states none.
        files: of the images, where they are in files and may change under the same name.
    """

    name: str
    class_names: tuple[str, ...]
    train: Images
    search: Images
    test: Images
    mirrored: bool
    licence: str = ""
    files: ImageFiles | None = None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def content(self) -> str:
        """Fingerprint of the files' names and lengths; empty where there are none."""
        return "" if self.files is None else self.files.content

    @property
    def digest(self) -> str:
        """Fingerprint of what is in the files; empty where there are none."""
        return "" if self.files is None else self.files.digest

    def split(self, name: str) -> Images:
        """A split by name."""
        return {"train": self.train, "search": self.search, "test": self.test}[name]


def survives_mirroring(class_names: Sequence[str]) -> bool:
    """Whether mirrored images seem to keep their class, by the classes' names alone.

    They do not where every name is a single character (written digits and letters), and where `left` in one name
    makes another if it is replaced by `right`.
    """
    lower = {name.lower() for name in class_names}
    swapped = any("left" in name and name.replace("left", "right") in lower for name in lower)
    return not swapped and any(len(name) > 1 for name in lower)


def hold_out(
    images: Images,
    share: float,
    seed: int,
    name: str,
    class_names: Sequence[str] = (),
    purpose: str = "the search",
) -> tuple[Images, Images]:
    """Split off a share of each class, one image at least: (the rest, the share).

    Args:
        name: of the data; `class_names` by label, and `purpose` of the share: for errors.

    Raises:
        NasError: a class would be left without an image on one side.
    """
    rng = np.random.default_rng([seed, 11])
    labels = images.labels.numpy()
    out: list[int] = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            known = class_names[label] if class_names else label
            raise NasError(
                f"data {name}: class {known!s} has 1 image left for training and {purpose}, which need one each."
            )
        count = min(max(round(share * len(members)), 1), len(members) - 1)
        out += members[:count].tolist()
    held = np.sort(np.array(out, dtype=np.int64))
    rest = np.setdiff1d(np.arange(len(labels)), held)
    return images.subset(rest.tolist()), images.subset(held.tolist())
