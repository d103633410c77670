"""A supernet trained by two Ray Train processes, and by one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import nas
from nas.errors import NasError
from nas.pipeline.progress import Interrupt, Silent, Task
from nas.pipeline.retraining import prepare, retrain
from nas.pipeline.run import run
from nas.scale.cluster import Origin, connected
from nas.scale.training import _Driver, _Mailbox, _taken
from nas.scale.workers import Workers
from nas.store import SeriesPoint, Storage
from nas.supernet.checkpoint import Checkpointer

SPACE = Path(__file__).parents[1] / "pipeline" / "small.yaml"
SMALL = (
    "threads=1", "train.steps=6", "train.batch=8", "train.resolution_scale=0.25", "train.checkpoint_every=3",
    "evaluate.recalibrate=1", "evaluate.final_recalibrate=1", "evaluate.images=32", "search.batch=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder, before = tmp_path_factory.mktemp("training"), Path.cwd()
    os.chdir(folder)
    try:
        with connected():
            yield folder
    finally:
        os.chdir(before)


def trained(
    name: str, workers: Workers | None, *settings: str, resume: bool = False
) -> dict[str, torch.Tensor]:
    run(
        SPACE,
        settings=(*SMALL, *settings),
        study_name=name,
        strategy="random",
        n_trials=2,
        workers=workers,
        resume=resume,
    )
    return load_file(Path("nas-runs") / name / "supernet.safetensors")


def test_two_processes_train_what_one_trains(folder: Path) -> None:
    alone = trained("alone", None)
    together = trained("together", Workers("local", 1, training=2))
    # Adam divides by the gradient's size, so that rounding moves single weights; as a whole they must agree.
    one, two = (
        torch.cat([weights[name].flatten().double() for name in alone]) for weights in (alone, together)
    )
    assert torch.linalg.vector_norm(one - two) < 1e-3 * torch.linalg.vector_norm(one)
    series = [
        [(step, data["macs"], data["losses"]) for step, data in study.storage.series(study.row.id, "train")]
        for study in (nas.load_study("alone"), nas.load_study("together"))
    ]
    assert len(series[0]) == len(series[1]) == 6
    for (step, macs, losses), (other, theirs, others) in zip(*series, strict=True):
        assert (step, macs) == (other, theirs) and others == pytest.approx(losses, rel=1e-3)
    assert not (Path("nas-runs") / "together" / "ray").exists()


def test_no_checkpoint_calls_steps_done_that_the_driver_has_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that dies while it stores them would lose their points: the training goes on behind them."""
    keep, kept = Storage.add_series, []

    def slowly(self: Storage, study_id: int, points: Sequence[SeriesPoint]) -> None:
        if points[0].name == "train":
            time.sleep(1.0)  # enough for a process that does not wait
            saved = Checkpointer(Path("nas-runs") / "slowly").load()
            kept.append((points[-1].step, 0 if saved is None else saved[0]["step"]))
        keep(self, study_id, points)

    monkeypatch.setattr(Storage, "add_series", slowly)
    trained("slowly", Workers("local", 1, training=2))
    assert kept == [(2, 0), (5, 3)]


def test_a_leader_on_another_machine_goes_on_from_the_drivers_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Storage.add_series

    def die(self: Storage, study_id: int, points: Sequence[SeriesPoint]) -> None:
        if points[-1].step > 3:
            raise NasError("the driver died")
        keep(self, study_id, points)

    monkeypatch.setattr(Origin, "here", lambda: Origin("another machine", "/nowhere"))
    checkpoints = Checkpointer(Path("nas-runs") / "carried")
    with monkeypatch.context() as dying:
        dying.setattr(Storage, "add_series", die)
        with pytest.raises(NasError, match="the driver died"):
            trained("carried", Workers("local", 1, training=2))
    saved = checkpoints.load()
    assert saved is not None and saved[0]["step"] == 3
    carried = trained("carried", Workers("local", 1, training=2), resume=True)
    whole = trained("whole", Workers("local", 1, training=2))
    assert all(torch.equal(carried[name], whole[name]) for name in whole)


def test_a_ray_that_is_lost_is_told(folder: Path) -> None:
    import ray

    mailbox = ray.remote(num_cpus=0)(_Mailbox).remote()
    assert _taken(ray, mailbox) == []
    ray.kill(mailbox)
    with pytest.raises(NasError, match=r"Ray was lost during the training: .* is saved\."):
        for _ in range(100):  # an actor may answer once more before it is gone
            _taken(ray, mailbox)
            time.sleep(0.1)


def test_the_progress_of_a_resumed_training_begins_where_it_goes_on(tmp_path: Path) -> None:
    class Bars(Silent):
        @contextmanager
        def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
            begun.append((name, total, done))
            yield super().task(name, total).__enter__()

    begun: list[tuple[str, int, int]] = []
    driver = _Driver(Bars(), lambda points: None, Checkpointer(tmp_path), "training", 10)
    with driver.bar:
        driver.read([("say", "training continues at step 4 of 10"), ("begin", 4), ("step", "loss 1")])
    assert begun == [("training", 10, 4)]


def test_two_processes_retrain_what_one_retrains(folder: Path) -> None:
    row = nas.load_study("alone").row
    arch = dict(nas.load_study("alone").storage.trials(row.id)[0].arch)
    job, data = prepare(row, arch, "inherited", ["train.mix=0.2"], str(SPACE))
    found = []
    for workers in (None, Workers("local", 1, training=2)):
        retrain(job, data, Silent(), Interrupt(), workers, overwrite=True)
        weights = load_file(job.folder / "retrained.safetensors")
        found.append(torch.cat([weights[name].flatten().double() for name in sorted(weights)]))
    assert not torch.equal(*found)
    assert torch.linalg.vector_norm(found[0] - found[1]) < 1e-3 * torch.linalg.vector_norm(found[0])


def test_what_ends_a_process_is_told(folder: Path) -> None:
    with pytest.raises(NasError, match="cannot be shared evenly by 2"):
        trained("uneven", Workers("local", 1, training=2), "train.batch=7")


def test_more_processes_than_processors(folder: Path) -> None:
    with pytest.raises(NasError, match="one for each"):
        trained("many", Workers("local", 1, training=999))


def test_processes_that_find_no_room_are_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    class Busy:
        def there(self) -> bool:
            return True

    monkeypatch.setattr("nas.scale.training.READY_S", 5.0)
    busy = ray.remote(num_cpus=ray.cluster_resources()["CPU"])(Busy).remote()
    assert ray.get(busy.there.remote())
    with pytest.raises(NasError, match="did not start within 5 s"):
        trained("no room", Workers("local", 1, training=2))
    ray.kill(busy)
