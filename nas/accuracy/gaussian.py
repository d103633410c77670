"""A Gaussian process of values on the coordinates of architectures.

The covariance is a Matérn-5/2 kernel with a length scale for each decision (automatic relevance determination), a
linear and a parabolic kernel (laws that add up over decisions and logarithms of costs) and noise. Its parameters
maximize the likelihood times a prior, by L-BFGS with analytic gradients. The prior of the length scales grows with the
root of the number of decisions, which is what lets such a process work in hundreds of dimensions.

Sources: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), algorithm 2.1 and equations 5.8 to
5.12 (leave-one-out); Hvarfner, Hellsten and Nardi, "Vanilla Bayesian Optimization Performs Great in High Dimensions"
(2024, arXiv 2402.02229), equation 8 (the prior).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SMOOTH, LINEAR, CURVED, NOISE, LENGTHS = range(5)
"""Places of the parameters, all logarithms: four standard deviations, then the length scales."""
PRIOR_MEAN, PRIOR_STD = 2**0.5, 3**0.5
"""Of the logarithm of a length scale, the root of the dimensions taken off (Hvarfner et al. 2024, equation 8)."""
SCALES = ((0.0, 1.0), (-1.0, 1.0), (-1.0, 1.0), (-2.0, 1.5))
"""Mean and deviation of the priors of the four standard deviations: values are standardized, so these are wide."""
LEAST_NOISE, MOST_NOISE = np.log(1e-3), 0.0
"""Bounds of the noise: what keeps the Cholesky factor finite, and as much noise as there is variation."""
STEPS = 40
"""L-BFGS iterations at most: the likelihood of shipped spaces changes by less than 0.1 in further ones."""
FITTED_ON = 250
"""Rows that the parameters are fitted on at most, for time, which grows with their cube."""
JITTER = 1e-10
ROOT5 = 5**0.5


@dataclass(frozen=True)
class _Solved:
    """The factor of a covariance matrix, `(n, n)`, and the weights `(n,)` of its rows."""

    factor: Floats
    weights: Floats


class GaussianProcess:
    """Values of points in the unit cube, with their uncertainty.

    Args:
        groups: which decision each coordinate belongs to, `(d,)`, from 0: coordinates of one share a length scale.

    Attributes:
        parameters: logarithms, see `LENGTHS`; the last fit begins where the one before ended.
    """

    def __init__(self, groups: Ints, parameters: Floats | None = None) -> None:
        self.groups = groups
        self._count = int(groups.max()) + 1 if len(groups) else 0
        self._median = PRIOR_MEAN + 0.5 * np.log(max(self._count, 1))
        self.parameters = self._first() if parameters is None else parameters
        self._mean, self._scale = 0.0, 1.0

    def fit(self, x: Floats, y: Floats, noise: Floats | None = None, *, tune: bool = True) -> None:
        """Fit to values `(n,)` at points `(n, d)`.

        Args:
            noise: variances `(n,)` of values noisier than the others, in the square of their unit; 0 elsewhere.
            tune: whether the parameters are fitted, too; else they stay.
        """
        self._mean, self._scale = float(y.mean()), float(y.std()) or 1.0
        own = np.zeros(len(y)) if noise is None else noise / self._scale**2
        z = (y - self._mean) / self._scale
        if tune and len(y) > 2:
            rows = np.unique(np.linspace(0, len(y) - 1, min(len(y), FITTED_ON)).astype(int))
            self.parameters = self._tuned(x[rows], z[rows])
        self._x = self._scaled(x)
        self._flat, self._bent = _laws(x)
        self._solved = self._solve(self._covariance() + np.diag(np.maximum(own, self._noise)), z)
        self._z = z

    def mean(self, x: Floats) -> Floats:
        """Expected values `(n,)`."""
        return np.asarray(self._between(x) @ self._solved.weights * self._scale + self._mean)

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Expected values and standard deviations `(n,)` of the values without noise."""
        between = self._between(x)
        mean = between @ self._solved.weights * self._scale + self._mean
        half = solve_triangular(self._solved.factor, between.T, lower=True, check_finite=False)
        smooth, linear, curved = np.exp(2 * self.parameters[:NOISE])
        flat, bent = _laws(x)
        own = smooth + linear * (flat**2).sum(axis=1) + curved * (bent**2).sum(axis=1)
        return mean, np.sqrt(np.maximum(own - (half**2).sum(axis=0), 0.0)) * self._scale

    def held_out(self) -> tuple[Floats, Floats]:
        """Expected value and standard deviation of each fitted value by all others, `(n,)`, noise included."""
        own = np.diag(_inverse(self._solved.factor))
        mean = self._z - self._solved.weights / own
        return mean * self._scale + self._mean, np.sqrt(1 / own) * self._scale

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise that all values have, in their unit."""
        return float(np.exp(self.parameters[NOISE])) * self._scale

    @property
    def _noise(self) -> float:
        return float(np.exp(2 * self.parameters[NOISE])) + JITTER

    def _first(self) -> Floats:
        scales = [mean for mean, _ in SCALES]
        return np.array([*scales, *[self._median] * self._count])

    def _scaled(self, x: Floats, parameters: Floats | None = None) -> Floats:
        logs = self.parameters if parameters is None else parameters
        return x * np.exp(-logs[LENGTHS:])[self.groups]

    def _covariance(self) -> Floats:
        smooth, linear, curved = np.exp(2 * self.parameters[:NOISE])
        laws = linear * (self._flat @ self._flat.T) + curved * (self._bent @ self._bent.T)
        return np.asarray(smooth * _matern(_squares(self._x, self._x)) + laws)

    def _between(self, x: Floats) -> Floats:
        smooth, linear, curved = np.exp(2 * self.parameters[:NOISE])
        squares = _squares(self._scaled(x), self._x)
        flat, bent = _laws(x)
        laws = linear * (flat @ self._flat.T) + curved * (bent @ self._bent.T)
        return np.asarray(smooth * _matern(squares) + laws)

    def _solve(self, covariance: Floats, z: Floats) -> _Solved:
        factor = cholesky(covariance, lower=True, check_finite=False)
        return _Solved(factor, cho_solve((factor, True), z, check_finite=False))

    def _tuned(self, x: Floats, z: Floats) -> Floats:
        """The parameters of greatest posterior density."""
        own = [(-5.0, 3.0), (-8.0, 3.0), (-8.0, 3.0), (LEAST_NOISE, MOST_NOISE)]
        bounds = [*own, *[(-3.0, 9.0)] * self._count]
        start = np.clip(self.parameters, *np.array(bounds).T)
        flat, bent = (law @ law.T for law in _laws(x))
        result = minimize(
            self._loss,
            start,
            args=(x, z, flat, bent),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": STEPS},
        )
        return np.asarray(result.x)

    def _loss(self, logs: Floats, x: Floats, z: Floats, flat: Floats, bent: Floats) -> tuple[float, Floats]:
        """Negative logarithm of likelihood times prior, and its gradient."""
        smooth, linear, curved, noise = np.exp(2 * logs[:LENGTHS])
        scaled = self._scaled(x, logs)
        squares = _squares(scaled, scaled)
        shape = _matern(squares)
        covariance = smooth * shape + linear * flat + curved * bent
        covariance[np.diag_indices(len(z))] += noise + JITTER
        try:
            solved = self._solve(covariance, z)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros(len(logs))
        weights = solved.weights
        loss = 0.5 * z @ weights + np.log(np.diag(solved.factor)).sum()
        outer = _inverse(solved.factor) - np.outer(weights, weights)  # twice the derivative by the covariance
        gradient = np.empty(len(logs))
        gradient[SMOOTH] = smooth * (outer * shape).sum()
        gradient[LINEAR] = linear * (outer * flat).sum()
        gradient[CURVED] = curved * (outer * bent).sum()
        gradient[NOISE] = noise * np.trace(outer)
        gradient[LENGTHS:] = self._by_lengths(outer * (smooth * _slope(squares)), scaled)
        prior, slope = self._prior(logs)
        return float(loss + prior), gradient + slope

    def _by_lengths(self, pull: Floats, scaled: Floats) -> Floats:
        """Derivatives by the logarithms of the length scales; `pull` is that by the squared distances, twice."""
        columns = scaled**2 * pull.sum(axis=1)[:, None] - scaled * (pull @ scaled)
        return np.asarray(-2.0 * np.bincount(self.groups, columns.sum(axis=0), minlength=self._count))

    def _prior(self, logs: Floats) -> tuple[float, Floats]:
        means = np.array([*[mean for mean, _ in SCALES], *[self._median] * self._count])
        stds = np.array([*[std for _, std in SCALES], *[PRIOR_STD] * self._count])
        apart = (logs - means) / stds
        return float(0.5 * (apart**2).sum()), apart / stds


def _laws(x: Floats) -> tuple[Floats, Floats]:
    """What a linear and a parabolic law read, `(n, d)` each: coordinates around their middle, and squares of these."""
    flat = x - 0.5
    return flat, 4 * flat**2 - 1 / 3


def _inverse(factor: Floats) -> Floats:
    """The inverse `(n, n)` of a matrix by its lower Cholesky factor."""
    lower, _ = dpotri(factor, lower=1)
    whole = np.tril(lower)
    return np.asarray(whole + np.tril(whole, -1).T)


def _squares(a: Floats, b: Floats) -> Floats:
    """Squared distances, `(n, m)`."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * (a @ b.T)
    return np.maximum(squares, 0.0, out=squares)


def _matern(squares: Floats) -> Floats:
    root = ROOT5 * np.sqrt(squares)
    return np.asarray((1 + root + root**2 / 3) * np.exp(-root))


def _slope(squares: Floats) -> Floats:
    """Derivative of the Matérn kernel by the squared distance."""
    root = ROOT5 * np.sqrt(squares)
    return np.asarray(-(5 / 6) * (1 + root) * np.exp(-root))
