"""Folders of images: what is found, what is decoded, and what is said when something is wrong."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.data.augment import make_augment
from nas.data.batches import TrainingBatches
from nas.data.folder import open_image
from nas.data.load import load_data
from nas.errors import NasError
from nas.pipeline.load_data import load_run_data
from nas.pipeline.plan import make_plan
from nas.settings import make_settings
from nas.space import load_space

COLOURS = {"cat": (200, 30, 30), "ant": (30, 200, 30), "Bee": (30, 30, 200)}


def write(
    folder: Path, count: int = 10, size: tuple[int, int] = (24, 20), classes: Iterable[str] = COLOURS
) -> None:
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(count):
            colour = (*COLOURS[name][:2], min(COLOURS[name][2] + index, 255))
            Image.new("RGB", size, colour).save(folder / name / f"{index}.{'png' if index % 2 else 'jpg'}")


@pytest.mark.parametrize(
    ("classes", "auto"), [("37", False), (["left-turn", "Right-turn", "stop"], False), (["b", "ant"], True)]
)
def test_training_mirrors_what_keeps_its_class_or_as_it_is_told(
    tmp_path: Path, classes: Iterable[str], auto: bool
) -> None:
    for name in classes:
        (tmp_path / name).mkdir()
        for index in range(10):
            Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / name / f"{index}.png")
    space = load_space(Path(__file__).parents[1] / "pipeline" / "small.yaml")
    for told, expected in (("auto", auto), ("true", True), ("false", False)):
        given = [f"data.spec=imagefolder:{tmp_path}", f"train.mirror={told}", "train.resolution_scale=0.25"]
        data = load_run_data(make_plan(space, make_settings("embedded", (), given)))
        assert data.augment.recipe.mirror is expected


def load(folder: Path, side: int = 8):  # type: ignore[no-untyped-def]
    return load_data(f"imagefolder:{folder}", side=side, search_share=0.25, seed=0)


def test_classes_are_sorted_and_labels_follow_them(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ".cache").mkdir()
    data = load(tmp_path)
    assert data.class_names == ("Bee", "ant", "cat") and data.mirrored
    assert [len(data.split(s).labels) for s in ("train", "search", "test")] == [18, 6, 6]
    for split in ("train", "search", "test"):
        images = data.split(split).get(range(6), 8)
        brightest = images.mean((2, 3)).argmax(1)
        assert torch.equal(2 - brightest, data.split(split).labels[:6])


def test_train_val_and_test_folders(tmp_path: Path) -> None:
    write(tmp_path / "train", 8)
    write(tmp_path / "val", 3)
    assert len(load(tmp_path).test.labels) == 9
    assert len(load(tmp_path).train.labels) + len(load(tmp_path).search.labels) == 24
    write(tmp_path / "test", 2)
    assert len(load(tmp_path).test.labels) == 6


def test_evaluation_crops_the_centre_as_imagenet_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / name).mkdir()
        for index in range(5):
            coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
            coarse.resize((400, 300), Image.Resampling.BICUBIC).save(tmp_path / name / f"{index}.png")
    data = load(tmp_path, side=112)
    path = data.train.items[0]
    image = Image.open(path).convert("RGB").resize((171, 128), Image.Resampling.BICUBIC)
    left = (171 - 112) / 2
    reference = np.asarray(image.crop((round(left), 8, round(left) + 112, 120)), dtype=np.float32) / 255
    ours = data.train.get([0], 112)[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - reference).mean() < 0.01


def test_grey_palette_transparent_and_tiny_images_are_read(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for index, mode in enumerate(["L", "P", "RGBA", "1", "CMYK", "LA"]):
            suffix = "tiff" if mode == "CMYK" else "png"
            Image.new(mode, (5, 3)).save(tmp_path / name / f"{index}.{suffix}")
    data = load(tmp_path, side=16)
    assert data.train.get(range(len(data.train.labels)), 16).shape[1:] == (3, 16, 16)


def test_a_batch_of_random_crops_is_a_function_of_the_step(tmp_path: Path) -> None:
    write(tmp_path, 10, (60, 40))

    def batches() -> TrainingBatches:
        return TrainingBatches(load(tmp_path), 6, 16, 0, make_augment("paper", 16, mirrored=True, seed=0))

    run = batches()
    seen = [run.batch(step)[0] for step in range(5)]
    assert torch.equal(batches().batch(4)[0], seen[4])


@pytest.mark.parametrize(
    "content",
    [b"not an image", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, b"\xff\xd8\xff\xe0" + b"\x11" * 100],
)
def test_a_broken_image_is_named(content: bytes, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "cat" / "4.jpg").write_bytes(content)
    data = load(tmp_path)
    with pytest.raises(NasError, match=r"cat/4\.jpg: cannot be read as an image"):
        for split in ("train", "search", "test"):
            data.split(split).get(range(len(data.split(split).labels)), 8)


def test_an_empty_file_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "cat" / "4.jpg").write_bytes(b"")
    with pytest.raises(NasError, match=r"cat/4\.jpg: cannot be read as an image \(it is empty\)"):
        load(tmp_path)


def test_hidden_files_and_folders_named_like_images_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "cat" / "._0.jpg").write_bytes(b"what a Mac leaves beside each file")
    (tmp_path / "cat" / ".trash").mkdir()
    (tmp_path / "cat" / ".trash" / "0.jpg").write_bytes(b"x")
    (tmp_path / "ant" / "album.png").mkdir()
    assert len(load(tmp_path).train.labels) == 18
    (tmp_path / "ant" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(NasError, match=r"gone\.png: cannot be read"):
        load(tmp_path)


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    upright = Image.new("RGB", (30, 20), (0, 0, 0))
    upright.paste((255, 255, 255), (0, 0, 30, 8))
    tag = 0x0112
    for orientation, turned in ((3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)):
        exif = Image.Exif()
        exif[tag] = orientation
        path = tmp_path / f"{orientation}.jpg"
        upright.transpose(turned).save(path, exif=exif, quality=95)
        seen = np.asarray(open_image(path), dtype=np.float32)
        assert seen.shape == (20, 30, 3)
        assert np.abs(seen - np.asarray(upright, dtype=np.float32)).mean() < 3


def test_16_bits_are_scaled_and_numbers_without_a_range_refused(tmp_path: Path) -> None:
    levels = np.array([[0, 257, 32_896, 65_535]], dtype=np.uint16)
    for name, kind in (("little.png", np.uint16), ("big.tif", ">u2")):
        Image.fromarray(levels.astype(kind)).save(tmp_path / name)
        assert np.asarray(open_image(tmp_path / name))[0, :, 1].tolist() == [0, 1, 128, 255]
    Image.fromarray(levels.astype(np.int32) * 2).save(tmp_path / "long.tif")
    Image.fromarray(levels / np.float32(65_535)).save(tmp_path / "float.tif")
    for name, told in (("long.tif", "more than 16 bits"), ("float.tif", "floating-point")):
        with pytest.raises(NasError, match=f"{name}.*{told}"):
            open_image(tmp_path / name)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putdata([0, 1])
    picture.save(tmp_path / "p.png", transparency=bytes([0, 128]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = np.asarray(open_image(tmp_path / "p.png"))
    assert seen.tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_other_images_under_the_same_name_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "train", 4)
    write(tmp_path / "test", 2)
    first = load(tmp_path)
    assert load(tmp_path).content == first.content and first.licence == ""
    changed = tmp_path / "test" / "cat" / "0.jpg"
    changed.write_bytes(changed.read_bytes() + b"!")
    (tmp_path / "LICENSE.txt").write_text("CC0")
    again = load(tmp_path)
    assert again.content != first.content and "LICENSE.txt" in again.licence
    digest, turned = again.digest, bytearray(changed.read_bytes())
    turned[-1] ^= 1
    changed.write_bytes(turned)
    flipped = load(tmp_path)
    assert flipped.content == again.content and flipped.digest != digest


def test_names_are_of_any_alphabet(tmp_path: Path) -> None:
    for name in ("Äpfel", "梨 und ‘Birnen’"):
        (tmp_path / name).mkdir()
        for index in range(4):
            Image.new("RGB", (6, 6), (index, 0, 0)).save(tmp_path / name / f"ß{index}.png")
    data = load(tmp_path)
    assert data.class_names == ("Äpfel", "梨 und ‘Birnen’") and len(data.train.get(range(4), 8)) == 4


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    write(tmp_path, 6, (300, 300))
    path = tmp_path / "ant" / "2.jpg"
    path.write_bytes(path.read_bytes()[:700])
    data = load(tmp_path)
    with pytest.raises(NasError, match=r"ant/2\.jpg"):
        for split in ("train", "search", "test"):
            data.split(split).get(range(len(data.split(split).labels)), 8)


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="no such folder"):
        load(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NasError, match="this is a file"):
        load(tmp_path / "file")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(NasError, match="at least two subfolders"):
        load(empty)
    write(empty, 3, classes=("cat", "ant"))
    (empty / "Bee").mkdir()
    with pytest.raises(NasError, match="Bee: no images"):
        load(empty)
    write(tmp_path / "split" / "train", 4, classes=("cat", "ant"))
    write(tmp_path / "split" / "test", 4)
    with pytest.raises(NasError, match="Bee: the training images have no such class"):
        load(tmp_path / "split")
    write(tmp_path / "only" / "val", 4)
    with pytest.raises(NasError, match="no train/"):
        load(tmp_path / "only")
    write(tmp_path / "one", 1)
    with pytest.raises(NasError, match="class Bee has 1 image left for training and testing"):
        load(tmp_path / "one")
