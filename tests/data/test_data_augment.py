"""Augmentation: RandAugment's operations against PIL, randomness from (seed, step) alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from nas.data import randaugment
from nas.data.augment import RECIPES, make_augment
from nas.data.crops import ASPECT, NUMBERS, centre_box, random_box
from nas.data.randaugment import OPERATIONS, rand_augment

LEVEL = 0.35


def picture() -> Image.Image:
    """Smooth colours with some noise, 32×32."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:32, 0:32] / 31
    channels = [60 + 120 * x, 200 - 150 * y, 90 + 80 * x * y]
    noisy = np.stack(channels, -1) + rng.normal(0, 6, (32, 32, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def shifted(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    grey = (128, 128, 128)
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=grey
    )


BRIGHTER = [min(v + int(LEVEL * 110), 255) if v < 128 else v for v in range(256)]
PIL: dict[str, Callable[[Image.Image], Image.Image]] = {
    "_auto_contrast": ImageOps.autocontrast,
    "_invert": ImageOps.invert,
    "_posterize": lambda image: ImageOps.posterize(image, 4 - int(LEVEL * 4)),
    "_solarize": lambda image: ImageOps.solarize(image, 256 - int(LEVEL * 256)),
    "_solarize_add": lambda image: image.point(BRIGHTER * 3),
    "_colour": lambda image: ImageEnhance.Color(image).enhance(1 + 0.9 * LEVEL),
    "_contrast": lambda image: ImageEnhance.Contrast(image).enhance(1 + 0.9 * LEVEL),
    "_brightness": lambda image: ImageEnhance.Brightness(image).enhance(1 + 0.9 * LEVEL),
    "_sharpness": lambda image: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * LEVEL),
    "_equalize": ImageOps.equalize,
    "_rotate": lambda image: image.rotate(-30 * LEVEL, Image.Resampling.BILINEAR, fillcolor=(128, 128, 128)),
    "_shear_x": lambda image: shifted(image, (1, -0.3 * LEVEL, 16 * 0.3 * LEVEL, 0, 1, 0)),
    "_shear_y": lambda image: shifted(image, (1, 0, 0, -0.3 * LEVEL, 1, 16 * 0.3 * LEVEL)),
    "_translate_x": lambda image: shifted(image, (1, 0, -0.45 * LEVEL * 32, 0, 1, 0)),
    "_translate_y": lambda image: shifted(image, (1, 0, 0, 0, 1, -0.45 * LEVEL * 32)),
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda f: f.__name__)
def test_operations_are_pils(operation: randaugment.Operation) -> None:
    image = picture()
    one = torch.ones(1)
    ours = operation(tensor(image), LEVEL * one, one).clamp(0, 1)
    theirs = tensor(PIL[operation.__name__](image))
    difference = (ours - theirs).abs()
    # Warps differ in a frame of a pixel or so; equalising and sharpening differ in how they round.
    warp = operation.__name__ in ("_rotate", "_shear_x", "_shear_y", "_translate_x", "_translate_y")
    assert float(difference.median()) < 2.1 / 255
    assert float(difference.mean()) < (0.02 if warp else 0.01)
    assert float((ours - tensor(image)).abs().mean()) > 2 * float(difference.mean())


def test_every_operation_is_there_once_and_mirrors_its_sign() -> None:
    assert len({f.__name__ for f in OPERATIONS}) == 15 == len(PIL)
    x, level = tensor(picture()), torch.tensor([0.3])
    left, right = (randaugment._translate_x(x, level, torch.tensor([s])) for s in (-1.0, 1.0))
    assert torch.allclose(left[..., 5:20], x[..., 5 + 4 : 20 + 4], atol=0.1)
    assert torch.allclose(right[..., 10:25], x[..., 10 - 4 : 25 - 4], atol=0.1)


def test_rand_augment_changes_about_half_of_the_images() -> None:
    x = tensor(picture()).repeat(600, 1, 1, 1)
    y = rand_augment(x, 5.0, 0.5, np.random.default_rng(0))
    changed = ((y - x).abs().flatten(1).amax(1) > 1e-3).float().mean()
    assert 0.42 < float(changed) < 0.58
    assert float(y.min()) >= 0 and float(y.max()) <= 1
    assert len(torch.unique(y.flatten(1), dim=0)) > 100


@pytest.mark.parametrize("name", ["embedded", "paper"])
def test_a_steps_images_are_a_function_of_seed_and_step_alone(name: str) -> None:
    x = torch.rand(16, 3, 20, 20)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    augment = make_augment(name, 20, mirrored=True, seed=3)
    first = augment(x, 7)
    augment(x, 8)
    torch.rand(5)
    assert torch.equal(make_augment(name, 20, mirrored=True, seed=3)(x, 7), first)
    assert not torch.equal(augment(x, 8), first)
    assert not torch.equal(make_augment(name, 20, mirrored=True, seed=4)(x, 7), first)
    torch.set_rng_state(before)
    augment(x, 9)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002
    assert first.shape == x.shape and first.dtype == x.dtype


def test_mirroring_only_where_labels_allow_it() -> None:
    recipe = make_augment("embedded", 8, mirrored=False, seed=0).recipe
    assert not recipe.mirror and recipe.degrees == RECIPES["embedded"].degrees
    ramp = torch.arange(20.0).expand(64, 1, 20, 20) / 20
    slopes = make_augment("embedded", 20, mirrored=False, seed=0)(ramp, 0).diff(dim=-1).mean((1, 2, 3))
    assert bool((slopes > 0).all())
    slopes = make_augment("embedded", 20, mirrored=True, seed=0)(ramp, 0).diff(dim=-1).mean((1, 2, 3))
    assert 15 < int((slopes < 0).sum()) < 49


def test_erasing_puts_noise_into_its_share_of_images() -> None:
    x = torch.full((4000, 1, 12, 12), 0.5)
    augment = make_augment("paper", 12, mirrored=False, seed=0)
    erased = augment(x, 0)
    # A grey image is changed by half of the operations, never into noise: count the images with many values.
    noisy = torch.tensor([len(torch.unique(image)) > 5 for image in erased])
    assert 20 <= int(noisy.sum()) <= 62
    assert augment(x[:10], 0).shape == (10, 1, 12, 12)


@settings(max_examples=200, deadline=None)
@given(width=st.integers(1, 3000), height=st.integers(1, 3000), seed=st.integers(0, 2**31))
def test_random_boxes_lie_in_the_image(width: int, height: int, seed: int) -> None:
    left, top, right, bottom = random_box(width, height, np.random.default_rng(seed).random(NUMBERS))
    assert 0 <= left < right <= width + 1e-6 and 0 <= top < bottom <= height + 1e-6


def test_random_boxes_have_the_areas_and_aspects_of_the_recipe() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([random_box(1000, 1000, rng.random(NUMBERS)) for _ in range(4000)])
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area, aspect = wide * high / 1e6, wide / high
    assert 0.079 < area.min() < 0.1 and area.max() > 0.97
    assert aspect.min() > ASPECT[0] - 0.01 and aspect.max() < ASPECT[1] + 0.01
    # Large crops of extreme aspect do not fit and are drawn again, which is all that bends the two laws.
    small = area < 0.5
    quantiles = np.quantile(area[small], [0.25, 0.5, 0.75])
    assert np.allclose(quantiles, 0.08 + 0.42 * np.array([0.25, 0.5, 0.75]), atol=0.02)
    assert np.allclose(np.quantile(np.log(aspect[small]), [0.25, 0.75]), np.log(ASPECT) / 2, atol=0.03)
    assert abs(np.corrcoef(boxes[small, 0], boxes[small, 1])[0, 1]) < 0.2
    assert np.allclose(centre_box(320, 256), (48, 16, 272, 240))
