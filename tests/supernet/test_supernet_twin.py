"""A classifier and its distilled twin: one learns from labels, the other from the teacher (DeiT; RepViT)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from supernet_samples import SETTINGS, Images
from torch import Tensor, nn

from nas.space import load_space
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.losses import distilled, soft_cross_entropy
from nas.supernet.single import SingleSampler
from nas.supernet.supernet import Supernet
from nas.supernet.trainer import Trainer

SPACE = """
version: 1
name: twin
input: {resolution: 16, classes: 4}
stages:
  stem: {block: conv_bn, stride: 4, width: 8, act: gelu}
  A: {block: repvit, depth: [1, 2], width: 8, act: gelu}
  head: {block: classifier, norm: batch_norm, distilled: [0, 1]}
"""


@pytest.fixture
def net(tmp_path: Path) -> Supernet:
    """A supernet with networks that have a twin, and others."""
    (tmp_path / "space.yaml").write_text(SPACE)
    return Supernet(load_space(tmp_path / "space.yaml"), seed=0)


def gradients(net: Supernet, twin: int, target: Tensor, taught: Tensor) -> dict[str, Tensor]:
    """Of the head's weights by name."""
    arch = net.space.encode([{"A.depth": 1, "head.distilled": twin}])[0]
    answers: list[Tensor] = []
    net.zero_grad()
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    scores = net.train()(images, arch, answers=answers)
    distilled(scores, answers, target, taught).backward()
    heads = ((name, p.grad) for name, p in net.layers.named_parameters() if "classifier" in name)
    return {name: grad.clone() for name, grad in heads if grad is not None}


def test_the_classifier_learns_from_labels_and_the_twin_from_the_teacher(net: Supernet) -> None:
    labels = [torch.eye(4)[torch.tensor(rows)] for rows in ([0, 1, 2, 3], [3, 3, 3, 3])]
    said = [torch.full((4, 4), 0.25), torch.eye(4)[torch.tensor([2, 2, 2, 2])]]
    base, other_labels, other_teacher = (
        gradients(net, 1, labels[a], said[b]) for a, b in ((0, 0), (1, 0), (0, 1))
    )
    moved = {name: not torch.equal(base[name], other_labels[name]) for name in base}
    taught = {name: not torch.equal(base[name], other_teacher[name]) for name in base}
    of_twin = {name: "distilled" in name for name in base}
    assert set(of_twin.values()) == {True, False}
    assert all(moved[name] == (not of_twin[name]) for name in base), moved
    assert all(taught[name] == of_twin[name] for name in base), taught


def test_without_a_twin_the_teacher_has_half_of_the_loss(net: Supernet) -> None:
    scores, target, said = torch.randn(4, 4), torch.eye(4), torch.full((4, 4), 0.25)
    half = soft_cross_entropy(scores, 0.5 * (target + said))
    assert torch.equal(distilled(scores, [], target, said), half)
    assert torch.equal(distilled(scores, [scores], target, said), half)
    assert torch.equal(distilled(scores, [], target, said, alone=True), soft_cross_entropy(scores, said))
    assert torch.equal(distilled(scores, [scores, scores], target, None), soft_cross_entropy(scores, target))
    with_twin = distilled(scores, [scores, 2 * scores], target, said)
    parts = soft_cross_entropy(scores, target), soft_cross_entropy(2 * scores, said)
    assert torch.allclose(with_twin, (parts[0] + parts[1]) / 2)


class Sure(nn.Module):
    """A teacher that is sure of class 1, whatever it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return 10 * torch.eye(4)[torch.ones(len(x), dtype=torch.long)]


def test_a_twin_that_was_trained_says_what_the_teacher_says(net: Supernet, tmp_path: Path) -> None:
    """And the classifier does not: the labels of these images are of every class."""
    arch = net.space.encode([{"A.depth": 1, "head.distilled": 1}])[0]
    images = Images()
    settings = SETTINGS.model_copy(update={"lr": 0.03, "mix": 0.0})
    folder, sampler = Checkpointer(tmp_path), SingleSampler(arch)
    trained = Trainer(net, images, settings, sampler, seed=0, folder=folder, teachers=[Sure()])
    for _ in trained.steps():
        pass
    answers: list[Tensor] = []
    with torch.no_grad():
        x, labels = images.batch(0)
        trained.supernet.eval()(x, arch, answers=answers)
    own, twin = answers
    sure = twin.softmax(-1)[:, 1].mean() - own.softmax(-1)[:, 1].mean()
    assert sure > 0.1 and len(set(labels.tolist())) > 1
