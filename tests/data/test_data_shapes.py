"""`shapes`: scenes are functions of (seed, index), drawn truly at every side, and mean what their label says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data.load import load_data
from nas.data.rendering import _coverage, _texture, draw_shapes, render
from nas.data.shapes import DIFFICULTIES, OUTLINES, Blobs, Scenes, class_names, make_scenes
from nas.data.shapes_data import ShapesOptions, parse_options
from nas.errors import NasError


def scenes(start: int = 0, count: int = 12, classes: int = 10, difficulty: str = "hard") -> Scenes:
    return make_scenes(start, count, classes=classes, difficulty=difficulty, seed=5, stream=0)  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(start=st.integers(0, 10_000), count=st.integers(1, 5), offset=st.integers(0, 4))
def test_a_scene_does_not_depend_on_the_range_it_is_drawn_in(start: int, count: int, offset: int) -> None:
    part, whole = scenes(start + offset, count), scenes(start, count + offset)
    assert torch.equal(part.labels, whole.labels[offset:])
    assert torch.equal(render(part, 16), render(whole, 16)[offset:])


def test_seeds_and_streams_give_other_images() -> None:
    def draw(seed: int, stream: int) -> torch.Tensor:
        return draw_shapes(8, 12, classes=10, difficulty="easy", seed=seed, stream=stream)[0]

    assert torch.equal(draw(0, 0), draw(0, 0))
    assert not torch.equal(draw(0, 0), draw(1, 0)) and not torch.equal(draw(0, 0), draw(0, 1))
    assert torch.equal(draw(0, 0)[:3], draw_shapes(3, 12, classes=10, difficulty="easy", seed=0, stream=0)[0])


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("side", [16, 32])
def test_drawing_equals_averaging_a_sixteen_times_finer_drawing(difficulty: str, side: int) -> None:
    drawn = scenes(count=16, difficulty=difficulty)
    fine = F.avg_pool2d(render(drawn, 16 * side), 16)
    error = (render(drawn, side) - fine).abs()
    assert float(error.mean()) < (0.013 if side == 16 else 0.005)
    # Sampling the fine picture at the pixels' centres, which is what aliasing is, is over three times worse.
    aliased = (render(drawn, 16 * side)[:, :, 8::16, 8::16] - fine).abs()
    assert float(error.mean()) < 0.3 * float(aliased.mean())


def test_the_label_counts_the_lobes_and_gratings_of_the_larger_blob() -> None:
    side, drawn = 256, scenes(count=40, classes=20)
    middle = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    inside = _coverage(drawn.larger, x, y, side)
    assert bool((inside.sum((1, 2)) > _coverage(drawn.smaller, x, y, side).sum((1, 2))).all())
    texture = _texture(drawn.larger, x, y, side)
    window = torch.hann_window(side)[:, None] * torch.hann_window(side)
    spectrum = torch.fft.rfft2(texture * window).abs()
    names = class_names(20)
    angles = torch.linspace(0, 2 * torch.pi, 721)[:-1]
    for index, label in enumerate(drawn.labels.tolist()):
        blob = Blobs(**{name: value[index : index + 1] for name, value in vars(drawn.larger).items()})
        radius = blob.radius / 1.35  # the outline's mean radius: each lobe crosses it twice
        ring = _coverage(blob, blob.x + radius * angles.cos(), blob.y + radius * angles.sin(), 4096)[0] > 0.5
        lobes = int((ring != ring.roll(1)).sum()) // 2
        strong = (
            spectrum[index] > 0.4 * spectrum[index].max() if spectrum[index].max() > 1 else torch.zeros(1)
        )
        gratings = _peaks(strong.numpy())
        kind = {0: "plain", 1: "stripes", 2: "plaid", 3: "triangles"}[gratings]
        assert names[label] == f"{lobes} lobes, {kind}"


def _peaks(mask: np.ndarray) -> int:
    """Connected areas in half a spectrum, whose first axis wraps round; mirrored pairs count once."""
    from scipy.ndimage import label

    if mask.ndim < 2:
        return 0
    rolled = np.fft.fftshift(mask, axes=0)
    full = np.concatenate([np.roll(rolled[::-1, :0:-1], 1, axis=0), rolled], axis=1)
    _, count = label(full, structure=np.ones((3, 3)))
    return count // 2


def test_every_class_appears_equally_often() -> None:
    labels = make_scenes(0, 20_000, classes=10, difficulty="easy", seed=0, stream=0).labels
    counts = labels.bincount(minlength=10).double()
    chi_square = float(((counts - 2000) ** 2 / 2000).sum())
    assert chi_square < 27.9  # 99.9 % of 9 degrees of freedom
    assert len(set(class_names(20))) == 20
    assert class_names(3) == ("3 lobes, stripes", "4 lobes, stripes", "5 lobes, stripes")
    assert all(name.split()[0] in map(str, OUTLINES) for name in class_names(17))


def test_fine_texture_is_lost_at_low_resolution_and_not_at_high() -> None:
    """The contrast that is left inside the larger blob, against an image of the same scene at 64 pixels."""
    drawn = scenes(count=64, classes=5)

    def contrast(side: int) -> float:
        middle = (torch.arange(side) + 0.5) / side
        y, x = torch.meshgrid(middle, middle, indexing="ij")
        return float(_texture(drawn.larger, x, y, side).std())

    assert contrast(32) > 0.85 * contrast(64)
    assert contrast(12) < 0.7 * contrast(64)


def test_as_a_data_set() -> None:
    data = load_data("shapes:size=300,test=50,classes=5,difficulty=medium", side=20, search_share=0.2, seed=0)
    assert data.classes == 5 and data.mirrored
    assert (len(data.train.labels), len(data.test.labels)) == (300 - len(data.search.labels), 50)
    assert len(data.search.labels) == pytest.approx(60, abs=5)
    images = data.train.get([0, 5], 20)
    assert images.shape == (2, 3, 20, 20) and images.dtype == torch.float32
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    other = load_data(data.name, side=20, search_share=0.2, seed=1)
    assert torch.equal(data.test.get(range(50), 20), other.test.get(range(50), 20))
    assert not torch.equal(data.search.get([0, 1, 2], 20), other.search.get([0, 1, 2], 20))


def test_options() -> None:
    assert parse_options("") == ShapesOptions()
    assert parse_options("size=10, difficulty=hard,seed=3") == ShapesOptions(
        size=10, difficulty="hard", seed=3
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sise=10", "Did you mean 'size'"),
        ("size", "size=VALUE"),
        ("size=ten", "whole number"),
        ("size=0", "whole number"),
        ("classes=21", "2..20"),
        ("classes=1", "2..20"),
        ("difficulty=heard", "Did you mean 'hard'"),
    ],
)
def test_wrong_options(text: str, message: str) -> None:
    with pytest.raises(NasError, match=message.replace(".", r"\.")):
        parse_options(text)
