"""The ways to train the student: labels alone, live teachers, and what the teachers said, stored at several K."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from seeds import Contender

from nas.errors import NasError
from nas.pipeline.job import Interrupted
from nas.pipeline.presets import find_preset
from nas.pipeline.progress import Interrupt, Silent
from nas.pipeline.retrained import RetrainFolder
from nas.pipeline.retraining import prepare_preset, retrain
from nas.pipeline.teachers import teachers
from nas.pipeline.teaching import teach
from nas.supernet.losses import teacher_target
from nas.supernet.stored_logits import CLASSES, PROBABILITIES, StoredLogits

SPACE, DATA = Path(__file__).resolve().parent / "space.yaml", "digits"
TEACHERS = ("teacher-a", "teacher-b")
KS = (1, 3, 10)
LABELS, LIVE = "labels alone", "live teachers"
TEMPERATURE = "train.teacher_temperature=1.0"


def stored_at(top: int) -> str:
    """Name of the way that reads the `top` most likely classes of each image."""
    return f"stored, K = {top}"


WAYS = (LABELS, LIVE, *(stored_at(top) for top in KS))


@dataclass(frozen=True)
class Lessons:
    """Settings of every way.

    Attributes:
        steps: of the student's training, and of the teachers'.
        teacher_steps: of theirs.
    """

    steps: int
    teacher_steps: int

    def contender(self, way: str, seed: int) -> Contender:
        """The student trained one way; what its teachers say is stored first, if that is what it reads."""
        settings: tuple[str, ...] = (f"train.steps={self.steps}", TEMPERATURE)
        if way == LIVE:
            settings += (f"train.teachers={json.dumps(self.names)}",)
        elif way != LABELS:
            top = int(way.rpartition(" ")[2])
            settings += (f"train.logits={json.dumps(str(self.store(top, seed)))}",)
        return Contender(way.replace(",", "").replace("=", ""), f"{SPACE}:student", settings)

    @property
    def names(self) -> list[str]:
        """The teachers, as settings name them."""
        return [f"retrained:{SPACE}:{name}" for name in TEACHERS]

    def train_teachers(self) -> dict[str, float]:
        """Train both teachers, or read them back; their top-1 on the test images."""
        return {name: self._teacher(name) for name in TEACHERS}

    def _teacher(self, name: str) -> float:
        settings = [f"train.steps={self.teacher_steps}", "threads=1", "seed=100"]
        job, data = prepare_preset(find_preset(f"{SPACE}:{name}"), None, "embedded", settings, DATA)
        begun = RetrainFolder(job.folder).begun
        try:
            with Interrupt() as interrupt:
                kept = retrain(job, data, Silent(), interrupt, resume=begun)
        except Interrupted as stopped:
            raise NasError(f"{name}: stopped; {stopped}. The same command goes on.") from None
        return float(kept.accuracy.value)

    def store(self, top: int, seed: int) -> Path:
        """Folder with the teachers' `top` classes for every image of the student's training with this seed."""
        folder = Path("logits") / f"{top}-{seed}"
        student = Contender("student", f"{SPACE}:student", (f"train.steps={self.steps}", TEMPERATURE))
        job, data = student.job(DATA, seed)
        networks = dict(zip(self.names, teachers(self.names)))
        try:
            with Interrupt() as interrupt:
                teach(job, data, networks, top, folder, Silent(), interrupt)
        except Interrupted as stopped:
            raise NasError(f"{folder}: stopped; {stopped}. The same command goes on.") from None
        return folder

    def bytes_per_view(self, top: int, seed: int) -> float:
        """Bytes on disk for one view of an image, the files' headers included."""
        folder = self.store(top, seed)
        about = StoredLogits(folder).about
        size = sum((folder / name).stat().st_size for name in (PROBABILITIES, CLASSES))
        return size / (about.steps * about.batch)

    def largest_error(self, top: int, seed: int, steps: int = 20) -> float:
        """Largest difference of a stored probability from what the live teachers say, over the first steps."""
        stored = StoredLogits(self.store(top, seed))
        student = Contender("student", f"{SPACE}:student", (f"train.steps={self.steps}", TEMPERATURE))
        job, data = student.job(DATA, seed)
        batches, networks = data.training(job.plan.settings.train.batch), teachers(self.names)
        found = []
        with torch.no_grad():
            for step in range(min(steps, self.steps)):
                images, _ = batches.batch(step)
                images = images.to(memory_format=torch.channels_last)
                live = teacher_target([network.eval()(images) for network in networks], 1.0)
                found.append(float((live - stored.target(step)).abs().max()))
        return float(np.max(found))
