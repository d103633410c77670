"""Checkpoints of the authors' own code have other names than timm's; they are read by the same tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import nas
from nas.supernet.network import build
from nas.weights.files import WeightFile
from nas.weights.initial import initial_of_network, weights_of
from nas.weights.names import entries, shapes_of
from nas.weights.reading import renamed
from nas.weights.table import table_of
from nas.weights.writing import timm_state


def staged(name: str) -> str:
    """`stages.2.blocks.1` is `network.4.1` there, what leads into stage 2 `network.3`."""
    name = re.sub(r"^stages\.(\d)\.blocks\.", lambda m: f"network.{2 * int(m[1])}.", name)
    name = re.sub(r"^stages\.(\d)\.downsample\.", lambda m: f"network.{2 * int(m[1]) - 1}.", name)
    return re.sub(r"\.ls(\d)\.gamma$", r".layer_scale_\1", name).replace("head_dist.", "dist_head.")


def efficientformer(name: str) -> str:
    for ours, theirs in {"conv1": 0, "norm1": 1, "conv2": 3, "norm2": 4}.items():
        name = name.replace(f"stem.{ours}.", f"patch_embed.{theirs}.")
    name = staged(name)
    return re.sub(r"^(network\.[135])\.conv\.", r"\1.proj.", name)


def efficientformer_v2(name: str) -> str:
    for ours, theirs in {"conv1.conv": 0, "conv1.bn": 1, "conv2.conv": 3, "conv2.bn": 4}.items():
        name = name.replace(f"stem.{ours}.", f"patch_embed.{theirs}.")
    name = staged(name)
    name = re.sub(r"^(network\.[13])\.conv\.conv\.", r"\1.proj.", name)
    name = re.sub(r"^(network\.[13])\.conv\.bn\.", r"\1.norm.", name)
    name = name.replace("network.5.conv.conv.", "network.5.conv.").replace(
        "network.5.conv.bn.", "network.5.bn."
    )
    name = re.sub(r"\.mlp\.fc(\d)\.bn\.", r".mlp.norm\1.", name).replace(".mlp.mid.bn.", ".mlp.mid_norm.")
    name = re.sub(r"\.mlp\.(\w+)\.conv\.", r".mlp.\1.", name)
    name = name.replace(".q.local.", ".q.local.0.")
    name = re.sub(r"(\.q)\.proj\.(conv|bn)\.", lambda m: f"{m[1]}.proj.{m[2] == 'bn':d}.", name)
    name = re.sub(r"\.proj\.(conv|bn)\.", lambda m: f".proj.{1 + (m[1] == 'bn')}.", name)
    return re.sub(r"\.(stride_conv|q|k|v|v_local)\.(conv|bn)\.", lambda m: f".{m[1]}.{m[2] == 'bn':d}.", name)


def hiera(name: str) -> str:
    return name.replace("head.norm.", "norm.").replace("head.fc.", "head.projection.")


def tiny_vit(name: str) -> str:
    name = re.sub(r"^stages\.(\d)\.downsample\.", lambda m: f"layers.{int(m[1]) - 1}.downsample.", name)
    name = re.sub(r"^patch_embed\.conv(\d)\.", lambda m: f"patch_embed.seq.{2 * int(m[1]) - 2}.", name)
    name = re.sub(r"\.conv\.weight$", ".c.weight", name.replace("stages.", "layers."))
    return name.replace("head.norm.", "norm_head.").replace("head.fc.", "head.")


def efficientvit(name: str) -> str:
    name = name.replace("stem.in_conv.", "backbone.input_stem.op_list.0.")
    name = name.replace("stem.res0.", "backbone.input_stem.op_list.1.")
    name = re.sub(r"^stages\.(\d)\.blocks\.", r"backbone.stages.\1.op_list.", name)
    return classifier(name)


def efficientvit_large(name: str) -> str:
    """The stem is a stage there."""
    name = re.sub(r"^stages\.(\d)\.blocks\.", lambda m: f"backbone.stages.{int(m[1]) + 1}.op_list.", name)
    name = name.replace("stem.in_conv.", "backbone.stages.0.op_list.0.")
    return classifier(name.replace("stem.res0.", "backbone.stages.0.op_list.1."))


def classifier(name: str) -> str:
    name = re.sub(r"^head\.in_conv\.", "head.op_list.0.", name)
    ends = {"0": "2.linear", "1": "2.norm", "4": "3.linear"}
    return re.sub(r"^head\.classifier\.(\d)\.", lambda m: f"head.op_list.{ends[m[1]]}.", name)


@pytest.mark.parametrize(
    ("space", "preset", "named"),
    [
        ("efficientformer", "L1", efficientformer),
        ("efficientformer", "L7", efficientformer),
        ("efficientformer_v2", "S2", efficientformer_v2),
        ("turbovit", "Hiera-T", hiera),
        ("tiny_vit", "5M", tiny_vit),
        ("efficientvit_b", "B1", efficientvit),
        ("efficientvit_l", "L1", efficientvit_large),
    ],
)
def test_the_authors_names_are_read(space: str, preset: str, named: Callable[[str], str]) -> None:
    loaded, table = nas.load_space(space), table_of(space, [])
    wanted = entries(table, shapes_of(build(loaded, loaded.presets[preset], seed=None)))
    here = {entry.theirs: torch.empty(entry.shape, device="meta") for entry in wanted}
    given = {named(name): tensor for name, tensor in here.items()}
    assert len(given) == len(here) and len(given.keys() & here.keys()) < len(here)
    assert renamed(WeightFile("theirs", "", given), table).keys() == here.keys()
    assert renamed(WeightFile("timm's", "", here), table).keys() == here.keys()


def test_an_authors_checkpoint_gives_the_same_network(tmp_path: Path) -> None:
    space = nas.load_space("efficientformer_v2")
    network = build(space, space.presets["S0"], num_classes=10, seed=3)
    state: dict[str, Tensor] = {efficientformer_v2(n): t for n, t in timm_state(network, space.name).items()}
    state = {name: t[:, None, None] if "layer_scale" in name else t for name, t in state.items()}
    assert state["network.4.4.layer_scale_1"].shape == (96, 1, 1)
    torch.save({"epoch": 299, "model": state}, tmp_path / "s0.pth")
    again = build(space, space.presets["S0"], num_classes=10, seed=4)
    rows = initial_of_network(space, space.presets["S0"], str(tmp_path / "s0.pth"), "S0").put_into(
        again, as_published=True
    )
    assert {row.fate for row in rows} == {"taken"}
    expected = weights_of(network)
    for layer, weights in weights_of(again).items():
        assert all(torch.equal(tensor, expected[layer][name]) for name, tensor in weights.items())
