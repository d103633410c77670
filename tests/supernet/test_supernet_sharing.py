"""A supernet's subnets equal static models: outputs, gradients, statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from supernet_samples import shaken, tiny

from nas.accuracy.inherited import recalibrate
from nas.blocks.elastic import Elastic
from nas.blocks.layouts import MAP, Interface
from nas.blocks.registry import UNITS
from nas.errors import NasError
from nas.space import load_space
from nas.supernet.supernet import Supernet

SPACES = Path(__file__).parents[1] / "space" / "spaces"
POOLS = SPACES / "pools.yaml"
NAMES = ("operators", "suffix", "optional", "predicates", "layouts", "single", "pools")


@pytest.mark.parametrize("name", NAMES)
def test_extracted_models_equal_the_supernet(name: str) -> None:
    space = load_space(SPACES / f"{name}.yaml")
    net = shaken(space)
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        for arch in space.sample(12, seed=1):
            assert (net(x, arch) - net.extract(arch)(x)).abs().max() <= 1e-9


@pytest.mark.parametrize(
    ("name", "preset"), [("elasticvit", "S1"), ("efficientformer", "L1"), ("efficientformer_v2", "S1")]
)
def test_subnets_of_published_spaces_equal_static_models(name: str, preset: str) -> None:
    space = load_space(name)
    net = shaken(space, classes=10, scale=0.125)
    x = torch.randn(2, 3, 28, 28, dtype=torch.float64)
    with torch.no_grad():
        for arch in [*space.sample(4, seed=2), space.presets[preset]]:
            assert (net(x, arch) - net.extract(arch)(x)).abs().max() <= 1e-9


@pytest.mark.parametrize("path", [None, POOLS])
def test_gradients_equal_the_static_model_and_vanish_outside(path: Path | None, tmp_path: Path) -> None:
    space = tiny(tmp_path) if path is None else load_space(path)
    net = shaken(space).train()
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    for arch in space.sample(6, seed=3):
        static = net.extract(arch).train()
        net.zero_grad(set_to_none=True)
        net(x, arch, momentum=0.0).square().sum().backward()
        static(x, momentum=0.0).square().sum().backward()
        total = sum(float(p.grad.abs().sum()) for p in net.parameters() if p.grad is not None)
        same = 0.0
        for layer, module in zip(static.description, static.layers, strict=True):
            whole = net.layers[layer.name.replace(".", "_")]
            for name, parameter in module.named_parameters():
                gradient = getattr(whole, name).grad
                part = gradient[_index(gradient.shape, parameter.shape, name)]
                assert torch.allclose(part, parameter.grad, atol=1e-11, rtol=1e-9)
                same += float(part.abs().sum())
        assert same == pytest.approx(total, rel=1e-12)


def _index(whole: torch.Size, part: torch.Size, name: str) -> tuple[slice, ...]:
    """Leading parts; kernels and offset tables from the centre: written apart from the code under test."""
    crop = name in ("conv_weight", "depthwise_weight", "v_conv_weight", "offset_bias", "position")
    starts = [
        (w - p) // 2 if crop and d >= len(whole) - 2 else 0 for d, (w, p) in enumerate(zip(whole, part))
    ]
    return tuple(slice(s, s + p) for s, p in zip(starts, part, strict=True))


@pytest.mark.parametrize(("name", "preset"), [("efficientformer", "L1"), ("efficientformer_v2", "S0")])
def test_small_maps_train(name: str, preset: str) -> None:
    """At an eighth of 224 pixels the last stage is a single pixel; every weight of a subnet still learns."""
    space = load_space(name)
    net = shaken(space, classes=10, scale=0.125).train()
    arch = space.presets[preset]
    assert net.lower(arch)[-2].sizes["h"] == 1
    net(torch.randn(4, 3, 28, 28, dtype=torch.float64), arch).square().sum().backward()
    static = net.extract(arch)
    for layer, module in zip(static.description, static.layers, strict=True):
        whole = net.layers[layer.name.replace(".", "_")]
        for parameter, _ in module.named_parameters():
            gradient = getattr(whole, parameter).grad
            assert gradient is not None and bool(gradient.isfinite().all()), (layer.name, parameter)


def test_gradients_of_several_subnets_add_up(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    net = shaken(space).train()
    x, archs = torch.randn(4, 3, 16, 16, dtype=torch.float64), list(space.sample(4, seed=4))
    expected: dict[str, torch.Tensor] = {}
    for arch in archs:
        net.zero_grad(set_to_none=True)
        net(x, arch, momentum=0.0).square().sum().backward()
        for name, parameter in net.named_parameters():
            if parameter.grad is not None:
                expected[name] = expected.get(name, 0) + parameter.grad.clone()
    net.zero_grad(set_to_none=True)
    for arch in archs:
        net(x, arch, momentum=0.0).square().sum().backward()
    for name, parameter in net.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(parameter.grad, expected[name], atol=1e-10)


def test_a_small_kernel_is_the_centre_of_the_large_one(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    net = shaken(space)
    arch = next(a for a in space.sample(50, seed=0) if a["A.kernel"] == 3)
    layer = next(i for i, d in enumerate(net.lower(arch)) if d.name.startswith("A.0"))
    small = net.extract(arch).layers[layer].depthwise_weight
    whole = net.layers["A_0_mbconv"].depthwise_weight
    assert torch.equal(small, whole[: small.shape[0], :, 1:4, 1:4])


def test_no_hidden_state(tmp_path: Path) -> None:
    """Archs in any order, interleaved: the same outputs."""
    space = tiny(tmp_path)
    net = shaken(space)
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    archs = list(space.sample(6, seed=5))
    with torch.no_grad():
        first = {arch.id: net(x, arch) for arch in archs}
        for arch in [*reversed(archs), *archs[::2]]:
            assert torch.equal(net(x, arch), first[arch.id])


def test_training_moves_only_the_statistics_of_the_slice(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    net = shaken(space).train()
    arch = next(a for a in space.sample(50, seed=0) if a["A.width"] == 8)
    mean = net.layers["A_0_mbconv"].project_bn_mean
    before = mean.clone()
    net(torch.randn(4, 3, 16, 16, dtype=torch.float64), arch)
    assert (mean[:8] != before[:8]).all() and torch.equal(mean[8:], before[8:])


def test_recalibration_is_torchs_cumulative_average(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    net = shaken(space)
    arch = space.sample(1, seed=0)[0]
    network = net.extract(arch)
    batches = [torch.randn(5, 3, 16, 16, dtype=torch.float64) for _ in range(4)]
    stem = network.layers[0]
    reference = torch.nn.BatchNorm2d(8, momentum=None).double().train()
    for images in batches:
        side = network.resolution
        if side != 16:
            images = torch.nn.functional.interpolate(images, (side, side), mode="bicubic", antialias=True)
        reference(torch.nn.functional.conv2d(images, stem.conv_weight, stride=2, padding=1))
    stem.bn_mean.fill_(float("nan"))
    with torch.no_grad():
        recalibrate(network, iter(batches))
    assert torch.allclose(stem.bn_mean, reference.running_mean, atol=1e-12)
    assert torch.allclose(stem.bn_var, reference.running_var, atol=1e-12)
    assert all(bool(buffer.isfinite().all()) for buffer in network.buffers())


def test_weights_are_as_large_as_the_largest_subnet(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    net = Supernet(space, seed=None)
    assert all(parameter.is_meta for parameter in net.parameters())
    shape = net.layers["A_0_mbconv"].depthwise_weight.shape
    assert tuple(shape) == (24, 1, 5, 5)


def test_an_arch_outside_the_space_has_no_weights(tmp_path: Path) -> None:
    from nas.space import Arch

    space = tiny(tmp_path)
    values = {**space.sample(1, seed=0)[0].values, "T.width": 40}
    with pytest.raises(NasError, match="outside space"):
        Supernet(space).extract(Arch(space, values))


def test_a_table_has_no_supernet() -> None:
    with pytest.raises(NasError, match="no network"):
        Supernet(load_space("nasbench201"))


def test_same_seed_same_weights(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    a, b, c = Supernet(space, seed=1), Supernet(space, seed=1), Supernet(space, seed=2)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not all(torch.equal(x, y) for x, y in zip(a.parameters(), c.parameters(), strict=True))
    assert np.isclose(
        float(a.layers["first_0_conv_stem"].conv_weight.detach().std()), (2 / (9 * 8)) ** 0.5, rtol=0.3
    )


def test_a_branch_that_may_stand_alone_does_not_start_at_zero() -> None:
    """The last norm's factor is zero beside a shortcut; without one, nothing would come through."""
    unit = UNITS["inverted_bottleneck"]
    inp, fields = Interface(MAP, 4, 8, 8), {name: field.default for name, field in unit.fields.items()}
    fields |= {name: spec.words.index(fields[name]) for name, spec in unit.fields.items() if spec.words}
    fields |= {"act": 1, "act_after": 0, "se_act": 1, "stride": 1}
    for widths in ([4, 8], [8, 4], [4, 4]):
        rows = [unit.plan(inp, {**fields, "width": width})[0] for width in widths]
        layer = Elastic(unit, {key: np.array([int(row[key]) for row in rows]) for key in unit.keys})
        assert layer.project_bn_weight.unique().tolist() == [0.0 if widths == [4, 4] else 1.0]
