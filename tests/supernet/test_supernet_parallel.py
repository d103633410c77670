"""Two processes with half the batch each compute what one computes with the whole."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from supernet_samples import SETTINGS, Images, tiny, trainer
from torch import Tensor

from nas.errors import NasError
from nas.supernet.parallel import Group, batch_norm

STEPS = 5


class Doubles(Images):
    """The same images in double precision."""

    def batch(self, step: int, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        images, labels = super().batch(step)
        return images.double(), labels


def _train(folder: Path, group: Group | None, upto: int = STEPS) -> dict[str, object]:
    torch.set_num_threads(1)
    run = trainer(tiny(folder), folder / "run", Doubles(), SETTINGS, group, torch.float64)
    run.resume()
    reports = []
    for report in run.steps():
        reports.append((report.losses, report.cosine[2] if report.cosine else None))
        if run.step == upto:
            break
    return {
        "weights": {name: value.clone() for name, value in run.supernet.state_dict().items()},
        "reports": reports,
        "step": run.step,
    }


def _process(rank: int, folder: str, port: int, upto: int) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    own = Path(folder) / f"rank{rank}"
    own.mkdir(exist_ok=True)
    result = _train(own, Group(rank, 2), upto)
    torch.save(result, own / "result.pt")
    dist.destroy_process_group()


def _together(folder: Path, upto: int = STEPS) -> list[dict[str, object]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_process, (str(folder), port, upto), nprocs=2)
    return [torch.load(folder / f"rank{rank}" / "result.pt") for rank in range(2)]


def test_two_processes_equal_one(tmp_path: Path) -> None:
    alone = _train(tmp_path, None)
    first, second = _together(tmp_path)
    for name, value in alone["weights"].items():
        torch.testing.assert_close(first["weights"][name], value, rtol=1e-7, atol=1e-9)
        assert torch.equal(first["weights"][name], second["weights"][name]), name
    for (mine, cosine), (theirs, other) in zip(alone["reports"], first["reports"], strict=True):
        assert theirs == pytest.approx(mine, rel=1e-7)
        assert (cosine is None) == (other is None) and other == (
            pytest.approx(cosine, abs=1e-5) if cosine else other
        )


def test_processes_resume_from_the_first_ones_checkpoint(tmp_path: Path) -> None:
    whole = _together(tmp_path, SETTINGS.steps)
    again = tmp_path / "again"
    again.mkdir()
    _together(again, 6)
    resumed = _together(again, SETTINGS.steps)
    assert not (again / "rank1" / "run").exists()
    assert [len(result["reports"]) for result in resumed] == [SETTINGS.steps - 4] * 2
    for name, value in whole[0]["weights"].items():
        assert torch.equal(value, resumed[0]["weights"][name]) and torch.equal(
            value, resumed[1]["weights"][name]
        )


def test_batch_norm_of_one_process_is_pytorchs() -> None:
    class Solo(Group):
        def average(self, x: Tensor) -> Tensor:
            return x

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 6, 5, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    affine = (torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64))
    ours, theirs = ((torch.zeros(6).double(), torch.ones(6).double()) for _ in range(2))
    got = batch_norm(x, ours, affine, 0.3, 1e-5, Solo())
    expected = F.batch_norm(x, *theirs, *affine, True, 0.3, 1e-5)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(x)
    a, b = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (got, expected))
    torch.testing.assert_close(a, b)


def test_a_batch_that_cannot_be_shared_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NasError, match=r"train\.batch=8 cannot be shared evenly by 3"):
        trainer(tiny(tmp_path), tmp_path, Images(), group=Group(0, 3))
