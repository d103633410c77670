"""Two processes train a relaxed supernet as one does."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from relaxed_samples import operators
from supernet_samples import SETTINGS, Images
from torch import Tensor

from nas.settings import RelaxedSettings
from nas.supernet.checkpoint import Checkpointer
from nas.supernet.parallel import Group
from nas.supernet.sampling.relaxed import RelaxedSampler
from nas.supernet.supernet import Supernet
from nas.supernet.trainer import Trainer

RELAXED = RelaxedSettings(warmup=0.0, lr=0.05, widths="all")


class Doubles(Images):
    """The same images in double precision."""

    def batch(self, step: int, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        images, labels = super().batch(step)
        return images.double(), labels


def _train(folder: Path, group: Group | None) -> dict[str, Tensor]:
    torch.set_num_threads(1)
    space = operators(folder)
    settings = SETTINGS.model_copy(update={"conflict_every": 0, "steps": 4, "relaxed": RELAXED})
    sampler = RelaxedSampler(space, 2, np.random.default_rng(1), RELAXED)
    net = Supernet(space, 4, resolution_scale=0.5, relaxed=True).double()
    run = Trainer(net, Doubles(), settings, sampler, seed=3, folder=Checkpointer(folder / "run"), group=group)
    list(run.steps())
    return net.state_dict()


def _process(rank: int, folder: str, port: int) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    own = Path(folder) / f"rank{rank}"
    own.mkdir(exist_ok=True)
    torch.save(_train(own, Group(rank, 2)), own / "result.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    alone = _train(tmp_path, None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_process, (str(tmp_path), port), nprocs=2)
    first, second = (torch.load(tmp_path / f"rank{rank}" / "result.pt") for rank in range(2))
    assert float(alone["relaxation.logits.B"].abs().max()) > 0.01
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, rtol=1e-6, atol=1e-8)
        assert torch.equal(first[name], second[name]), name
