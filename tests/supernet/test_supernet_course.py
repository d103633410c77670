"""Images whose size and augmentation change over a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from supernet_samples import SETTINGS, Images, shaken, tiny, trainer

from nas.data.augment import make_augment
from nas.errors import NasError
from nas.settings import ProgressiveSettings, TrainSettings, make_settings
from nas.space import load_space
from nas.supernet.course import Course
from nas.supernet.network import build
from nas.supernet.single import Single

GROWING = SETTINGS.model_copy(update={"progressive": ProgressiveSettings(phases=3, share=0.5, strength=0.4)})
DRAWN = SETTINGS.model_copy(update={"shares": [0.5, 0.75, 1.0]})


@pytest.mark.parametrize(
    ("share", "last", "published"), [(0.57, 300, [171, 214, 257, 300]), (0.5, 384, [192, 256, 320, 384])]
)
def test_sizes_are_those_of_the_published_code(share: float, last: int, published: list[int]) -> None:
    """EfficientNetV2 S, and M and L, in four phases; RandAugment of S goes from 5 to 10 in equal steps."""
    settings = TrainSettings(mix=0.2, progressive=ProgressiveSettings(phases=4, share=share, strength=0.5))
    moments = [Course(settings, 100, 0)(step) for step in (0, 25, 50, 99)]
    assert [round(last * moment.share) for moment in moments] == published
    assert [10 * moment.strength for moment in moments] == pytest.approx(np.linspace(5, 10, 4))
    assert [moment.mix for moment in moments] == pytest.approx(np.linspace(0, 0.2, 4))


def test_random_sizes_are_drawn_by_step_and_seed() -> None:
    course = Course(DRAWN, 300, 5)
    shares = [course(step).share for step in range(300)]
    assert shares == [Course(DRAWN, 999, 5)(step).share for step in range(300)]
    assert shares != [Course(DRAWN, 300, 6)(step).share for step in range(300)]
    assert all(70 < shares.count(share) < 130 for share in (0.5, 0.75, 1.0))


@pytest.mark.parametrize("settings", [GROWING, DRAWN])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    tmp_path: Path, settings: TrainSettings
) -> None:
    space = tiny(tmp_path)
    whole = trainer(space, tmp_path / "whole", Images(), settings)
    sides = []
    for _ in whole.steps():
        assert whole.supernet.share == 1.0
    half = trainer(space, tmp_path / "half", Images(), settings)
    for report in half.steps():
        sides.append(half.course(report.step).share)
        if report.step == 5:
            break
    again = trainer(space, tmp_path / "half", Images(), settings)
    assert again.resume() and again.step == 4
    for _ in again.steps():
        pass
    assert len(set(sides)) > 1
    for name, weight in whole.supernet.state_dict().items():
        assert torch.equal(weight, again.supernet.state_dict()[name]), name


def test_a_smaller_share_is_the_same_network_for_smaller_images(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    arch = space.sample(1, seed=3)[0]
    net, half = shaken(space), shaken(space, scale=0.5)
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for name, weight in half.state_dict().items():
        whole = net.state_dict()[name]
        middle = [(big - small) // 2 for small, big in zip(weight.shape, whole.shape)]
        weight.copy_(whole[tuple(slice(at, at + size) for at, size in zip(middle, weight.shape))])
    with torch.no_grad():
        expected = half(images, arch)
        net.share = 0.5
        torch.testing.assert_close(net(images, arch), expected, rtol=1e-12, atol=1e-12)
        alone = Single(space, arch, build(space, arch, seed=0))
        assert alone.full_scale == 1.0
        alone.share = 0.5
        smaller = build(space, arch, seed=0, scale=0.5).train(False)
        names = dict(alone.network.state_dict())
        for name, weight in smaller.state_dict().items():
            offsets = [(b - s) // 2 for s, b in zip(weight.shape, names[name].shape)]
            weight.copy_(names[name][tuple(slice(o, o + s) for o, s in zip(offsets, weight.shape))])
        answer = alone.eval()(images.float(), arch)
        torch.testing.assert_close(answer, smaller(images.float()), rtol=1e-5, atol=1e-6)


def test_augmentation_is_weakened_in_proportion() -> None:
    augment = make_augment("embedded", 8, mirrored=False, seed=0)
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    far, near = (augment(images, 3, strength) - images for strength in (1.0, 0.2))
    assert near.abs().mean() < 0.5 * far.abs().mean()
    assert torch.allclose(augment(images, 3, 0.0), images, atol=1e-5)
    recipe = make_augment("paper", 8, mirrored=True, seed=0).recipe.weakened(0.5)
    assert (recipe.magnitude, recipe.crop, recipe.mirror) == (0.5, True, True)


def test_images_too_small_for_a_network_are_refused_before_training(tmp_path: Path) -> None:
    path = tmp_path / "hiera.yaml"
    path.write_text(
        "version: 1\nname: small\ninput: {resolution: 32, classes: 4}\nstages:\n"
        "  embed: {block: patch_embed, stride: 4, kernel: 7, width: 8}\n"
        "  unroll: {block: unroll, span: 4, mask_unit: 4}\n"
        "  S1: {block: hiera, width: 8, heads: [1, 2]}\n  head: {block: mean_head}\n"
    )

    settings = SETTINGS.model_copy(update={"shares": [1.0, 0.3]})
    with pytest.raises(NasError, match=r"train\.shares: at 0\.3 of the training resolution"):
        Course(settings, 10, 0).check(load_space(path), 1.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"shares": [0.1, 1.0]},
            "train.shares: at 0.1 of the training resolution .* 2×2 pixels; 4 are the least",
        ),
        (
            {"progressive": ProgressiveSettings(phases=4, share=0.1)},
            "train.progressive.share: at 0.1 of .* 2×2",
        ),
        (
            {"progressive": ProgressiveSettings(phases=4), "shares": [0.5]},
            "both say which size images have; set one of them",
        ),
        ({"progressive": ProgressiveSettings(phases=900)}, "phases is 900; only 12 steps are trained"),
    ],
)
def test_courses_that_cannot_be_are_refused(settings: dict[str, object], said: str, tmp_path: Path) -> None:
    course = Course(TrainSettings(**settings), 12, 0)  # type: ignore[arg-type]
    with pytest.raises(NasError, match=said):
        course.check(tiny(tmp_path), 1.0)


def test_a_list_of_numbers_is_asked_for_in_words() -> None:
    for wrong in ("0.5", "[0]", "[0.5, 1.2]", "[a]", "[true]"):
        with pytest.raises(NasError, match=r"a list of numbers above 0\.01 to 1 is needed"):
            make_settings("embedded", (), [f"train.shares={wrong}"])
