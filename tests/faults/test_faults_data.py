"""Images as people have them: grey, nested, damaged, uneven, in classes called as splits are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

import nas
from nas.data.balance import is_uneven
from nas.data.load import load_data
from nas.data.pictures import with_channels
from nas.errors import NasError
from nas.pipeline.load_data import load_run_data
from nas.pipeline.plan import make_plan
from nas.pipeline.progress import Silent
from nas.settings import make_settings
from nas.store import Storage

SPACE = """version: 1
name: small
input: {{resolution: 32, channels: {channels}, classes: {classes}}}
stages:
  first: {{block: conv_stem, stride: 2, width: [8, 16]}}
  head: {{block: pooled_head, expansion: 2, hidden: 8}}
"""
FAST = ["threads=1", "train.steps=2", "train.batch=6", "search.batch=2", "train.resolution_scale=0.5"]


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def space_file(classes: int, channels: int = 3) -> str:
    Path("s.yaml").write_text(SPACE.format(classes=classes, channels=channels))
    return "s.yaml"


def pictures(*folders: str, count: int = 8, mode: str = "RGB") -> None:
    for level, folder in enumerate(folders):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            colour = (40 * level + index,) * 3 if mode == "RGB" else 40 * level + index
            Image.new(mode, (20, 16), colour).save(Path(folder) / f"{index}.png")


def classes(root: str = "photos") -> tuple[str, ...]:
    return load_data(f"imagefolder:{root}", side=8, search_share=0.25, seed=0).class_names


# channels


@pytest.mark.parametrize("data", ["digits", "shapes:size=60,test=20,classes=3", "imagefolder:photos"])
def test_networks_of_one_channel_read_grey_images(data: str) -> None:
    pictures("photos/a", "photos/b", "photos/c")
    space = space_file(10 if data == "digits" else 3, channels=1)
    study = nas.run(
        space, data=data, strategy="random", n_trials=2, settings=FAST, study_name="s", report=False
    )
    assert (study.trials()["state"] == "complete").all()


def test_grey_is_what_pillow_makes_of_colors() -> None:
    pixels = torch.rand(2, 3, 5, 5)
    grey = with_channels(pixels, 1)
    eight = (pixels * 255).round().to(torch.uint8)
    for image, ours in zip(eight, grey):
        theirs = torch.from_numpy(
            __import__("numpy").array(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L"))
        )
        assert (theirs / 255 - ours[0]).abs().max() < 0.01
    assert torch.equal(with_channels(grey, 3)[:, 1], grey[:, 0]) and with_channels(pixels, 3) is pixels


@pytest.mark.parametrize("channels", [2, 4, 12])
def test_other_numbers_of_channels_are_refused_before_there_is_a_study(channels: int) -> None:
    with pytest.raises(NasError, match=rf"input.channels is {channels}, but the images have 3"):
        nas.run(
            space_file(10, channels),
            data="digits",
            strategy="random",
            n_trials=2,
            settings=FAST,
            study_name="s",
        )
    assert not Path("nas.db").exists() or not Storage().studies()


# layouts


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["train", "tram", "bus"], ("bus", "train", "tram")),
        (["test", "quiz"], ("quiz", "test")),
        (["train", "test"], ("test", "train")),
        (["val", "valley", "validation"], ("val", "validation", "valley")),
        (["train/a", "train/b"], ("a", "b")),
        (["training/a", "training/b", "valid/a"], ("a", "b")),
        (["train/a", "train/b", "test/a", "test/b", "val/a"], ("a", "b")),
        (["train/train", "train/test", "test/train"], ("test", "train")),
        (["a/deep/x", "b/y"], ("a", "b")),
    ],
)
def test_layouts_are_told_by_what_is_inside(folders: list[str], expected: tuple[str, ...]) -> None:
    pictures(*[f"photos/{folder}" for folder in folders])
    assert classes() == expected


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        (["train/a", "train/b", "bus"], "beside it bus/ holds images"),
        (["test/a", "test/b", "bus", "car"], "test/ holds folders of images, as a split does"),
        (["train/a", "train/b", "test"], "beside it test/ holds images"),
        (["test/a", "test/b"], "but no train/"),
        (["train/a"], "at least two subfolders"),
        (["a"], "at least two subfolders"),
    ],
)
def test_what_is_ambiguous_is_said(folders: list[str], says: str) -> None:
    pictures(*[f"photos/{folder}" for folder in folders])
    with pytest.raises(NasError, match=says):
        classes()


@pytest.mark.parametrize("nested", ["photos/photos", "photos/archive/flowers"])
def test_a_folder_around_the_folder(nested: str) -> None:
    pictures(f"{nested}/a", f"{nested}/b")
    with pytest.raises(NasError) as caught:
        classes()
    meant = str(caught.value).split("Did you mean ")[1].rstrip("?")
    assert classes(meant) == ("a", "b")


def test_links_that_lead_in_a_circle_end() -> None:
    pictures("photos/train/a", "photos/train/b")
    Path("photos/train/c").symlink_to(Path("photos").resolve())
    assert classes()[:2] == ("a", "b")


# damaged images


def damage(count: int) -> None:
    pictures("photos/a", "photos/b", count=20)
    contents = [
        b"",
        b"not an image",
        b"\x89PNG\r\n\x1a\n" + bytes(30),
        Path("photos/a/0.png").read_bytes()[:40],
    ]
    for index in range(count):
        (Path("photos") / "ab"[index % 2] / f"{index}.png").write_bytes(contents[index % 4])


@pytest.mark.parametrize("count", [1, 3, 14])
def test_all_damaged_images_are_told_at_once(count: int) -> None:
    damage(count)
    with pytest.raises(NasError) as caught:
        nas.run(space_file(2), data="imagefolder:photos", strategy="random", settings=FAST, study_name="s")
    text = str(caught.value)
    assert text.count("Remove or replace the file") == min(count, 10)
    assert count == 1 or f"{count} of 40 images cannot be read" in text
    assert ("the first 10 are listed" in text) == (count > 10)


def test_damaged_images_of_which_none_is_empty() -> None:
    pictures("photos/a", "photos/b", count=12)
    for index in range(5):
        Path(f"photos/a/{index}.png").write_bytes(b"GIF89a" + bytes(index))
    plan = make_plan(
        nas.load_space(space_file(2)), make_settings("embedded", (), ["data.spec=imagefolder:photos"])
    )
    with pytest.raises(NasError, match="5 of 24 images cannot be read"):
        load_run_data(plan).check(Silent())


# uneven classes


@pytest.mark.parametrize(
    ("share", "count", "uneven"),
    [
        (0.5, 2, False),
        (0.6, 2, False),
        (0.7, 2, True),
        (0.988, 2, True),
        (0.15, 10, False),
        (0.3, 10, True),
        (0.01, 100, False),
    ],
)
def test_when_classes_are_uneven(share: float, count: int, uneven: bool) -> None:
    assert is_uneven(share, count) is uneven


def test_a_constant_answer_is_told_at_the_start_and_in_the_report() -> None:
    pictures("photos/common", count=60)
    pictures("photos/rare", count=4)
    study = nas.run(
        space_file(2), data="imagefolder:photos", strategy="random", n_trials=2, settings=FAST, study_name="s"
    )
    noted = " ".join(Storage().study(study.name).facts["warnings"])
    assert "always answering the most frequent one scores 87.5%" in noted and "(common)" in noted
    assert "always answering the most frequent one scores" in Path("nas-runs/s/report.html").read_text()


def test_even_classes_warn_of_nothing() -> None:
    pictures("photos/a", "photos/b")
    study = nas.run(
        space_file(2),
        data="imagefolder:photos",
        strategy="random",
        n_trials=2,
        settings=FAST,
        study_name="s",
        report=False,
    )
    assert "uneven" not in " ".join(Storage().study(study.name).facts["warnings"])
