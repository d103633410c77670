"""Targets stored sparsely: what is kept, what is spread, and a training that reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nas.errors import NasError
from nas.supernet.stored_logits import About, LogitWriter, StoredLogits, dense, sparse


def about(**changes: object) -> About:
    given = {
        "identity": {"seed": 1},
        "teachers": ["a"],
        "classes": 7,
        "top": 3,
        "batch": 4,
        "steps": 5,
        "done": 0,
    }
    return About.model_validate({**given, **changes})


def soft(rows: int, classes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(-1)


def test_the_largest_are_kept_and_the_rest_is_spread_evenly() -> None:
    target = soft(6, 9)
    again = dense(*sparse(target, 4), 9)
    torch.testing.assert_close(again.sum(-1), torch.ones(6))
    for row, kept in zip(target, again):
        order = row.argsort(descending=True)
        torch.testing.assert_close(kept[order[:4]], row[order[:4]], rtol=1e-3, atol=1e-6)
        rest = (1 - row[order[:4]].sum()) / 5
        torch.testing.assert_close(kept[order[4:]], rest.expand(5), rtol=2e-2, atol=1e-3)


def test_all_classes_are_the_teachers_own_to_half_precision() -> None:
    target = soft(50, 10)
    torch.testing.assert_close(dense(*sparse(target, 10), 10), target, rtol=1e-3, atol=1e-6)


def test_four_bytes_are_kept_of_each_class() -> None:
    values, classes = sparse(soft(8, 1000), 100)
    assert values.nbytes + classes.nbytes == 8 * 400  # TinyViT's record has 4 more, for a seed


def test_a_writer_goes_on_where_it_stopped_and_readers_wait_for_it(tmp_path: Path) -> None:
    writer = LogitWriter(tmp_path / "told", about())
    for step in range(3):
        writer.write(step, soft(4, 7, step))
    writer.flush()
    with pytest.raises(NasError, match="3 of 5 steps are stored"):
        StoredLogits(tmp_path / "told")
    again = LogitWriter(tmp_path / "told", about())
    assert again.about.done == 3
    for step in range(3, 5):
        again.write(step, soft(4, 7, step))
    again.flush()
    stored = StoredLogits(tmp_path / "told")
    for step in range(5):
        assert torch.equal(stored.target(step), dense(*sparse(soft(4, 7, step), 3), 7))


def test_other_images_other_teachers_and_damage_are_refused(tmp_path: Path) -> None:
    writer = LogitWriter(tmp_path / "told", about())
    for step in range(5):
        writer.write(step, soft(4, 7, step))
    writer.flush()
    stored = StoredLogits(tmp_path / "told")
    stored.check({"seed": 1}, 5)
    with pytest.raises(NasError, match=r"seed was 1 there and is 2 here"):
        stored.check({"seed": 2}, 5)
    with pytest.raises(NasError, match="5 steps, and 6 are trained"):
        stored.check({"seed": 1}, 6)
    with pytest.raises(NasError, match="other teachers"):
        LogitWriter(tmp_path / "told", about(teachers=["b"]))
    for name in ("probabilities.npy", "classes.npy"):
        file = tmp_path / "told" / name
        whole = file.read_bytes()
        for damaged in (whole[: len(whole) // 2], b"", b"nothing", whole[:20]):
            file.write_bytes(damaged)
            with pytest.raises(NasError, match=f"{name} cannot be read"):
                StoredLogits(tmp_path / "told")
        np.save(file, np.zeros((2, 2, 2), dtype=np.float16))
        with pytest.raises(NasError, match="has the shape"):
            StoredLogits(tmp_path / "told")
        file.write_bytes(whole)
    with pytest.raises(NasError, match="nas teach"):
        StoredLogits(tmp_path / "nowhere")
