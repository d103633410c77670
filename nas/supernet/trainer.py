"""Training a supernet or one network: an optimiser step for some subnets, one source of randomness per purpose."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.errors import NasError
from nas.settings import TrainSettings
from nas.space.batch import Arch
from nas.state import generator_state, restore_generator
from nas.supernet.asking import taught
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.clipping import clip_adaptively, gradients_finite
from nas.supernet.conflict import gradient_cosine
from nas.supernet.course import Course
from nas.supernet.ema import Average
from nas.supernet.expected_latency import ExpectedLatency
from nas.supernet.guard import Guard
from nas.supernet.losses import adaptive_alpha_divergence, distilled
from nas.supernet.mixing import labels_to_targets, mix, mixing_rng
from nas.supernet.optim import adamw, scaled_lr
from nas.supernet.parallel import Group
from nas.supernet.precision import autocast, choose
from nas.supernet.relaxed import Relaxed
from nas.supernet.sampling.base import Subnet, SubnetSampler
from nas.supernet.schedule import Cosine
from nas.supernet.stored_logits import StoredLogits
from nas.supernet.trainee import Trainee

Trained = TypeVar("Trained", bound=Trainee)


class TrainingData(Protocol):
    """Training images as a pure function of the step."""

    classes: int

    def batch(self, step: int, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        """Images `(B, C, H, W)` and labels `(B,)` of a step, augmented by a share of the recipe's strength."""

    def steps_per_epoch(self) -> int:
        """Steps that show every training image once."""


@dataclass(frozen=True)
class StepReport:
    """What one step did, for progress and the report."""

    step: int
    lr: float
    subnets: tuple[Subnet, ...]
    losses: tuple[float, ...]
    skipped: bool
    cosine: tuple[Arch, Arch, float] | None = None

    @property
    def loss(self) -> float:
        """Mean over the subnets."""
        return float(np.mean(self.losses))


