"""Relaxed architectures: mixtures, gradients of logits, importance, and training with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from relaxed_samples import arch, largest, operators, shaken
from supernet_samples import SETTINGS, Images, tiny

from nas.errors import NasError
from nas.settings import RelaxedSettings, TrainSettings
from nas.space import Space
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.expected_latency import ExpectedLatency
from nas.supernet.relaxed import Relaxed
from nas.supernet.sampling.relaxed import RelaxedSampler
from nas.supernet.supernet import Supernet
from nas.supernet.trainer import Trainer

CERTAIN = 1e4
LETTERS = {"-": 0, "4": 1, "3": 2}


def _certain(a: str, b: str) -> dict[str, np.ndarray]:
    """Noise that leaves no doubt which block each position runs."""
    noise = {"A": np.zeros((3, 2)), "B": np.zeros((4, 3))}
    for stage, letters in (("A", a), ("B", b)):
        for position, letter in enumerate(letters):
            noise[stage][position, LETTERS[letter]] = CERTAIN
    return noise


def _quiet() -> dict[str, np.ndarray]:
    return {"A": np.zeros((3, 2)), "B": np.zeros((4, 3))}


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(("a", "b"), [("444", "4444"), ("444", "4433"), ("44-", "3333"), ("4--", "43--")])
def test_a_certain_mixture_is_the_architecture(a: str, b: str, hard: bool, tmp_path: Path) -> None:
    space = operators(tmp_path)
    net = shaken(space)
    chosen = arch(space, a, b, 4, 12)
    images = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        mixed = net(images, Relaxed(chosen, _certain(a, b), 0.7, hard))
        assert torch.allclose(mixed, net(images, chosen), atol=1e-10)


def test_a_mixture_is_the_weighted_sum_of_its_blocks(tmp_path: Path) -> None:
    """One doubtful position in front of the classifier, where the network is linear in its weights."""
    space = operators(tmp_path)
    net = shaken(space).train()
    noise = _certain("444", "4444")
    noise["B"][3] = [0.3, -0.2, 0.9]
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    seen: list[torch.Tensor] = []
    net.layers["head_0_dual_head"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        net(images, Relaxed(largest(space), noise, 0.5))
        for letters in ("444-", "4444", "4443"):
            net(images, Relaxed(largest(space), _certain("444", letters), 0.5))
    logits = net.relaxation.logits["B"][3].detach() + torch.tensor(noise["B"][3])  # type: ignore[union-attr]
    weights = (logits / 0.5).softmax(-1)
    assert torch.allclose(seen[0], sum(w * y for w, y in zip(weights, seen[1:])), atol=1e-10)


def test_gradients_of_logits_are_those_of_finite_differences(tmp_path: Path) -> None:
    space = operators(tmp_path)
    net = shaken(space)
    noise = {stage: np.random.default_rng(0).gumbel(size=n.shape) for stage, n in _quiet().items()}
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    logits = net.relaxation.logits["B"]  # type: ignore[union-attr]

    def loss() -> torch.Tensor:
        return net(images, Relaxed(largest(space), noise, 1.3)).square().sum()

    loss().backward()
    with torch.no_grad():
        for index in ((0, 0), (2, 1), (3, 2)):
            logits[index] += 1e-5
            above = loss()
            logits[index] -= 2e-5
            below = loss()
            logits[index] += 1e-5
            assert float(logits.grad[index]) == pytest.approx(float((above - below) / 2e-5), rel=1e-4)


def test_hard_mode_runs_one_block_with_the_soft_gradient(tmp_path: Path) -> None:
    relaxation = shaken(operators(tmp_path)).relaxation
    assert relaxation is not None
    noise = {stage: np.random.default_rng(1).gumbel(size=n.shape) for stage, n in _quiet().items()}
    soft, hard = (
        relaxation.weights(Relaxed(None, noise, 0.8, mode))["B"]  # type: ignore[arg-type]
        for mode in (False, True)
    )
    assert torch.allclose(hard, torch.nn.functional.one_hot(soft.argmax(-1), 3).double())
    direction = torch.randn(4, 3, dtype=torch.float64)
    (a,) = torch.autograd.grad((soft * direction).sum(), relaxation.logits["B"])
    (b,) = torch.autograd.grad((hard * direction).sum(), relaxation.logits["B"])
    assert torch.allclose(a, b)


def test_importance_and_the_bound_on_identity(tmp_path: Path) -> None:
    relaxation = shaken(operators(tmp_path)).relaxation
    assert relaxation is not None
    relaxation.temperature.fill_(0.5)
    p = relaxation.probabilities()["B"].detach()
    expected = (p[:, 1] + p[:, 2]) / p[:, 0]
    assert relaxation.importance()["B"] == pytest.approx(expected.tolist())
    with torch.no_grad():
        relaxation.logits["B"][1, 0] = 40.0
    before = relaxation.logits["B"].detach().clone()
    relaxation.hold_back_identity(0.9)
    after = relaxation.probabilities()["B"].detach()
    assert float(after[1, 0]) == pytest.approx(0.9)
    changed = (relaxation.logits["B"].detach() != before).nonzero().tolist()
    assert changed == [[1, 0]]


def test_ranked_positions_keep_the_important_ones(tmp_path: Path) -> None:
    space = operators(tmp_path)
    net = shaken(space)
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        net.relaxation.logits["B"][:, 0] = torch.tensor([0.0, 5.0, -5.0, 2.0])  # type: ignore[union-attr]
        net.relaxation.logits["A"][:, 0] = torch.tensor([9.0, 0.0, 1.0])  # type: ignore[union-attr]
        whole = net(images, largest(space))
        inner = net(images, Relaxed(largest(space), _certain("-4-", "4-4-"), 1.0))
        net.rank_positions()
        assert torch.equal(net(images, largest(space)), whole)
        small = arch(space, "4--", "44--")
        assert torch.allclose(net(images, small), inner, atol=1e-10)
        assert torch.allclose(net.extract(small)(images), inner, atol=1e-10)


def test_a_loaded_supernet_is_the_saved_one(tmp_path: Path) -> None:
    space = operators(tmp_path)
    net = shaken(space)
    net.rank_positions()
    again = Supernet.loaded(space, 4, 0.5, net.state_dict()).eval()
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        small = arch(space, "44-", "43--")
        assert torch.equal(again(images, small), net(images, small))
    assert not any(parameter.requires_grad for parameter in again.parameters())


def _trainer(space: Space, folder: Path, **relaxed: object) -> Trainer:
    settings = SETTINGS.model_copy(
        update={"conflict_every": 0, "relaxed": RelaxedSettings(**relaxed)}  # type: ignore[arg-type]
    )
    sampler = RelaxedSampler(space, 2, np.random.default_rng(1), settings.relaxed)
    latency = ExpectedLatency(space, _times, sampler.largest) if settings.relaxed.latency else None
    net = Supernet(space, 4, resolution_scale=0.5, relaxed=True)
    return Trainer(net, Images(), settings, sampler, seed=3, folder=Checkpointer(folder), latency=latency)


class _Took:
    def __init__(self, ms: np.ndarray) -> None:
        self.ms = ms


def _times(kind: str, sizes: dict[str, np.ndarray]) -> _Took:
    per = {"mb4d": 2.0, "mb3d": 5.0, "to_tokens": 0.25, "to_map": 0.5}
    return _Took(per.get(kind, 1.0) * np.asarray(sizes.get("channels", sizes.get("cout"))) / 4.0)


@pytest.mark.parametrize("kind", [{"noise": "uniform", "mode": "hard"}, {"widths": "all", "latency": 0.5}])
def test_resumed_relaxed_training_is_the_uninterrupted_one(kind: dict[str, object], tmp_path: Path) -> None:
    space = operators(tmp_path)
    whole = _trainer(space, tmp_path / "whole", **kind)
    losses = [report.loss for report in whole.steps()]
    assert np.isfinite(losses).all()
    begun = _trainer(space, tmp_path / "begun", **kind)
    steps = begun.steps()
    first = [next(steps).loss for _ in range(9)]
    resumed = _trainer(space, tmp_path / "begun", **kind)
    assert resumed.resume() and resumed.step == 8
    rest = [report.loss for report in resumed.steps()]
    assert first[:8] + rest == losses
    for name, value in whole.supernet.state_dict().items():
        assert torch.equal(value, resumed.supernet.state_dict()[name]), name


def test_logits_wait_then_move_without_decay(tmp_path: Path) -> None:
    trainer = _trainer(
        operators(tmp_path), tmp_path, warmup=0.5, lr=0.05, temperature=2.0, final_temperature=0.5
    )
    logits = trainer.supernet.relaxation.logits  # type: ignore[union-attr]
    group = trainer.optimizer.param_groups[-1]
    assert {id(p) for p in group["params"]} == {id(p) for p in logits.values()}
    assert group["weight_decay"] == 0.0
    moved = [max(float(v.detach().abs().max()) for v in logits.values()) for _ in trainer.steps()]
    assert moved[:6] == [0.0] * 6 and min(moved[6:]) > 0
    assert float(trainer.supernet.relaxation.temperature) == pytest.approx(0.5)  # type: ignore[union-attr]


def test_expected_latency_is_the_sum_over_all_networks(tmp_path: Path) -> None:
    """Σ p·t by enumeration of one position, and its gradient pulls towards cheap blocks."""
    space = operators(tmp_path)
    latency = ExpectedLatency(space, _times, largest(space))
    narrow = arch(space, "444", "4444", 4, 8)
    times = latency.times(narrow)
    assert times["A"].tolist() == [[0.0, 2.0]] * 3
    assert times["B"].tolist() == [[0.0, 4.0, 10.0 + 0.5 + 1.0]] * 4
    assert latency.whole == pytest.approx(3 * 4.0 + 4 * (20.0 + 1.0 + 2.0))
    relaxation = shaken(space).relaxation
    assert relaxation is not None
    p = {stage: q.detach().numpy() for stage, q in relaxation.probabilities().items()}
    expected = sum((p[stage] * times[stage]).sum() for stage in p) / latency.whole
    value = latency(relaxation, narrow)
    assert value.item() == pytest.approx(expected)
    value.backward()
    assert (relaxation.logits["B"].grad[:, 2] > 0).all() and (relaxation.logits["B"].grad[:, 0] < 0).all()


def test_a_weight_on_latency_makes_identity_likelier(tmp_path: Path) -> None:
    space = operators(tmp_path)
    found = []
    for weight in (0.0, 50.0):
        trainer = _trainer(space, tmp_path / f"{weight}", warmup=0.0, lr=0.1, latency=weight)
        list(trainer.steps())
        found.append(trainer.supernet.relaxation.identity())  # type: ignore[union-attr]
    assert found[1] > found[0] + 0.05


def test_what_relaxed_training_needs(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    with pytest.raises(NasError, match="nothing to relax"):
        Supernet(space, 4, relaxed=True)
    with pytest.raises(NasError, match="nothing to relax"):
        RelaxedSampler(space, 1, np.random.default_rng(0), TrainSettings().relaxed)
    space = operators(tmp_path)
    with pytest.raises(NasError, match="with logits"):
        Supernet(space, 4)(torch.zeros(1, 3, 32, 32), Relaxed(largest(space), _quiet(), 1.0))
    sampler = RelaxedSampler(
        space, 1, np.random.default_rng(0), RelaxedSettings(temperature=4, final_temperature=1)
    )
    assert [sampler.temperature(step, 3) for step in range(3)] == pytest.approx([4.0, 2.0, 1.0])
