"""Image files: what changes their fingerprints, and which damage is found before a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data import files as files_module
from nas.data.files import ImageFile, ImageFiles
from nas.errors import NasError


def noise(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def folder(root: Path, count: int, suffix: str = ".png") -> ImageFiles:
    for number in range(count):
        if not (path := root / f"{number}{suffix}").exists():
            noise(path, number)
    paths = sorted(root.glob(f"*{suffix}"))
    return ImageFiles(root, [ImageFile(path, 0, path.stat().st_size) for path in paths])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def test_any_byte_of_a_small_folder_is_in_its_digest(tmp_path: Path) -> None:
    first = folder(tmp_path, 5)
    seen = {first.digest}
    assert folder(tmp_path, 5).digest == first.digest
    for number in range(5):
        flip(tmp_path / f"{number}.png")
        again = folder(tmp_path, 5)
        assert again.content == first.content and again.digest not in seen
        seen.add(again.digest)


def test_the_digest_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    assert folder(here, 3).digest == folder(there, 3).digest


def test_of_a_large_folder_a_fixed_choice_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = folder(tmp_path, 40)
    monkeypatch.setattr(files_module, "WHOLE", 10 * first.files[0].length)
    digest, noticed = folder(tmp_path, 40).digest, 0
    for number in range(40):
        flip(tmp_path / f"{number}.png")
        noticed += folder(tmp_path, 40).digest != digest
        flip(tmp_path / f"{number}.png")
    assert 9 <= noticed <= 12
    assert folder(tmp_path, 40).digest == digest


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".gif", ".tif"])
@pytest.mark.parametrize("large", [False, True])
def test_a_file_that_broke_off_is_found_and_whole_ones_pass(
    suffix: str, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "WHOLE", 0 if large else 2**30)
    assert len(list(folder(tmp_path, 4, suffix).check())) == 4
    broken = tmp_path / f"2{suffix}"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size * 2 // 3])
    with pytest.raises(NasError, match=rf"2\{suffix}: cannot be read as an image"):
        list(folder(tmp_path, 4, suffix).check())


def test_what_cameras_append_to_a_photograph_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "WHOLE", 0)
    folder(tmp_path, 2, ".jpg")
    longer = tmp_path / "1.jpg"
    longer.write_bytes(longer.read_bytes() + bytes(200))
    assert len(list(folder(tmp_path, 2, ".jpg").check())) == 2


def test_a_file_that_is_no_image_or_is_gone_is_named(tmp_path: Path) -> None:
    known = folder(tmp_path, 3)
    (tmp_path / "1.png").write_text("no picture")
    with pytest.raises(NasError, match=r"1\.png: cannot be read as an image"):
        list(known.check())
    (tmp_path / "1.png").unlink()
    with pytest.raises(NasError, match=r"1\.png: cannot be read as an image \(No such file"):
        _ = known.digest