class Trainer(Generic[Trained]):
    """Trains a supernet, or the network of one architecture, on one device.

    Args:
        supernet: with its initial weights.
        data: training images.
        settings: recipe.
        sampler: chooses the subnets.
        seed: of mixing and of the pairs whose gradients are compared.
        folder: for checkpoints.
        teachers: networks to distil from; cross-entropy with the labels where there is none.
        group: the processes that train together, each with its part of every batch.
        stored: what teachers said of these images, instead of them.
        latency: expected latency of relaxed architectures, where `settings.relaxed.latency` asks for it.
    """

    def __init__(
        self,
        supernet: Trained,
        data: TrainingData,
        settings: TrainSettings,
        sampler: SubnetSampler,
        *,
        seed: int,
        folder: Checkpointer,
        teachers: Sequence[nn.Module] = (),
        device: torch.device | None = None,
        group: Group | None = None,
        stored: StoredLogits | None = None,
        latency: ExpectedLatency | None = None,
    ) -> None:
        self.seed, self.stored = seed, stored
        self.group = supernet.group = group or Group()
        self.group.check(settings.batch)
        self.device = device or torch.device("cpu")
        self.supernet, self.data, self.settings, self.sampler = (
            supernet.to(self.device),
            data,
            settings,
            sampler,
        )
        names = settings.teachers or [f"{number} of this training" for number in range(1, len(teachers) + 1)]
        self.teachers = [(name, one.to(self.device).eval()) for name, one in zip(names, teachers)]
        self.checkpoints = folder
        self.total, self.cosine_steps = total_steps(settings, data.steps_per_epoch())
        self.schedule = _schedule(settings, self.cosine_steps)
        self.course = Course(settings, self.total, seed)
        self.course.check(supernet.space, supernet.full_scale)
        self.parameters = [p for p in supernet.parameters() if p.requires_grad]
        self.buffers = list(supernet.buffers())
        self.latency = latency
        self.logits = list(supernet.relaxation.parameters()) if supernet.relaxation is not None else []
        logits = {id(p) for p in self.logits}
        self.weights = [p for p in self.parameters if id(p) not in logits]
        self.optimizer = adamw(self.weights, lr=self.schedule(0), weight_decay=settings.weight_decay)
        if self.logits:
            self.optimizer.add_param_group({"params": self.logits, "weight_decay": 0.0})
        self.average = Average(supernet, settings.ema, warmup=settings.ema_warmup)
        self.guard = Guard(data.classes)
        self.rng = np.random.default_rng([seed, 1])
        dtype = choose(settings.precision, self.device)
        self.autocast = autocast(dtype, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=dtype is torch.float16)
        self.step = 0
        self.due = False
        self._saved_s = time.monotonic()
        self.warnings: list[str] = []

    def steps(self) -> Iterator[StepReport]:
        """Train to the end, a report per step; checkpoints are written on the way and at the end.

        A checkpoint is written when the next report is asked for: what the caller keeps of a report is kept before
        a checkpoint says that the step is done; `due` tells it that one will be written.
        """
        self.supernet.train()
        while self.step < self.total:
            report = self._step()
            self.supernet.share = 1.0
            self.step += 1
            at_step = self.step % self.settings.checkpoint_every == 0 and not self.guard.offences
            fixed = at_step or self.step == self.total
            self.due = fixed or self._late()
            yield report
            if self.due:
                self.save(between=not fixed)
        if remark := self.guard.remark():
            self.warnings = list(dict.fromkeys([*self.warnings, remark]))

    def _late(self) -> bool:
        """Whether the last checkpoint was written too long ago."""
        late = time.monotonic() - self._saved_s >= self.settings.checkpoint_seconds
        return late and not self.guard.offences

    def _step(self) -> StepReport:
        moment = self.course(self.step)
        self.supernet.share = moment.share
        whole = self._batch(moment.strength)
        images, labels = (self.group.share(part) for part in whole)
        lr = self._set_rates()
        before = [buffer.clone() for buffer in self.buffers]
        self.sampler.refresh(self.step, self.total, lambda arch: -self._cross_entropy(arch, images, labels))
        cosine = self._conflict(images, labels)
        subnets = self.sampler.draw(self.step, self.total)
        self.optimizer.zero_grad(set_to_none=True)
        losses, scores = self._backward(subnets, *whole, moment.mix)
        self.group.average_([p.grad for p in self.parameters if p.grad is not None])
        self.scaler.unscale_(self.optimizer)
        verdict = self.guard.judge(
            float(np.mean(losses)), gradients_finite(self.parameters), self.scaler.is_enabled()
        )
        if verdict == "ok":
            clip_adaptively(self.weights, self.settings.clip)
            self.scaler.step(self.optimizer)
            if self.supernet.relaxation is not None:
                self.supernet.relaxation.hold_back_identity(self.settings.relaxed.identity_at_most)
            self.average.update(self.supernet)
            for subnet, score in scores:
                self.sampler.observe(subnet, score)
        else:
            torch._foreach_copy_(self.buffers, before)
            if self.guard.offences:
                self._offence(verdict)
        self.scaler.update()
        return StepReport(self.step, lr, tuple(subnets), tuple(losses), verdict != "ok", cosine)

    def _set_rates(self) -> float:
        """Learning rates of this step; that of the weights is returned. Logits have their own, 0 while they wait."""
        lr, relaxed = self.schedule(self.step), self.settings.relaxed
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        if self.logits:
            waiting = self.step < relaxed.warmup * self.total
            self.optimizer.param_groups[-1]["lr"] = 0.0 if waiting else relaxed.lr
        return lr

    def _batch(self, strength: float) -> tuple[Tensor, Tensor]:
        images, labels = self.data.batch(self.step, strength)
        images = images.to(self.device, memory_format=torch.channels_last)
        return images, labels.to(self.device)

    def _backward(
        self, subnets: Sequence[Subnet], images: Tensor, labels: Tensor, strength: float
    ) -> tuple[list[float], list[tuple[Subnet, float]]]:
        """Gradients of all subnets, summed; losses, and scores of those the sampler wants to know."""
        target = labels_to_targets(labels, self.data.classes, self.settings.label_smoothing)
        mixed, target = mix(images, target, strength, mixing_rng(self.seed, self.step))
        mixed, target, images, labels = map(self.group.share, (mixed, target, images, labels))
        soft = self._taught(mixed)
        probabilities: list[Tensor] = []
        losses: list[float] = []
        wanted: list[tuple[Subnet, float]] = []
        for subnet in subnets:
            learns = subnet.role == "minimum" and bool(probabilities)
            answers: list[Tensor] = []
            with self.autocast():
                scores = self.supernet(mixed, subnet.network or subnet.arch, answers=answers).float()
                if learns:
                    loss = adaptive_alpha_divergence(scores, torch.stack(probabilities).mean(0))
                else:
                    loss = distilled(scores, answers, target, soft, alone=self._n_teachers > 1)
            torch.autograd.backward(self.scaler.scale(self._with_latency(loss, subnet)))
            if not learns:
                probabilities.append(scores.detach().softmax(-1))
            losses.append(float(F.cross_entropy(scores.detach(), labels)) if learns else float(loss.detach()))
            if self.sampler.wants_score(subnet):
                wanted.append((subnet, self._score(subnet.arch, scores, images, labels)))
        scores_of_all = self.group.mean([score for _, score in wanted])
        return self.group.mean(losses), [(subnet, s) for (subnet, _), s in zip(wanted, scores_of_all)]

    def _with_latency(self, loss: Tensor, subnet: Subnet) -> Tensor:
        relaxation = self.supernet.relaxation
        if relaxation is None or not isinstance(subnet.network, Relaxed):
            return loss
        relaxation.temperature.fill_(subnet.network.temperature)
        if self.latency is None or not self.settings.relaxed.latency:
            return loss
        return loss + self.settings.relaxed.latency * self.latency(relaxation, subnet.arch)

    @property
    def _n_teachers(self) -> int:
        return len(self.teachers) if self.stored is None else len(self.stored.about.teachers)

    def _taught(self, images: Tensor) -> Tensor | None:
        """What the teachers say of the images, or said of them when it was stored; None without any."""
        if not self._n_teachers:
            return None
        if self.stored is not None:
            return self.group.share(self.stored.target(self.step).to(self.device))
        with torch.no_grad(), self.autocast():
            return taught(self.teachers, images, self.data.classes, self.settings.teacher_temperature)

    def _score(self, arch: Arch, scores: Tensor, images: Tensor, labels: Tensor) -> float:
        """Minus the cross-entropy on unmixed images; the training pass's own scores where it did not mix."""
        if self.settings.mix > 0:
            return -self._local_cross_entropy(arch, images, labels)
        return -float(F.cross_entropy(scores.detach(), labels))

    def _cross_entropy(self, arch: Arch, images: Tensor, labels: Tensor) -> float:
        return self.group.mean([self._local_cross_entropy(arch, images, labels)])[0]

    @torch.no_grad()
    def _local_cross_entropy(self, arch: Arch, images: Tensor, labels: Tensor) -> float:
        with self.autocast():
            scores = self.supernet(images, arch, momentum=0.0)
        return float(F.cross_entropy(scores.float(), labels))

    def _conflict(self, images: Tensor, labels: Tensor) -> tuple[Arch, Arch, float] | None:
        every = self.settings.conflict_every
        if not every or self.step % every:
            return None
        pair = self.supernet.space.sample(2, rng=self.rng)
        a, b = pair[0], pair[1]
        return a, b, gradient_cosine(self.supernet, images, labels, a, b)

    def _offence(self, verdict: str) -> None:
        self.warnings.append(
            f"step {self.step}: loss or gradient not finite, or collapsed; the step was skipped"
        )
        if verdict != "roll back":
            return
        loaded = self._load(fixed=True)
        if loaded is None:
            raise NasError(
                f"training broke down at step {self.step}, before the first checkpoint. Lower train.lr or raise "
                "train.warmup."
            )
        self._restore_weights(loaded[0])
        self.guard = Guard(self.data.classes)
        self.warnings.append(
            f"step {self.step}: weights rolled back to the checkpoint of step {loaded[0]['step']}"
        )

    def save(self, *, between: bool = False) -> None:
        """Write a checkpoint of everything that the rest of the run depends on.

        Args:
            between: at a step that time or a signal chose; a breakdown does not go back to such a one.
        """
        self._saved_s = time.monotonic()
        if not self.group.leads:
            return
        self.checkpoints.save(
            {
                "step": self.step,
                "model": self.supernet.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average.weights,
                "average_steps": self.average.steps,
                "sampler": self.sampler.state(),
                "sampler_rng": generator_state(self.sampler.rng),
                "rng": generator_state(self.rng),
                "guard": self.guard.state(),
                "scaler": self.scaler.state_dict(),
                "warnings": list(self.warnings),
            },
            between=between,
        )

    def resume(self) -> bool:
        """Continue from the newest whole checkpoint; False if there is none."""
        loaded = self._load()
        if loaded is None:
            return False
        state, warning = loaded
        try:
            self._restore(state)
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise NasError(
                f"{self.checkpoints.folder}: its checkpoint is not one of this training ({reason}). Delete "
                f"{', '.join(self.checkpoints.files())} there and repeat the command with --resume: the training "
                "begins again."
            ) from None
        self.warnings = [*state["warnings"], *([warning] if warning else [])]
        return True

    def _restore(self, state: dict[str, Any]) -> None:
        self._restore_weights(state)
        self.step = int(state["step"])
        self.sampler.restore(state["sampler"])
        restore_generator(self.sampler.rng, state["sampler_rng"])
        restore_generator(self.rng, state["rng"])
        self.guard.restore(state["guard"])
        self.scaler.load_state_dict(state["scaler"])

    def _load(self, *, fixed: bool = False) -> tuple[dict[str, Any], str | None] | None:
        loaded: tuple[dict[str, Any], str | None] | None
        loaded = self.group.told(self.checkpoints.load(fixed=fixed) if self.group.leads else None)
        return loaded

    def _restore_weights(self, state: dict[str, Any]) -> None:
        self.supernet.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, weight in state["average"].items():
            self.average.weights[name].copy_(weight)
        self.average.steps = int(state["average_steps"])


def total_steps(settings: TrainSettings, per_epoch: int) -> tuple[int, int]:
    """Steps of a run, and those of its cosine (cooldown epochs follow it at the floor)."""
    if settings.steps:
        return settings.steps, settings.steps
    cosine = settings.epochs * per_epoch
    return cosine + settings.cooldown_epochs * per_epoch, cosine


def _schedule(settings: TrainSettings, total: int) -> Cosine:
    def scale(lr: float) -> float:
        return scaled_lr(lr, settings.batch) if settings.lr_scaling == "linear" else lr

    return Cosine(
        peak=scale(settings.lr),
        floor=scale(settings.min_lr),
        start=scale(settings.warmup_lr),
        warmup=round(settings.warmup * total),
        total=total,
    )
