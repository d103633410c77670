"""What is exported computes what PyTorch computes, under every runtime."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from profiling_samples import UNITS, tiny_space

from nas.blocks.counting import describe
from nas.blocks.registry import UNITS as UNITS_BY_KIND
from nas.errors import NasError
from nas.latency.profiling import timer
from nas.latency.profiling.modules import Model, network_model, unit_model
from nas.latency.profiling.runtimes.base import RUNTIMES, runtime_of
from nas.latency.profiling.use import space_use
from nas.latency.signature import format_signature, sizes_of
from nas.space import load_space
from nas.space.space import Space

NEEDS = {"onnxruntime": ("onnxruntime", "onnx"), "executorch": ("executorch",), "torch": ()}


def _output(runtime: str, content: bytes, example: torch.Tensor) -> np.ndarray[Any, Any]:
    """Output of a model file by the runtime's own interface."""
    if runtime == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {session.get_inputs()[0].name: example.numpy()})[0])
    if runtime == "executorch":
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(content)
        return np.asarray(program.load_method("forward").execute([example])[0])
    import io

    return np.asarray(torch.export.load(io.BytesIO(content)).module()(example))


def _exported(runtime: str, model: Model) -> bytes:
    for package in NEEDS[runtime]:
        pytest.importorskip(package)
    with torch.no_grad():
        model.module(model.example)
    return runtime_of(runtime).export(model.module, model.example)


CASES = [*[("onnxruntime", unit) for unit in UNITS], *[("torch", unit) for unit in UNITS]]
SLOW = [("executorch", UNITS[1]), ("executorch", UNITS[3])]


@pytest.mark.parametrize(("runtime", "unit"), [*CASES, *SLOW])
def test_an_exported_unit_computes_what_the_module_does(runtime: str, unit: str) -> None:
    model = unit_model(unit)
    got = _output(runtime, _exported(runtime, model), model.example)
    with torch.no_grad():
        expected = model.module(model.example).numpy()
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


SPACES = ["elasticvit", "efficientformer", "efficientformer_v2", "turbovit", "skip", "neck"]


def _smallest_units(space: Space) -> list[str]:
    """The unit with the least input of each kind in a space's networks."""
    units = []
    for kind, use in space_use(space, draws=50).items():
        inputs = describe(UNITS_BY_KIND[kind], sizes_of(kind, use.rows)).elements_in
        units.append(format_signature(kind, use.rows[np.argmin(inputs)]))
    return units


@pytest.mark.parametrize("name", SPACES)
def test_every_kind_of_unit_of_a_space_is_exported(name: str) -> None:
    own = Path(__file__).parents[2] / "space" / "spaces" / f"{name}.yaml"
    units = _smallest_units(load_space(own if own.exists() else name))
    assert len(units) >= 4
    for unit in units:
        model = unit_model(unit)
        got = _output("onnxruntime", _exported("onnxruntime", model), model.example)
        with torch.no_grad():
            expected = model.module(model.example).numpy()
        assert got.shape == expected.shape, unit
        difference = np.abs(got - expected).max() / np.abs(expected).max()
        assert difference < 1e-4, unit


def test_nothing_that_is_timed_starts_at_zero() -> None:
    """A projection of zeros would hide from comparisons what comes before it."""
    unit = "unit_ffn h=4 w=4 channels=8 hidden=16 act=gelu norm=layer_norm"
    assert all(parameter.any() for parameter in unit_model(unit).module.parameters())


