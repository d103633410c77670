"""The data sets of nas have what `nas.testing` demands of any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.testing import check_data


@pytest.mark.parametrize("spec", ["digits", "numbers:size=300", "shapes:size=300,classes=5"])
def test_data_conforms(spec: str) -> None:
    check_data(spec)


def test_a_folder_of_images_conforms(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        folder = tmp_path / name
        folder.mkdir()
        for index in range(40):
            pixels = rng.integers(0, 256, size=(20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    check_data(f"imagefolder:{tmp_path}")
