"""Storing what teachers say of the images of a training, so that it trains without them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from nas.errors import NasError
from nas.pipeline.data import RunData
from nas.pipeline.job import Interrupted, Job
from nas.pipeline.logits import identity
from nas.pipeline.progress import Interrupt, Reporter
from nas.pipeline.training import compute_device
from nas.supernet.asking import taught
from nas.supernet.course import Course
from nas.supernet.mixing import labels_to_targets, mix, mixing_rng
from nas.supernet.precision import autocast, choose
from nas.supernet.stored_logits import MOST_CLASSES, About, LogitWriter
from nas.weights.files import tensors_digest

FLUSH_EVERY = 50  # steps that a kill may cost


def teach(
    job: Job,
    data: RunData,
    networks: Mapping[str, nn.Module],
    top: int,
    folder: Path,
    reporter: Reporter,
    interrupt: Interrupt,
) -> About:
    """Store the `top` most likely classes that teachers see in each image of each step of a training.

    Args:
        job: the training.
        networks: teachers by name.

    Raises:
        NasError: no teacher, a `top` that is out of range, or the folder holds something else.
        Interrupted: stopped; the same call goes on.
    """
    settings = job.plan.settings
    train, steps = settings.train, job.steps(data)
    if not networks:
        raise NasError(
            "name a teacher: --teacher retrained:SPACE:PRESET, a network that `nas retrain` trained, or PREFIX:REST of "
            "a plug-in."
        )
    if not 1 <= top <= min(data.classes, MOST_CLASSES):
        raise NasError(f"--top is {top}; there are {data.classes} classes.")
    about = About(
        identity=identity(settings, data, steps),
        teachers=list(networks),
        weights=[tensors_digest(network.state_dict()) for network in networks.values()],
        classes=data.classes,
        top=top,
        batch=train.batch,
        steps=steps,
        done=0,
    )
    writer, device = LogitWriter(folder, about), compute_device()
    teachers = {name: network.to(device).eval() for name, network in networks.items()}
    batches, course = data.training(train.batch), Course(train, steps, settings.seed)
    precision = choose(train.precision, device)
    with reporter.task("teaching", steps, writer.about.done) as task, torch.no_grad():
        for step in range(writer.about.done, steps):
            moment = course(step)
            images, labels = batches.batch(step, moment.strength)
            images = images.to(device, memory_format=torch.channels_last)
            labels = labels.to(device)
            target = labels_to_targets(labels, data.classes, 0.0)
            mixed, _ = mix(images, target, moment.mix, mixing_rng(settings.seed, step))
            with autocast(precision, device)():
                soft = taught(teachers.items(), mixed, data.classes, train.teacher_temperature)
            writer.write(step, soft)
            task.advance()
            if interrupt.asked or (step + 1) % FLUSH_EVERY == 0:
                writer.flush()
            if interrupt.asked and step + 1 < steps:
                raise Interrupted(f"{step + 1:,} of {steps:,} steps are stored")
    writer.flush()
    return writer.about
