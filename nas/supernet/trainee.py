"""What a trainer trains: a supernet, or the network of one architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from nas.space.batch import Arch
from nas.space.space import Space
from nas.supernet.parallel import Group, batch_norm
from nas.supernet.relaxed import Relaxation, Relaxed
from nas.supernet.thinned import Thinned


class Trainee(nn.Module, ABC):
    """Weights that a `Trainer` trains, one architecture or several.

    Attributes:
        space: of the architectures it runs.
        group: the processes that train it together; batch norms use the batches of all of them.
        relaxation: logits of relaxed architectures, if it has any.
        share: of the training resolution, to which images are resized; see `nas.supernet.course`.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space, self.group = space, Group()
        self.relaxation: Relaxation | None = None
        self.share = 1.0

    @abstractmethod
    def forward(
        self,
        x: Tensor,
        arch: Arch | Relaxed | Thinned,
        momentum: float = 0.1,
        answers: list[Tensor] | None = None,
    ) -> Tensor:
        """Class scores `(B, classes)` of `arch` on images `(B, channels, H, W)`.

        Args:
            momentum: of the statistics of batch norms, in training.
            answers: list that is given the scores of classifier and distilled twin, each alone, where it has both.
        """

    @property
    @abstractmethod
    def full_scale(self) -> float:
        """Training resolution over deployment resolution."""

    @property
    def _together(self) -> Callable[..., Tensor] | None:
        return None if self.group.size == 1 else partial(batch_norm, group=self.group)
