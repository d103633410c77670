"""An array of metric values that knows its unit and how each value was obtained."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nas.latency.times import CodeArray, FloatArray
from nas.metrics import PROVENANCES, Metric


class MetricArray(np.ndarray[Any, np.dtype[np.float64]]):
    """Values of one metric, float64 `(n,)`.

    Indexing keeps unit, provenance and interval; arithmetic gives a plain array, for what it yields is no
    longer this metric.

    Attributes:
        unit: e.g. `"ms"`.
        codes: positions in `nas.metrics.PROVENANCES`, uint8 `(n,)`.
        low, high: ends of the 90 % interval, float64 `(n,)`, in `unit`.
        detail: what the values refer to, e.g. the device.
    """

    unit: str
    codes: CodeArray
    low: FloatArray
    high: FloatArray
    detail: str

    def __new__(
        cls,
        values: FloatArray,
        *,
        unit: str,
        codes: CodeArray,
        low: FloatArray,
        high: FloatArray,
        detail: str = "",
    ) -> Self:
        array = np.asarray(values, dtype=np.float64).view(cls)
        array.unit, array.detail = unit, detail
        array.codes, array.low, array.high = codes, low, high
        return array

    @property
    def provenance(self) -> str | NDArray[np.str_]:
        """`"predicted"` where all values have one provenance, otherwise one per value, shape `(n,)`."""
        names = np.array(PROVENANCES)[self.codes]
        return str(names.flat[0]) if names.size and (names == names.flat[0]).all() else names

    def metric(self, index: int) -> Metric:
        """The value at `index` as a `Metric`."""
        low, high = float(self.low[index]), float(self.high[index])
        exact = low == high
        return Metric(
            value=float(self[index]),
            unit=self.unit,
            provenance=PROVENANCES[self.codes[index]],
            low=None if exact else low,
            high=None if exact else high,
            detail=self.detail,
        )

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        if not isinstance(part, np.ndarray):
            return part
        kept = {name: getattr(self, name)[index] for name in ("codes", "low", "high")}
        return MetricArray(part, unit=self.unit, detail=self.detail, **kept)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain
