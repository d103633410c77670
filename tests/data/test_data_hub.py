"""Data sets of Hugging Face `datasets`, from local files (no network)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nas.data.load import load_data
from nas.errors import NasError

datasets = pytest.importorskip("datasets")
GREYS = {"dark": 20, "light": 220}


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    datasets.disable_progress_bars()


def table(count: int, *, typed: bool = True, unlabelled: bool = False) -> Any:
    names = list(GREYS)
    rows = {
        "picture": [Image.new("RGB", (12, 10), (GREYS[names[i % 2]],) * 3) for i in range(count)],
        "label": [-1 if unlabelled else i % 2 for i in range(count)],
    }
    label = datasets.ClassLabel(names=names) if typed else datasets.Value("int64")
    if unlabelled:
        label = datasets.ClassLabel(names=names)
    return datasets.Dataset.from_dict(
        rows, features=datasets.Features({"picture": datasets.Image(), "label": label})
    )


def load(spec: str) -> Any:
    return load_data(f"hf:{spec}", side=8, search_share=0.25, seed=0)


def check(data: Any, sizes: list[int]) -> None:
    assert [len(data.split(s).labels) for s in ("train", "search", "test")] == sizes
    for split in ("train", "search", "test"):
        images = data.split(split)
        means = images.get(range(len(images.labels)), 8).mean((1, 2, 3))
        assert torch.equal((means > 0.5).long(), images.labels)


def test_a_parquet_file(tmp_path: Path) -> None:
    table(40).to_parquet(tmp_path / "train.parquet")
    data = load(f"parquet:{tmp_path / 'train.parquet'}")
    check(data, [24, 8, 8])
    assert data.class_names == ("dark", "light")


def test_a_folder_of_parquet_files_with_a_test_split(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    table(40).to_parquet(folder / "train-00000-of-00001.parquet")
    table(6).to_parquet(folder / "test-00000-of-00001.parquet")
    check(load(str(folder)), [30, 10, 6])


def test_a_folder_of_images(tmp_path: Path) -> None:
    for name, grey in GREYS.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(10):
            Image.new("RGB", (9, 9), (grey,) * 3).save(tmp_path / "images" / name / f"{index}.png")
    check(load(f"imagefolder:{tmp_path / 'images'}"), [12, 4, 4])


def test_a_saved_data_set_whose_test_split_is_unlabelled(tmp_path: Path) -> None:
    splits = {"train": table(40), "validation": table(8), "test": table(4, unlabelled=True)}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    check(load(str(tmp_path / "saved")), [30, 10, 8])


def test_labels_that_are_plain_numbers(tmp_path: Path) -> None:
    table(40, typed=False).to_parquet(tmp_path / "train.parquet")
    data = load(f"parquet:{tmp_path / 'train.parquet'}")
    check(data, [24, 8, 8])
    assert data.class_names == ("0", "1")


def test_a_broken_row_is_named(tmp_path: Path) -> None:
    rows = table(20).cast_column("picture", datasets.Image(decode=False))
    broken = rows.map(
        lambda row, i: {"picture": {"bytes": b"x", "path": None}} if i == 7 else row, with_indices=True
    )
    broken.cast_column("picture", datasets.Image()).to_parquet(tmp_path / "train.parquet")
    data = load(f"parquet:{tmp_path / 'train.parquet'}")
    with pytest.raises(NasError, match="row 7 cannot be read"):
        for split in ("train", "search", "test"):
            data.split(split).get(range(len(data.split(split).labels)), 8)


def test_what_is_said_when_it_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NasError, match="cannot be loaded"):
        load(str(tmp_path / "absent"))
    table(8).remove_columns("label").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(NasError, match="no label column; it has picture"):
        load(f"parquet:{tmp_path / 'a.parquet'}")
    table(8).remove_columns("picture").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(NasError, match="no image column; it has label"):
        load(f"parquet:{tmp_path / 'b.parquet'}")
    table(8, unlabelled=True).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(NasError, match="labels outside the classes"):
        load(f"parquet:{tmp_path / 'c.parquet'}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(NasError, match=r'pip install "nas\[hub\]"'):
        load("cifar10")
