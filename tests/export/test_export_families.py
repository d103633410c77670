"""Every family of blocks leaves in every format, and computes in its runtime what it computes here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nas.errors import NasError
from nas.export.export import compare
from nas.export.formats import format_of
from nas.export.source import FromImages
from nas.space import Space, load_space
from nas.supernet.deploy import deployed
from nas.supernet.network import Network, build

CLASSES, SIDE, IMAGES = 5, 32, 6
FAMILIES = {
    "efficientformer": """
  stem: {block: conv_norm, stride: 2, width: A.width, kernel: 3, act: relu}
  A: {block: mb4d, depth: 1, width: [8, 16]}
  B: {block: mb3d, stride: 4, downsample: {block: conv_norm, kernel: 3}, depth: 1, width: 16, heads: 2, qk_dim: 4}
  C: {block: mb3d, stride: 2, downsample: {block: conv_norm, kernel: 3}, depth: 1, width: 16, heads: 2, qk_dim: 4}
  head: {block: dual_head}
""",
    "efficientformer_v2": """
  stem: {block: conv_norm, stride: 4, width: A.width, kernel: 3, act: gelu}
  A: {block: {suffix: attention_ffn, otherwise: conv_ffn, count: 1}, depth: 2, width: [8, 16], grid_stride: 2, heads: 2}
  B: {block: conv_ffn, stride: 2, downsample: {block: attention_downsample, heads: 2}, depth: 1, width: 16}
  head: {block: dual_map_head}
""",
    "turbovit": """
  embed: {block: patch_embed, stride: 4, width: A.width, kernel: 5}
  unroll: {block: unroll, span: 8, mask_unit: 4}
  A: {block: hiera, depth: 1, width: [8, 16], heads: 2, mlp_ratio: 2}
  B: {block: hiera, stride: 2, depth: 2, width: 16, heads: 2, scope: global, mlp_ratio: 2}
  head: {block: mean_head}
""",
    "repvit": """
  stem: {block: conv_bn, stride: 4, width: A.width, act: gelu}
  A: {block: repvit, depth: 2, width: [8, 16], se: 4, act: gelu}
  B: {block: repvit, stride: 2, downsample: {block: repvit_downsample, act: gelu}, depth: 1, width: 16, act: gelu}
  head: {block: classifier, norm: batch_norm, distilled: 1}
""",
    "tiny_vit": """
  stem: {block: conv_bn, stride: 4, width: A.width, act: gelu}
  A: {block: inverted_bottleneck, depth: 1, width: [8, 16], act: gelu, act_after: gelu}
  B:
    block: tiny_vit
    stride: 2
    downsample: {block: inverted_bottleneck, expansion: 1, expand_of: output, act: gelu, shortcut: none}
    depth: 1
    width: 16
    heads: 2
    window: 3
  head: {block: classifier, norm: layer_norm}
""",
    "efficientvit_msra": """
  stem: {block: conv_bn, stride: 4, width: A.width, act: relu}
  A: {block: efficientvit, depth: 1, width: [8, 16], heads: 2}
  B: {block: efficientvit, stride: 2, downsample: {block: efficientvit_subsample}, depth: 1, width: 16, heads: 2}
  head: {block: classifier, norm: batch_norm}
""",
    "efficientvit_l": """
  stem: {block: conv_bn, stride: 2, width: A.width, act: gelu_tanh}
  A: {block: residual_conv, depth: 1, width: [8, 16], expansion: 1, act: gelu_tanh}
  B: {block: fused_bottleneck, stride: 2, downsample: {block: fused_bottleneck}, depth: 1, width: 16, act: gelu_tanh}
  C:
    block: mla_bottleneck
    stride: 2
    downsample: {block: inverted_bottleneck, norms: last}
    depth: 1
    width: 16
    dim: 8
    scales: k5k3
  head: {block: classifier, features: 24, hidden: 16, hidden_norm: layer_norm, act: hard_swish}
""",
    "fastervit": """
  stem: {block: conv_bn, stride: 4, width: A.width, act: relu}
  A: {block: residual_conv, depth: 1, width: [8, 16], act: gelu, bias: 1}
  to: {block: norm_conv, stride: 2, width: 2 * A.width}
  carriers: {block: carrier_tokens, window: 2, carriers: 1}
  B: {block: hierarchical_attention, depth: 2, heads: 2, scale: 1}
  end: {block: end_carriers}
  head: {block: classifier, norm: batch_norm}
""",
}
LOOSER = {"efficientvit_l": 1e-3}  # its attention divides by a sum of products that may be small
FORMATS = ("onnx", "torch-export", "executorch")


@pytest.fixture(scope="module", params=FAMILIES)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network with a layer of every kind of its family, no weight and no statistic where it starts."""
    space = load_space(family(request.param, tmp_path_factory.mktemp("family")))
    found = build(space, space.sample(1, seed=1)[0], seed=0)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, tensor in found.state_dict().items():
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.add_(noise if name.endswith("_var") else 0.3 * (noise - 0.5))
    return found.eval()


@pytest.mark.parametrize("name", FORMATS)
def test_a_family_is_exported_to_a_format(
    name: str, network: Network, request: pytest.FixtureRequest
) -> None:
    try:
        form = format_of(name)
    except NasError as error:
        pytest.skip(str(error))
    images = torch.rand(IMAGES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    bare = FromImages(deployed(network)).eval()
    with torch.no_grad():
        expected = FromImages(network).eval()(images).numpy()
        data = form.export(bare, torch.zeros(2 if form.dynamic else 1, *images.shape[1:]))
    check = compare(form.runner(data), images.numpy(), expected, np.zeros(IMAGES, np.int64), name)
    assert expected.shape == (IMAGES, CLASSES) and check.agreement == 1.0
    allowed = LOOSER.get(request.node.callspec.params["network"], 1e-4)
    assert check.difference < allowed * np.ptp(expected, axis=0).max() < np.inf


def test_every_block_of_the_shipped_spaces_is_among_them(tmp_path: Path) -> None:
    """Those of ElasticViT's space are in the study of `test_export.py`."""
    small = Path(__file__).parents[1] / "pipeline" / "small.yaml"
    exported = kinds(load_space(small)).union(
        *(kinds(load_space(family(name, tmp_path))) for name in FAMILIES)
    )
    for name in ("elasticvit", "efficientformer", "efficientformer_v2", "turbovit", "repvit", "tiny_vit"):
        assert kinds(load_space(name)) <= exported, name


def family(name: str, folder: Path) -> Path:
    """The file of a small space."""
    path = folder / f"{name}.yaml"
    path.write_text(
        f"version: 1\nname: {name}\ninput: {{resolution: {SIDE}, classes: {CLASSES}}}\nstages:{FAMILIES[name]}"
    )
    return path


def kinds(space: Space) -> set[str]:
    """Kinds of all layers that any network of a space may have."""
    return {slot.unit.kind for slot in space.lower(space.sample(1, seed=0))}
