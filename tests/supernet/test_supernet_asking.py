"""Teachers that cannot teach: a sentence each, whoever asks them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from supernet_samples import SETTINGS, Images, tiny
from torch import Tensor, nn

from nas.errors import NasError
from nas.supernet.asking import asked
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.single import SingleSampler
from nas.supernet.stored_logits import About, LogitWriter
from nas.supernet.supernet import Supernet
from nas.supernet.trainer import Trainer
from nas.weights.files import tensors_digest


class Says(nn.Module):
    """A teacher that answers by a function."""

    def __init__(self, answer: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> object:
        return self.answer(x)


WRONG: dict[str, tuple[Callable[[Tensor], object], str]] = {
    "another size": (
        lambda x: nn.functional.linear(x.flatten(1), torch.ones(4, 10)),
        r"cannot take images of 3×16×16, .*RuntimeError: .*train\.resolution_scale",
    ),
    "a dictionary": (
        lambda x: {"scores": x},
        r"answers with a dict; class scores, a tensor of shape \(8, 4\)",
    ),
    "other classes": (lambda x: x.new_zeros(len(x), 7), "tells 7 classes apart, the data have 4"),
    "a map": (lambda x: x, r"answers with a tensor of shape \(8, 3, 16, 16\)"),
    "nothing finite": (lambda x: x.new_full((len(x), 4), torch.nan), "does not answer with finite numbers"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_teacher_that_cannot_teach_is_refused(name: str, tmp_path: Path) -> None:
    answer, said = WRONG[name]
    with pytest.raises(NasError, match=f"the teacher 'it' {said}"):
        asked(Says(answer), torch.zeros(8, 3, 16, 16), 4, "'it'")
    space = tiny(tmp_path)
    net, sampler = Supernet(space, 4, seed=0), SingleSampler(space.sample(1, seed=0)[0])
    folder, teachers = Checkpointer(tmp_path / "run"), [Says(answer)]
    run = Trainer(net, Images(), SETTINGS, sampler, seed=0, folder=folder, teachers=teachers)
    with pytest.raises(NasError, match=f"the teacher '1 of this training' {said}"):
        list(run.steps())


def test_scores_of_a_teacher_are_handed_on() -> None:
    scores = torch.randn(8, 4)
    assert asked(Says(lambda x: scores), torch.zeros(8, 3, 2, 2), 4, "it") is scores


def test_what_a_teacher_with_other_weights_said_is_not_taken_for_its_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(2, 3), nn.Linear(2, 3)
    hashes = [tensors_digest(teacher.state_dict()) for teacher in (first, second, first)]
    assert hashes[0] == hashes[2] != hashes[1]
    facts = {"identity": {}, "teachers": ["a"], "classes": 3, "top": 1, "batch": 2, "steps": 1, "done": 0}
    LogitWriter(tmp_path / "said", About(**facts, weights=hashes[:1]))
    LogitWriter(tmp_path / "said", About(**facts, weights=hashes[:1]))
    with pytest.raises(NasError, match="when they had other weights; give another folder, or delete it"):
        LogitWriter(tmp_path / "said", About(**facts, weights=hashes[1:2]))
