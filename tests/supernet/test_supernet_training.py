"""Losses, clipping, averaging, schedule, guard, checkpoints, and the trainer that ties them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from supernet_samples import SETTINGS, Images, tiny, trainer

from nas.errors import NasError
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.clipping import clip_adaptively
from nas.supernet.ema import Average
from nas.supernet.guard import Guard
from nas.supernet.losses import adaptive_alpha_divergence, soft_cross_entropy, teacher_target
from nas.supernet.mixing import labels_to_targets, mix
from nas.supernet.optim import parameter_groups
from nas.supernet.schedule import Cosine
from nas.supernet.supernet import Supernet


def _alpha(q: torch.Tensor, p: torch.Tensor, alpha: float, clip: float = 5.0) -> torch.Tensor:
    """D_α as the fact sheet writes it, per sample."""
    r = p / q
    if alpha == 1.0:
        return (q * r * r.log()).sum(-1)
    return (q * (r**alpha).clamp(0, clip) - q).sum(-1) / (alpha * (alpha - 1))


def test_alpha_divergence_is_the_fact_sheets_formula() -> None:
    torch.manual_seed(0)
    scores = (3 * torch.randn(40, 6, dtype=torch.float64)).requires_grad_()
    p = (2 * torch.randn(40, 6, dtype=torch.float64)).softmax(-1)
    q = scores.detach().softmax(-1)
    low, high = _alpha(q, p, -1.0), _alpha(q, p, 1.0)
    assert 0 < int((low > high).sum()) < 40
    r, log_q = p / q, scores.log_softmax(-1)
    rho_low = (1 / r).clamp(0, 5) / -1 + 1 / 2
    expected = torch.where(low > high, -(q * rho_low * log_q).sum(-1), -(q * r * log_q).sum(-1)).mean()
    loss = adaptive_alpha_divergence(scores, p)
    assert torch.allclose(loss, expected)
    (ours,) = torch.autograd.grad(loss, scores)
    (reference,) = torch.autograd.grad(expected, scores)
    assert torch.allclose(ours, reference)


def test_alpha_divergence_has_the_gradient_of_the_divergence_where_nothing_is_clipped() -> None:
    torch.manual_seed(0)
    scores = (0.1 * torch.randn(20, 5, dtype=torch.float64)).requires_grad_()
    p = (0.1 * torch.randn(20, 5, dtype=torch.float64)).softmax(-1)
    q = scores.softmax(-1)
    low, high = _alpha(q, p, -1.0), _alpha(q, p, 1.0)
    (true,) = torch.autograd.grad(torch.maximum(low, high).mean(), scores)
    (ours,) = torch.autograd.grad(adaptive_alpha_divergence(scores, p), scores)
    assert torch.allclose(ours, true, atol=1e-9)


def test_cross_entropies_equal_torchs() -> None:
    scores, labels = torch.randn(9, 5), torch.randint(5, (9,))
    target = labels_to_targets(labels, 5, 0.1)
    expected = torch.nn.functional.cross_entropy(scores, labels, label_smoothing=0.1)
    assert torch.allclose(soft_cross_entropy(scores, target), expected)
    teachers = [torch.randn(9, 5), torch.randn(9, 5)]
    half = 0.5 * (teachers[0] / 0.2).softmax(-1) + 0.5 * (teachers[1] / 0.2).softmax(-1)
    assert torch.allclose(teacher_target(teachers, 0.2), half)


def test_adaptive_clipping_is_timms() -> None:
    torch.manual_seed(0)
    shapes = [(4, 3, 3, 3), (5, 7), (6,), (1,)]
    parameters = [torch.nn.Parameter(torch.randn(s) * 0.1) for s in shapes]
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape)
    expected = []
    for p in parameters:
        norm = (
            torch.norm if p.ndim <= 1 else (lambda t, _: t.norm(2, dim=tuple(range(1, t.ndim)), keepdim=True))
        )
        limit = norm(p.detach(), 2).clamp(min=1e-3) * 0.1
        size = norm(p.grad, 2)
        clipped = p.grad * (limit / size.clamp(min=1e-6))
        expected.append(torch.where(size < limit, p.grad, clipped))
    clip_adaptively(parameters, 0.1)
    for p, wanted in zip(parameters, expected, strict=True):
        assert torch.allclose(p.grad, wanted, atol=1e-7)


def test_average_follows_its_formula() -> None:
    model = torch.nn.Linear(2, 2)
    average, expected = Average(model, 0.99, warmup=True), model.weight.detach().clone()
    for t in range(6):
        with torch.no_grad():
            model.weight.add_(1.0)
        decay = min(0.99, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * model.weight.detach()
        average.update(model)
    assert torch.allclose(average.weights["weight"], expected)
    average.copy_to(model)
    assert torch.allclose(model.weight, expected)


def test_cosine_schedule() -> None:
    schedule = Cosine(peak=1.0, floor=0.1, start=0.01, warmup=10, total=100)
    assert schedule(0) == 0.01 and schedule(5) == pytest.approx(0.505)
    assert schedule(50) == pytest.approx(0.55) and schedule(100) == schedule(250) == 0.1
    assert all(schedule(t) >= schedule(t + 1) for t in range(10, 120))


def test_guard_skips_collapse_and_asks_to_roll_back() -> None:
    guard = Guard(classes=10)
    assert guard.judge(float("nan"), True) == "skip" and guard.judge(1.0, False) == "skip"
    assert guard.judge(float("inf"), True) == "roll back"
    guard = Guard(classes=10)
    assert all(guard.judge(2.0, True) == "ok" for _ in range(30))
    assert guard.judge(10.5, True) == "skip" and guard.judge(9.0, True) == "ok"
    other = Guard(classes=10)
    other.restore(guard.state())
    assert other.state() == guard.state()


def test_a_training_that_ends_at_the_loss_of_guessing_says_so() -> None:
    stuck, learned = Guard(classes=10), Guard(classes=10)
    for step in range(40):
        stuck.judge(2.31 - 0.0005 * step, True)
        learned.judge(2.31 - 0.01 * step, True)
    assert "stayed at that of guessing: 2.29 at its end, ln(classes) is 2.30" in stuck.remark()
    assert learned.remark() == Guard(classes=10).remark() == ""


def test_an_overflow_of_scaled_gradients_is_skipped_without_offence() -> None:
    guard = Guard(classes=10)
    assert [guard.judge(1.0, finite=False, scaled=True) for _ in range(9)] == ["skip"] * 9
    assert guard.offences == 0 and guard.skipped == 9
    assert guard.judge(float("nan"), finite=False, scaled=True) == "skip" and guard.offences == 1


def test_decay_applies_to_linear_weights_only(tmp_path: Path) -> None:
    net = Supernet(tiny(tmp_path), seed=None)
    names = {id(p): name for name, p in net.named_parameters()}
    groups = parameter_groups(net.parameters(), 0.05)
    decayed = {names[id(p)].split(".")[-1] for p in groups[0]["params"]}  # type: ignore[attr-defined]
    plain = [names[id(p)] for p in groups[1]["params"]]  # type: ignore[attr-defined]
    assert groups[0]["weight_decay"] == 0.05 and groups[1]["weight_decay"] == 0.0
    assert decayed == {
        "q_weight", "k_weight", "v_weight", "project_weight", "expand_weight", "hidden_weight", "classes_weight"
    }  # fmt: skip
    for p in groups[0]["params"]:  # type: ignore[attr-defined]
        assert not names[id(p)].startswith(("layers.A", "layers.first", "layers.T_downsample"))
    assert {"offset_bias", "v_conv_weight", "conv_weight", "bn_weight"} <= {n.split(".")[-1] for n in plain}
    assert len(plain) + len(groups[0]["params"]) == len(names)  # type: ignore[arg-type]


def test_mixing_keeps_probabilities_and_mixes_images_alike() -> None:
    rng = np.random.default_rng(0)
    images = torch.arange(6.0)[:, None, None, None].expand(6, 1, 8, 8).clone()
    target = torch.eye(6)
    for _ in range(30):
        mixed, mixed_target = mix(images, target, 0.8, rng)
        assert torch.allclose(mixed_target.sum(1), torch.ones(6))
        level = (mixed_target @ torch.arange(6.0)).view(-1)
        assert torch.allclose(mixed.mean((1, 2, 3)), level, atol=1e-5)
    assert mix(images, target, 0.0, rng)[0] is images


def test_a_damaged_checkpoint_falls_back_to_the_previous(tmp_path: Path) -> None:
    folder = Checkpointer(tmp_path / "c")
    assert folder.load() is None
    for step in (1, 2):
        folder.save({"step": step, "x": torch.full((1000,), float(step))})
    assert folder.load() is not None and folder.load()[0]["step"] == 2  # type: ignore[index]
    data = folder.current.read_bytes()
    for cut in (0, 10, len(data) // 2, len(data) - 5):
        folder.current.write_bytes(data[:cut])
        state, warning = folder.load()  # type: ignore[misc]
        assert state["step"] == 1 and warning is not None and "damaged" in warning
    folder.previous.write_bytes(b"")
    with pytest.raises(NasError, match="damaged"):
        folder.load()


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path; from nas.supernet.checkpoint import Checkpointer\n"
        "folder = Checkpointer(Path(sys.argv[1])); step = 0\n"
        "while True:\n"
        "    step += 1; folder.save({'step': step, 'x': torch.full((300_000,), float(step))})\n"
        "    print(step, flush=True)\n"
    )
    for attempt in range(3):
        folder = Checkpointer(tmp_path / str(attempt))
        process = subprocess.Popen([sys.executable, "-c", code, str(folder.folder)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 + 0.037 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        printed = [1, *map(int, process.stdout.read().split())]
        process.wait()
        state, _ = folder.load()  # type: ignore[misc]
        assert state["step"] >= printed[-1] - 0
        assert bool((state["x"] == state["step"]).all())


def test_a_step_is_reported_before_a_checkpoint_holds_it(tmp_path: Path) -> None:
    run = trainer(tiny(tmp_path), tmp_path / "a", Images())
    saved = []
    for report in run.steps():
        kept = run.checkpoints.load()
        saved.append(kept[0]["step"] if kept else 0)
        assert saved[-1] <= report.step
    assert max(saved) > 0


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    whole = trainer(space, tmp_path / "a", Images())
    losses = [report.losses for report in whole.steps()]
    first = trainer(space, tmp_path / "b", Images())
    for report in first.steps():
        if report.step == 6:  # two steps after the checkpoint
            break
    second = trainer(space, tmp_path / "b", Images())
    assert second.resume() and second.step == 4
    assert [report.losses for report in second.steps()] == losses[4:]
    for name, tensor in whole.supernet.state_dict().items():
        assert torch.equal(tensor, second.supernet.state_dict()[name]), name
    for name, tensor in whole.average.weights.items():
        assert torch.equal(tensor, second.average.weights[name])
    assert whole.sampler.state() == second.sampler.state()
    assert whole.sampler.facts()["exploited"] + whole.sampler.facts()["preferred"] > 0
    assert losses[-1] != losses[0]


@pytest.mark.parametrize("broken", [5, 6, 8])
def test_a_nan_batch_is_skipped_and_leaves_no_trace(broken: int, tmp_path: Path) -> None:
    """Steps at which conflict is measured and banks are scored again are among them."""
    space = tiny(tmp_path)
    run = trainer(space, tmp_path / "a", Images(broken=(broken,)))
    skipped = [report.step for report in run.steps() if report.skipped]
    assert skipped == [broken]
    assert f"step {broken}" in run.warnings[0]
    assert np.isfinite([score for bank in run.sampler.banks for score in bank.scores]).all()  # type: ignore[attr-defined]
    assert all(bool(tensor.isfinite().all()) for tensor in run.supernet.state_dict().values())
    assert all(bool(tensor.isfinite().all()) for tensor in run.average.weights.values())


def test_repeated_nan_rolls_back_to_the_last_checkpoint(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    run = trainer(space, tmp_path / "a", Images(broken=(6, 7, 8)))
    reports = list(run.steps())
    assert [r.step for r in reports if r.skipped] == [6, 7, 8]
    assert any("rolled back" in warning and "step 4" in warning for warning in run.warnings)
    assert len(reports) == 12
    early = trainer(space, tmp_path / "b", Images(broken=(0, 1, 2)))
    with pytest.raises(NasError, match="before the first checkpoint"):
        list(early.steps())


def test_conflict_is_recorded_every_k_steps_and_costs_no_weights(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    reports = list(trainer(space, tmp_path / "a", Images()).steps())
    measured = [r.cosine for r in reports if r.cosine is not None]
    assert len(measured) == 12 // SETTINGS.conflict_every
    assert all(-1.0001 <= cosine <= 1.0001 for _, _, cosine in measured)
