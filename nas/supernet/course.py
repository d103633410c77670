"""How images change over a training: sizes that grow, or are drawn anew, and augmentation that grows with them.

* Progressive learning (EfficientNetV2, arXiv 2104.00298, §4.2): a training in phases; image size and regularisation go
  linearly from those of the first phase to those of the last.
* Random sizes (EfficientViT's published recipe, arXiv 2205.14756): one of a few sizes for each step.

A share of 1 is the training resolution. Both are functions of step and seed alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.errors import NasError
from nas.settings import TrainSettings
from nas.space.space import Space
from nas.supernet.network import layers_of

_TRIED = 8
LEAST_SIDE = 4  # pixels: below, nothing is left of what an image shows


@dataclass(frozen=True)
class Moment:
    """How a step sees its images.

    Attributes:
        share: of the training resolution, 0 < share ≤ 1.
        strength: of augmentation, as a share of the recipe's.
        mix: strength of mixup and cutmix.
    """

    share: float
    strength: float
    mix: float


@dataclass(frozen=True)
class Course:
    """The moments of a training.

    Args:
        settings: of the training.
        total: its steps.
        seed: of the sizes that are drawn.
    """

    settings: TrainSettings
    total: int
    seed: int

    def __call__(self, step: int) -> Moment:
        progressive, mix = self.settings.progressive, self.settings.mix
        if progressive.phases > 1:
            done = self.phase(step) / (progressive.phases - 1)
            return Moment(
                _between(progressive.share, done),
                _between(progressive.strength, done),
                mix * _between(progressive.mix, done),
            )
        if self.settings.shares:
            rng = np.random.default_rng([self.seed, 16, step])
            return Moment(float(rng.choice(self.settings.shares)), 1.0, mix)
        return Moment(1.0, 1.0, mix)

    def phase(self, step: int) -> int:
        """The phase of a step, from 0."""
        phases = self.settings.progressive.phases
        return min(step * phases // max(self.total, 1), phases - 1)

    def check(self, space: Space, scale: float) -> None:
        """Refuse sizes of images that leave nothing to see, or at which the space's networks cannot be built.

        Raises:
            NasError: names the setting and the size.
        """
        progressive = self.settings.progressive
        if progressive.phases > 1 and self.settings.shares:
            raise NasError(
                "train.progressive.phases and train.shares both say which size images have; set one of them: phases to "
                "1, or shares to []."
            )
        if progressive.phases > max(self.total, 1):
            raise NasError(
                f"train.progressive.phases is {progressive.phases:,}; only {self.total:,} steps are trained."
            )
        steps = [phase * self.total // progressive.phases for phase in range(progressive.phases)]
        shares = {self(step).share for step in steps} if progressive.phases > 1 else {*self.settings.shares}
        where = "train.progressive.share" if progressive.phases > 1 else "train.shares"
        for share in sorted(shares):
            for arch in space.sample(_TRIED, seed=0):
                try:
                    first = layers_of(space.lower(arch, scale=scale * share))[0].inputs[0]
                    if min(first.h, first.w) < LEAST_SIDE:
                        raise NasError(
                            f"images would have {first.h}×{first.w} pixels; {LEAST_SIDE} are the least."
                        )
                except NasError as error:
                    raise NasError(
                        f"{where}: at {share:g} of the training resolution a network cannot be built: {error}"
                    ) from None


def _between(first: float, done: float) -> float:
    """From `first` to 1."""
    return first + (1 - first) * done
