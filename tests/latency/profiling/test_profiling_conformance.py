"""The runtimes that are installed have what `nas.testing` demands of any."""

from __future__ import annotations

import pytest
import torch
from profiling_samples import UNITS

from nas.errors import NasError
from nas.latency.profiling import timer
from nas.latency.profiling.modules import unit_model
from nas.latency.profiling.runtimes.base import RUNTIMES, runner_source, runtime_of
from nas.testing import check_runtime


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_a_runtime_conforms(name: str) -> None:
    try:
        runtime_of(name).version()
    except NasError as error:
        pytest.skip(str(error))
    check_runtime(name)


@pytest.mark.parametrize("unit", [UNITS[0], UNITS[3]])
def test_a_training_step_has_the_gradients_of_the_module(unit: str) -> None:
    """In training mode and the trained form, and the weights move."""
    runtime = runtime_of("training")
    model = unit_model(unit, runtime=runtime)
    content = runtime.export(model.module, model.example)
    sent = runner_source("training")
    loaded = timer._defined(sent["source"], sent["runner"], "training")(1).load(
        content, list(model.example.shape)
    )
    exported = loaded.owner
    gradients = {name: weight.grad.clone() for name, weight in exported.named_parameters()}
    before = {name: weight.detach().clone() for name, weight in exported.named_parameters()}
    x = torch.from_numpy(timer.random_input(list(model.example.shape))).requires_grad_()
    model.module(x).mean().backward()
    assert x.grad is not None and gradients
    for name, weight in model.module.named_parameters():
        torch.testing.assert_close(gradients[name], weight.grad, rtol=1e-3, atol=1e-6)
    loaded.run()
    assert all(not torch.equal(before[name], weight) for name, weight in exported.named_parameters())


def test_what_is_trained_has_its_branches_and_norms() -> None:
    """RepViT's mixer is one convolution where it is deployed, and three with their norms where it is trained."""
    unit = "rep_mixer h=8 w=8 channels=8 kernel=3 norms=behind squeezed=0 se_act=relu gate=sigmoid"
    deployed, trained = (unit_model(unit, runtime=runtime_of(name)).module for name in ("torch", "training"))
    count = [sum(p.numel() for p in module.parameters()) for module in (deployed, trained)]
    weights, bias = 8 * 9, 8
    assert count == [weights + bias, weights + 2 * 8 + (8 + 8) + 2 * 8]
