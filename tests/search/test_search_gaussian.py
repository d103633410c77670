"""The Gaussian process beside its definition with scikit-learn's kernels, and beside finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import DotProduct, Matern

from nas.accuracy.gaussian import LENGTHS, NOISE, GaussianProcess, _laws
from nas.accuracy.inputs import Inputs
from nas.accuracy.surrogate import Further, Surrogate
from nas.space import ArchBatch, Space, load_space

GROUPS = np.array([0, 1, 2, 2, 3, 4])


def _data(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.random((n, len(GROUPS)))
    return x, np.sin(5 * x[:, 0]) + x[:, 1] + 0.1 * rng.normal(size=n)


def _covariance(process: GaussianProcess, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """By scikit-learn's kernels, the parabolic law on squares of the coordinates."""
    smooth, linear, curved, _ = np.exp(2 * process.parameters[:LENGTHS])
    lengths = np.exp(process.parameters[LENGTHS:])[GROUPS]
    product = DotProduct(1e-9)
    squares = [4 * (x - 0.5) ** 2 - 1 / 3 for x in (a, b)]
    laws = linear * product(a - 0.5, b - 0.5) + curved * product(*squares)
    return np.asarray(smooth * Matern(lengths, nu=2.5)(a, b) + laws)


def _conditional(
    process: GaussianProcess, x: np.ndarray, z: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a normal distribution, the values at `x` being known, by its definition."""
    noise = np.exp(2 * process.parameters[NOISE]) + 1e-10
    inverse = np.linalg.inv(_covariance(process, x, x) + noise * np.eye(len(z)))
    between = _covariance(process, points, x)
    variance = np.diag(_covariance(process, points, points) - between @ inverse @ between.T)
    return between @ inverse @ z, np.sqrt(variance)


def test_predictions_are_those_of_the_conditional_distribution() -> None:
    x, y = _data()
    process = GaussianProcess(GROUPS)
    process.fit(x, y)
    points = np.random.default_rng(1).random((20, len(GROUPS)))
    mean, std = process.predict(points)
    expected, deviation = _conditional(process, x, (y - y.mean()) / y.std(), points)
    np.testing.assert_allclose(mean, expected * y.std() + y.mean(), atol=1e-8)
    np.testing.assert_allclose(std, deviation * y.std(), atol=1e-8)
    np.testing.assert_allclose(process.mean(points), mean)


def test_held_out_predictions_are_those_of_models_without_the_point() -> None:
    x, y = _data(20)
    process = GaussianProcess(GROUPS)
    process.fit(x, y)
    z = (y - y.mean()) / y.std()
    mean, _ = process.held_out()
    for row in range(len(y)):
        kept = np.arange(len(y)) != row
        expected, _ = _conditional(process, x[kept], z[kept], x[[row]])
        assert mean[row] == pytest.approx(expected[0] * y.std() + y.mean(), abs=1e-8)


def test_the_gradient_is_that_of_finite_differences() -> None:
    x, y = _data()
    process = GaussianProcess(GROUPS)
    z, laws = (y - y.mean()) / y.std(), [law @ law.T for law in _laws(x)]
    logs = process.parameters + np.random.default_rng(2).normal(size=len(process.parameters)) * 0.3
    _, gradient = process._loss(logs, x, z, *laws)
    steps = np.eye(len(logs)) * 1e-5
    differences = [
        (process._loss(logs + s, x, z, *laws)[0] - process._loss(logs - s, x, z, *laws)[0]) / 2e-5
        for s in steps
    ]
    np.testing.assert_allclose(gradient, differences, atol=1e-4)


def test_two_categories_are_as_far_apart_as_the_ends_of_an_ordinal_decision() -> None:
    space = load_space("nasbench201")
    batch = space.sample(50, seed=0)
    x = Inputs.of(space, None)(batch)
    squares = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squares, (batch.codes[:, None] != batch.codes[None]).sum(axis=2))


def _problem(space: Space, n: int, seed: int) -> tuple[ArchBatch, np.ndarray, np.ndarray]:
    """Architectures, a smooth function of their decisions, and that with a tenth of noise."""
    rng = np.random.default_rng(seed)
    batch = space.sample(n, seed=seed)
    x = Inputs.of(space, None)(batch)
    truth = np.tanh((x - 0.5) @ rng.normal(size=x.shape[1]) / 4)
    return batch, truth, truth + 0.1 * truth.std() * rng.normal(size=len(truth))


def test_intervals_hold_nearly_what_they_state() -> None:
    space, inside = load_space("elasticvit"), []
    for seed in range(6):
        batch, truth, noisy = _problem(space, 160, seed)
        model = Surrogate(space)
        model.fit(batch[:60], noisy[:60])
        mean, std = model.predict(batch[60:])
        inside.append(np.abs(mean - truth[60:]) < 1.96 * std)
    assert 0.85 <= np.mean(inside) <= 1


def test_less_certain_values_help() -> None:
    space = load_space("elasticvit")
    batch, truth, noisy = _problem(space, 260, 0)
    alone, helped = Surrogate(space), Surrogate(space)
    fitted, rest, tested = np.arange(60), np.arange(60, 160), np.arange(160, 260)
    alone.fit(batch[fitted], noisy[fitted])
    variances = np.full(len(rest), (0.1 * truth.std()) ** 2)
    helped.fit(batch[fitted], noisy[fitted], None, Further(batch[rest], noisy[rest], None, variances))
    errors = [np.mean((model.mean(batch[tested]) - truth[tested]) ** 2) for model in (alone, helped)]
    assert errors[1] < 0.8 * errors[0] < truth.var()


def test_a_surrogate_follows_from_the_evaluations_alone() -> None:
    space = load_space("nasbench201")
    batch = space.sample(45, seed=3)
    values = batch.codes.sum(axis=1) + np.random.default_rng(0).normal(size=len(batch))
    at_once, in_parts = Surrogate(space, seed=1), Surrogate(space, seed=1)
    for n in (9, 20, 45):
        in_parts.fit(batch[:n], values[:n])
    at_once.fit(batch, values)
    np.testing.assert_array_equal(at_once.mean(batch), in_parts.mean(batch))
