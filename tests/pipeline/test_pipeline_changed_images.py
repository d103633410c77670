"""Images that change after a study began: neither its search nor another's goes on as if they had not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import nas
from nas.data.images import RememberedImages
from nas.data.load import load_data
from nas.errors import NasError
from nas.pipeline.progress import Silent
from nas.pipeline.reproduce import reproduce
from nas.store import Storage

SPACE = Path(__file__).parent / "small.yaml"
SETTINGS = (
    "threads=1", "train.steps=2", "train.batch=4", "train.resolution_scale=0.25", "evaluate.recalibrate=1",
    "evaluate.final_recalibrate=1", "evaluate.images=8", "search.batch=2",
)  # fmt: skip
CARD = Path("nas-runs") / "first" / "supernet.json"


def image(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), (shade, 90, 40)).save(path)


def search(name: str, *, resume: bool = False, supernet: str | None = None) -> nas.Study:
    return nas.run(
        SPACE, settings=SETTINGS, data="imagefolder:images", strategy="random", n_trials=2, seed=0,
        study_name=name, resume=resume, supernet=supernet, report=False,
    )  # fmt: skip


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two classes."""
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        image(tmp_path / "images" / "ant" / f"{number}.png", number)
        image(tmp_path / "images" / "bee" / f"{number}.png", 200 + number)
    return tmp_path / "images"


def test_weights_trained_on_images_that_changed_are_not_taken(images: Path) -> None:
    search("first")
    search("second", supernet="first")
    image(images / "ant" / "new.png", 50)
    with pytest.raises(NasError, match="trained on other images of imagefolder:images"):
        search("third", supernet="first")
    assert "third" not in {study.name for study in Storage().studies()}
    card = json.loads(CARD.read_text())
    del card["content"], card["digest"], card["sha256"]  # as earlier versions wrote it
    CARD.write_text(json.dumps(card))
    search("third", supernet="first")


def test_images_of_equal_length_that_were_exchanged_are_noticed(images: Path) -> None:
    study = search("first")
    one, other = images / "ant" / "0.png", images / "ant" / "1.png"
    one.write_bytes(other.read_bytes())
    assert one.stat().st_size == other.stat().st_size
    with pytest.raises(NasError, match="fingerprint of their files' contents was"):
        search("second", supernet="first")
    storage = Storage()
    found = reproduce(storage, study.row, Silent(), space_file=str(SPACE))
    (told,) = found.facts
    assert told[0] == "data: digest" and told[1] != told[2] and not found.same
    facts = study.facts["data"]
    storage.add_facts(study.row.id, {"data": {key: facts[key] for key in facts if key != "digest"}})
    old = reproduce(storage, storage.study("first"), Silent(), space_file=str(SPACE))  # of an earlier version
    assert not old.facts


@pytest.mark.parametrize("split", ["train", "search", "test"])
def test_a_damaged_image_is_told_before_anything_is_trained(images: Path, split: str) -> None:
    data = load_data("imagefolder:images", side=16, search_share=0.25, seed=0).split(split)
    path = (data.images if isinstance(data, RememberedImages) else data).items[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(NasError, match=f"{path.name}: cannot be read as an image"):
        search("first")
    assert not Storage().studies() and not Path("nas-runs").exists()


def test_a_study_stopped_before_its_supernet_is_trained_does_not_go_on_with_other_images(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nas.pipeline.run.obtain", stopped)
        with pytest.raises(KeyboardInterrupt):
            search("first")
    image(images / "ant" / "new.png", 50)
    with pytest.raises(
        NasError,
        match=r"(?s)its data have changed:.*data\.content: began with .*data\.test: began with 4, now 5",
    ):
        search("first", resume=True)
    assert Storage().study("first").state == "interrupted"
    (images / "ant" / "new.png").unlink()
    assert search("first", resume=True).row.state == "finished"