def test_several_inputs_come_as_one_row() -> None:
    unit = "join h=4 w=6 cin=4 h1=2 w1=3 cin1=6 h2=1 w2=2 cin2=2 h3=0 w3=0 cin3=0 cout=5 act=relu"
    model = unit_model(unit)
    assert model.example.shape == (1, 4 * 4 * 6 + 6 * 2 * 3 + 2 * 1 * 2)
    first, *others = torch.split(model.example, [96, 36, 4], dim=1)
    maps = [first.reshape(1, 4, 4, 6), others[0].reshape(1, 6, 2, 3), others[1].reshape(1, 2, 1, 2)]
    weights = dict(model.module.named_parameters())
    ends = ("project", "project1", "project2")
    with torch.no_grad():
        projected = [
            torch.nn.functional.conv2d(
                x, weights[f"layer.{end}_weight"].reshape(5, -1, 1, 1), weights[f"layer.{end}_bias"]
            )
            for x, end in zip(maps, ends)
        ]
        resized = [
            torch.nn.functional.interpolate(y, (4, 6), mode="bilinear", align_corners=False)
            for y in projected
        ]
        expected = torch.relu(resized[0] + resized[1] + resized[2])
        torch.testing.assert_close(model.module(model.example), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_an_exported_network_computes_what_the_module_does(runtime: str, tmp_path: Path) -> None:
    space = load_space(tiny_space(tmp_path))
    model = network_model(space, space.sample(1, seed=4)[0])
    got = _output(runtime, _exported(runtime, model), model.example)
    with torch.no_grad():
        expected = model.module(model.example).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_nothing_grows_or_vanishes_in_a_deep_network() -> None:
    """Numbers that run away, or become so small that arithmetic slows down, would spoil the times."""
    space = load_space("elasticvit")
    model = network_model(space, space.presets["L3"])
    sizes: list[float] = []
    for layer in model.module.layers:  # type: ignore[union-attr]
        layer.register_forward_hook(lambda module, inputs, out: sizes.append(float(out.abs().mean())))
    with torch.no_grad():
        model.module(model.example)
    assert len(sizes) > 30 and min(sizes) > 1e-3 and max(sizes) < 1e3


def test_the_deployed_form_has_no_batch_norms() -> None:
    assert not list(unit_model(UNITS[1]).module.buffers())
    assert not any("bn" in name for name, _ in unit_model(UNITS[5]).module.named_parameters())


def test_a_model_is_a_function_of_its_signature() -> None:
    first, second = unit_model(UNITS[3]), unit_model(UNITS[3])
    assert all(torch.equal(a, b) for a, b in zip(first.module.parameters(), second.module.parameters()))


def test_what_runs_has_no_trace_of_sizes(tmp_path: Path) -> None:
    """Sizes computed at run time would cost what a deployed model does not pay: the runtime must fold them all."""
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    for unit in UNITS:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        onnxruntime.InferenceSession(_exported("onnxruntime", unit_model(unit)), options)
        graph = onnx.load(str(tmp_path / "optimised.onnx")).graph
        ops = {node.op_type for node in graph.node}
        assert not {"Shape", "If", "Expand", "Where", "BatchNormalization"} & ops, unit
        assert "BatchNormalization" not in ops or unit.startswith("pooled_head"), (
            unit
        )  # folded into convolutions


def test_unknown_runtimes_are_named() -> None:
    with pytest.raises(NasError, match="onnxruntime"):
        runtime_of("onnxruntim")
    without = {name for name in RUNTIMES if runtime_of(name).runner is None}
    assert without == set(timer.RUNTIMES)  # what is exported for can be timed


def test_a_runtime_that_is_not_installed_says_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = runtime_of("executorch")
    monkeypatch.setattr(runtime, "requires", ("no-such-package",))
    with pytest.raises(NasError, match=r"pip install 'nas\[executorch\]'"):
        runtime.version()


def _converse(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    command = [sys.executable, str(Path(timer.__file__))]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_timer_answers_line_by_line_and_ends_with_its_input(tmp_path: Path) -> None:
    model = unit_model(UNITS[4])
    path = tmp_path / "unit.onnx"
    path.write_bytes(_exported("onnxruntime", model))
    limits = {
        "warmup": 1,
        "warmup_ms": 0,
        "runs": 5,
        "least_ms": 0,
        "most_ms": 1000,
        "flush_kib": 64,
        "between": ["a"],
    }
    answers = _converse(
        [
            {"op": "hello", "runtime": "onnxruntime", "threads": 1},
            {"op": "load", "id": "a", "shape": list(model.example.shape), "path": str(path)},
            {"op": "time", "id": "a", **limits},
            {"op": "time", "id": "b", **limits},
            {"op": "load", "id": "b", "shape": [1], "data": "AAAA"},
            {"op": "drop", "id": "a"},
            {"op": "time", "id": "a", **limits},
        ]
    )
    assert [answer["ok"] for answer in answers] == [True, True, True, False, False, True, False]
    assert len(answers[0]["processors"]) == 1
    assert len(answers[2]["ms"]) == 5 and min(answers[2]["ms"]) > 0
    assert "KeyError" in answers[3]["error"]


def test_a_burst_has_as_many_runs_as_asked_for() -> None:
    """Runs of a known length: the number and the time asked for are both kept, and the longest burst ends."""
    import time

    model = timer.Loaded(lambda: _spin(time.perf_counter_ns() + 1_000_000), lambda: None)
    watch = timer.Stopwatch(threads=1)
    common = {"warmup": 1, "warmup_ms": 0.0, "flush_kib": 0, "between": []}
    assert len(watch.burst(model, runs=4, least_ms=0.0, most_ms=1e3, **common)) == 4
    assert 8 <= len(watch.burst(model, runs=1, least_ms=9.5, most_ms=1e3, **common)) <= 13
    assert len(watch.burst(model, runs=100, least_ms=0.0, most_ms=2.0, **common)) == 3


def _spin(until: int) -> None:
    import time

    while time.perf_counter_ns() < until:
        pass


def test_time_taken_by_others_is_not_counted() -> None:
    import time

    asleep = timer.Loaded(lambda: time.sleep(0.02), lambda: None)
    single = timer.Stopwatch(threads=1).once(asleep, 0, [])
    several = timer.Stopwatch(threads=2).once(asleep, 0, [])
    assert single < 5e6 < 19e6 < several
