"""Augmentations: what is drawn comes from (seed, step) alone, the pixel work is kornia's, on any device.

kornia's own random modules draw from PyTorch's global generator. Here its functions are used instead, with
parameters from a numpy generator of the step, so that nothing global is read or changed, a resumed run sees
the images it would have seen, and the CPU and the GPU see the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.data.crops import NUMBERS
from nas.data.randaugment import rand_augment

ERASE_AREA = (0.02, 1 / 3)
ERASE_ASPECT = (0.3, 1 / 0.3)


@dataclass(frozen=True)
class Recipe:
    """A set of augmentations; zero leaves one out.

    Attributes:
        crop: resized crops of 8 to 100 % of the area, at decoding.
        mirror: mirror half of the images.
        degrees, shift, zoom: largest turn, shift (of the side) and change of scale, of every image.
        magnitude, spread: RandAugment's magnitude of 10 and its standard deviation, one operation per image.
        erase: share of images with a rectangle of noise.
    """

    crop: bool = False
    mirror: bool = False
    degrees: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    magnitude: float = 0.0
    spread: float = 0.0
    erase: float = 0.0

    def weakened(self, strength: float) -> Recipe:
        """A share of it: of turns, shifts, scales, RandAugment's magnitude and erased images."""
        if strength == 1:
            return self
        names = ("degrees", "shift", "zoom", "magnitude", "erase")
        return replace(self, **{name: strength * getattr(self, name) for name in names})


RECIPES = {
    "none": Recipe(),
    "embedded": Recipe(mirror=True, degrees=8.0, shift=0.06, zoom=0.1),
    "paper": Recipe(crop=True, mirror=True, magnitude=1.0, spread=0.5, erase=0.01),
}


@dataclass(frozen=True)
class Augment:
    """Augmentation of training batches.

    Attributes:
        recipe: what to do. `mirror` holds only where labels survive it.
        seed: of the run.
    """

    recipe: Recipe
    seed: int

    def crops(self, step: int, count: int) -> NDArray[np.float64] | None:
        """Uniform numbers `(count, 40)` for `Images.get` to crop by; None: no random crops."""
        if not self.recipe.crop:
            return None
        return np.random.default_rng([self.seed, 14, step]).random((count, NUMBERS))

    @torch.no_grad()
    def __call__(self, images: Tensor, step: int, strength: float = 1.0) -> Tensor:
        """Augment the images `(B, C, H, W)` in 0..1 of a step; erased rectangles may leave that range."""
        recipe, rng = self.recipe.weakened(strength), np.random.default_rng([self.seed, 15, step])
        if recipe.mirror:
            flip = torch.from_numpy(rng.random(len(images)) < 0.5).to(images.device)
            images = torch.where(flip[:, None, None, None], images.flip(-1), images)
        if recipe.degrees or recipe.shift or recipe.zoom:
            images = _moved(images, recipe, rng)
        if recipe.magnitude:
            images = rand_augment(images, recipe.magnitude, recipe.spread, rng)
        if recipe.erase:
            images = _erased(images, recipe.erase, rng)
        return images


def make_augment(name: str, side: int, *, mirrored: bool, seed: int) -> Augment:
    """Augmentation by name.

    Args:
        name: `none`; `embedded`: turns, shifts and scales by little, mirrors where labels allow it; `paper`:
            ElasticViT's (fact sheet §5): resized crops, mirroring, RandAugment `n1-m1-mstd0.5-inc1`, erasing of
            1 % of the images. Its colour jitter of 0.4 is configured there but inactive: timm leaves it out
            beside RandAugment. Mixup and cutmix are `nas.supernet.mixing`.
        side: of the images, in pixels.
        mirrored: whether a mirrored image keeps its label.
    """
    recipe = RECIPES[name]
    return Augment(Recipe(**{**vars(recipe), "mirror": recipe.mirror and mirrored}), seed)


def _moved(images: Tensor, recipe: Recipe, rng: np.random.Generator) -> Tensor:
    from kornia.geometry.transform import get_affine_matrix2d, warp_affine

    count, side = len(images), images.shape[-1]
    numbers = torch.from_numpy(2 * rng.random((count, 4)).astype(np.float32) - 1).to(images.device)
    scale = (1 + recipe.zoom * numbers[:, :1]).expand(-1, 2)
    centre = torch.full_like(scale, (side - 1) / 2)
    matrix = get_affine_matrix2d(
        recipe.shift * side * numbers[:, 1:3], centre, scale, recipe.degrees * numbers[:, 3]
    )
    moved: Tensor = warp_affine(images, matrix[:, :2], images.shape[-2:], padding_mode="border")
    return moved


def _erased(images: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Random erasing (Zhong et al. 2017) with noise of the normalised images' scale, as timm's `pixel` mode."""
    height, width = images.shape[-2:]
    chosen = np.flatnonzero(rng.random(len(images)) < share)
    if not len(chosen):
        return images
    images = images.clone()
    for index in chosen:
        area = height * width * rng.uniform(*ERASE_AREA)
        aspect = np.exp(rng.uniform(*np.log(ERASE_ASPECT)))
        rows = int(np.clip(round(np.sqrt(area * aspect)), 1, height))
        columns = int(np.clip(round(np.sqrt(area / aspect)), 1, width))
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        noise = 0.5 + 0.25 * rng.standard_normal((images.shape[1], rows, columns)).astype(np.float32)
        images[index, :, top : top + rows, left : left + columns] = torch.from_numpy(noise).to(images)
    return images
