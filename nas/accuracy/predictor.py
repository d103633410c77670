"""XGBoost predictor of expensive objectives from the features of a space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.space.batch import ArchBatch

Floats = NDArray[np.float64]
FOLDS = 3
ROUNDS, ABREAST = 100, 3


class ArchPredictor:
    """Predicts values of archs by boosted trees, in each round of boosting an average over trees of several subsamples.

    Args:
        extra: further features `(n, f)` of a batch, such as its costs.
        seed: of the subsampling.
        threads: for XGBoost.
    """

    def __init__(self, seed: int = 0, threads: int = 2) -> None:
        self.seed, self.threads = seed, threads
        self._mean, self._scale = 0.0, 1.0

    def fit(self, batch: ArchBatch, values: Floats, extra: Floats | None = None) -> None:
        """Fit to values `(n,)`, NaN left out."""
        import xgboost

        known = ~np.isnan(values)
        x, y = matrix(batch, extra)[known], values[known]
        self._mean, self._scale = float(y.mean()), float(y.std()) or 1.0
        self._model = xgboost.XGBRegressor(
            n_estimators=ROUNDS,
            num_parallel_tree=ABREAST,
            max_depth=3,
            learning_rate=0.1,
            subsample=0.8,
            colsample_bytree=0.5,
            min_child_weight=2,
            reg_lambda=2.0,
            n_jobs=self.threads,
            random_state=self.seed,
            tree_method="exact" if len(y) < 2000 else "hist",
        )
        self._model.fit(x, (y - self._mean) / self._scale)

    def predict(self, batch: ArchBatch, extra: Floats | None = None) -> Floats:
        """Predicted values `(n,)`."""
        x = matrix(batch, extra)
        return np.asarray(self._model.predict(x), dtype=np.float64) * self._scale + self._mean


def matrix(batch: ArchBatch, extra: Floats | None) -> NDArray[np.float32]:
    """Features `(n, f)`: the space's, and further columns."""
    own, _ = batch.space.features(batch)
    return own if extra is None else np.concatenate([own, extra.astype(np.float32)], axis=1)


def held_out_predictions(
    batch: ArchBatch, values: Floats, extra: Floats | None, *, seed: int, threads: int = 2
) -> Floats:
    """Prediction of each arch by a model that was not fitted on it (3 folds), `(n,)`."""
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(batch)) % FOLDS
    predicted = np.full(len(batch), np.nan)
    for k in range(min(FOLDS, len(batch))):
        inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        model = ArchPredictor(seed, threads)
        model.fit(batch[inside], values[inside], None if extra is None else extra[inside])
        predicted[outside] = model.predict(batch[outside], None if extra is None else extra[outside])
    return predicted


def rank_correlation(predicted: Floats, evaluated: Floats) -> float:
    """Kendall's τ-b of the pairs without NaN; NaN where it is not defined."""
    from scipy.stats import kendalltau

    known = ~(np.isnan(predicted) | np.isnan(evaluated))
    if known.sum() < 3:
        return float("nan")
    return float(kendalltau(predicted[known], evaluated[known]).statistic)
