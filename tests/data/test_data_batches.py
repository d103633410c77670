"""Batches are pure functions of (seed, step), and an epoch shows every image once."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from nas.data.augment import make_augment
from nas.data.batches import (
    TrainingBatches,
    calibration_batches,
    evaluation_batches,
    normalised,
)
from nas.data.bundle import DataBundle
from nas.data.images import DecodedImages, RememberedImages, TensorImages, remembered, resized

SIDE = 12


def bundle(count: int = 50) -> DataBundle:
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=rng, dtype=torch.uint8)
    images = TensorImages(pixels, torch.arange(count) % 5)
    return DataBundle("random", tuple("abcde"), images, images, images, mirrored=True)


def batches(count: int = 50, *, recipe: str = "paper", seed: int = 1, batch: int = 8) -> TrainingBatches:
    augment = make_augment(recipe, SIDE, mirrored=True, seed=seed)
    return TrainingBatches(bundle(count), batch, SIDE, seed, augment)


@pytest.mark.parametrize("recipe", ["none", "embedded", "paper"])
def test_a_step_is_the_same_whenever_it_is_asked_for(recipe: str) -> None:
    run = batches(recipe=recipe)
    seen = [run.batch(step) for step in range(15)]
    for step in (14, 3, 4, 3):
        images, labels = batches(recipe=recipe).batch(step)
        assert torch.equal(images, seen[step][0]) and torch.equal(labels, seen[step][1])
    again, _ = run.batch(2)
    assert torch.equal(again, seen[2][0])
    other, _ = batches(recipe=recipe, seed=2).batch(2)
    assert not torch.equal(other, seen[2][0])
    assert images.shape == (8, 3, SIDE, SIDE) and images.dtype == torch.float32


def test_an_epoch_shows_every_image_once_but_for_the_incomplete_batch() -> None:
    run = batches(50, batch=8)
    assert run.steps_per_epoch() == 6
    first, second = (
        np.concatenate([run.indices(step) for step in range(start, start + 6)]) for start in (0, 6)
    )
    assert len(set(first)) == len(set(second)) == 48 and list(first) != list(second)
    shown = Counter(int(i) for epoch in range(40) for s in range(6) for i in run.indices(epoch * 6 + s))
    assert len(shown) == 50 and max(shown.values()) <= 40


def test_a_batch_larger_than_the_data_goes_round() -> None:
    run = batches(5, batch=8)
    assert run.steps_per_epoch() == 1
    counts = Counter(run.indices(0).tolist())
    assert set(counts) == set(range(5)) and max(counts.values()) == 2


def test_labels_belong_to_the_images() -> None:
    run = batches(recipe="none")
    images, labels = run.batch(3)
    for image, label, index in zip(images, labels, run.indices(3), strict=True):
        assert torch.equal(image, normalised(run.data.train.get([int(index)], SIDE)[0]))
        assert int(label) == index % 5


def test_calibration_depends_on_its_seed_alone() -> None:
    def draw(seed: int) -> torch.Tensor:
        augment = make_augment("paper", SIDE, mirrored=True, seed=0)
        return torch.stack(list(calibration_batches(bundle(), seed, 3, 8, SIDE, augment)))

    assert torch.equal(draw(2**63 - 1), draw(2**63 - 1)) and not torch.equal(draw(5), draw(6))
    assert draw(0).shape == (3, 8, 3, SIDE, SIDE)
    assert not torch.equal(draw(0)[0], draw(0)[1])


def test_evaluation_covers_a_split_in_order_or_evenly() -> None:
    data = bundle(50)
    everything = list(evaluation_batches(data.test, 16, SIDE, 0))
    assert [len(labels) for _, labels in everything] == [16, 16, 16, 2]
    assert torch.equal(torch.cat([labels for _, labels in everything]), data.test.labels)
    some = torch.cat([images for images, _ in evaluation_batches(data.test, 4, SIDE, 11)])
    whole = torch.cat([images for images, _ in everything])
    positions = [int((whole == image).flatten(1).all(1).nonzero()) for image in some]
    assert len(positions) == 11 and positions[0] == 0 and positions[-1] == 49
    assert set(np.diff(positions)) <= {4, 5, 6}


def test_random_crops_of_images_in_memory_show_parts_of_them() -> None:
    ramp = (torch.arange(40.0) / 40).expand(1, 3, 40, 40)
    images = TensorImages(ramp, torch.zeros(1, dtype=torch.long))
    crops = make_augment("paper", 20, mirrored=False, seed=0).crops(0, 30)
    assert crops is not None
    cropped = images.get([0] * 30, 20, crops)
    assert cropped.shape == (30, 3, 20, 20)
    span = cropped[:, 0, 10, -1] - cropped[:, 0, 10, 0]
    assert float(span.min()) > 0.15 and float(span.max()) < 1.0 and float(span.std()) > 0.1
    assert make_augment("embedded", 20, mirrored=False, seed=0).crops(0, 30) is None


def test_resizing_keeps_the_mean_and_removes_what_cannot_be_shown() -> None:
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 32, 32, generator=rng)
    assert resized(images, 32) is images
    small = resized(images, 8)
    assert torch.allclose(small.mean((2, 3)), images.mean((2, 3)), atol=0.02)
    assert float(small.std()) < 0.45 * float(images.std())
    flat = torch.full((1, 3, 9, 9), 0.3)
    assert torch.allclose(resized(flat, 20), torch.full((1, 3, 20, 20), 0.3), atol=1e-6)


def test_only_files_are_read_ahead_and_tensors_are_computed_by_the_thread_that_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from PIL import Image

    decoded = threading.Event()

    def decode(item: int) -> Image.Image:
        decoded.set()
        return Image.new("RGB", (4, 4), (item, item, item))

    later = DecodedImages(range(3), torch.arange(3), decode).begin([2, 0], 4)
    assert decoded.wait(5)
    assert torch.equal(later()[:, 0, 0, 0] * 255, torch.tensor([2.0, 0.0]))
    asked: list[threading.Thread] = []
    run, get = batches(), TensorImages.get

    def noted(self: TensorImages, *arguments: Any) -> torch.Tensor:
        asked.append(threading.current_thread())
        return get(self, *arguments)

    monkeypatch.setattr(TensorImages, "get", noted)
    run.batch(0)
    run.batch(1)
    assert asked == [threading.current_thread()] * 2


def test_images_in_files_are_decoded_once_where_they_fit() -> None:
    from PIL import Image

    opened: Counter[int] = Counter()

    def decode(item: int) -> Image.Image:
        opened[item] += 1
        return Image.new("RGB", (30, 20), (item, 2 * item, 5))

    images = DecodedImages(range(10), torch.arange(10), decode)
    kept = remembered(images, 8)
    assert isinstance(kept, RememberedImages)
    for _ in range(3):
        assert torch.equal(kept.get([4, 1, 4], 8), images.get([4, 1, 4], 8))
    assert opened[4] == 2 * 3 + 2 and opened[1] == 3 + 1
    assert float(kept.subset([7]).get([0], 8)[0, 1, 0, 0]) == pytest.approx(14 / 255)
    assert kept.get([3], 16).shape == (1, 3, 16, 16)
    assert remembered(images, 20_000) is images
    assert remembered(bundle().train, 8) is not images
