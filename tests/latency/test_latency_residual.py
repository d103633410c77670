"""What does not add up: found where it is there, left alone where it is not, and applied everywhere alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.latency.device import Device, DeviceFile, Runtime, load_device
from nas.latency.fit import fit_predictor
from nas.latency.network_table import NetworkTable
from nas.latency.predictor import load_predictor
from nas.latency.report import DataFacts
from nas.latency.residual import Residual, fit_residual
from nas.latency.spread import sample_networks
from nas.latency.table import Entry, LatencyTable
from nas.latency.times import CODES, FloatArray
from nas.space.batch import ArchBatch
from nas.space.load import load_space

SPACE = load_space("elasticvit")
PHONE = load_device("pixel6")
FACTS = DataFacts(file="made.csv", sha256="0", source="made up", licence="none", units=0)
KINDS = ["attention", "ffn", "mbconv"]


def made_sums(count: int, seed: int = 0) -> dict[str, FloatArray]:
    rng = np.random.default_rng(seed)
    parts = rng.uniform(1, 10, (3, count))
    names = ("layers", "macs", "params", "elements", "side", "live")
    values = {name: rng.uniform(10, 100, count) for name in names}
    values |= {f"ms:{kind}": part for kind, part in zip(KINDS, parts)}
    return {**values, "latency": parts.sum(axis=0)}


def fitted(values: dict[str, FloatArray], measured: FloatArray) -> Residual:
    residual = fit_residual(values, np.full(len(measured), 0.01), measured, KINDS, seed=0)
    assert residual is not None
    return residual


def noise(count: int, size: float = 0.01) -> FloatArray:
    return np.exp(size * np.random.default_rng(9).standard_normal(count))


def test_networks_that_add_up_are_left_alone() -> None:
    values = made_sums(40)
    residual = fitted(values, values["latency"] * noise(40))
    assert residual.report.form == "none"
    assert (residual.correction(made_sums(9, 1)) == 0).all()
    assert residual.report.errors == residual.report.sums


def test_a_common_factor_is_found_from_few_networks() -> None:
    values = made_sums(8)
    residual = fitted(values, 1.3 * values["latency"] * noise(8))
    assert residual.report.form == "scale"
    assert np.exp(residual.correction(values)) == pytest.approx(np.full(8, 1.3), rel=0.02)
    assert residual.report.errors.mean < 0.03 < residual.report.sums.mean


@pytest.mark.parametrize("count", [30, 200])
def test_composition_is_learned(count: int) -> None:
    """Feed-forward time that half overlaps with the rest, on networks never seen."""
    values, fresh = made_sums(count), made_sums(500, 1)
    residual = fitted(values, (values["latency"] - 0.5 * values["ms:ffn"]) * noise(count))
    assert residual.report.form in ("linear", "trees")
    true = (fresh["latency"] - 0.5 * fresh["ms:ffn"]) * noise(500)
    predicted = fresh["latency"] * np.exp(residual.correction(fresh))
    assert np.abs(predicted / true - 1).mean() < 0.03
    half = residual.half_width(np.full(500, 0.01))
    assert 0.8 <= (np.abs(np.log(true / predicted)) <= half).mean() <= 0.99


def test_steps_need_trees() -> None:
    values, fresh = made_sums(300), made_sums(300, 1)
    law = {
        id(v): np.where(v["side"] > 60, 1.2, 1.0) * np.where(v["layers"] > 50, 1.15, 1.0)
        for v in (values, fresh)
    }
    residual = fitted(values, values["latency"] * law[id(values)])
    assert residual.report.form == "trees"
    predicted = np.exp(residual.correction(fresh))
    assert np.abs(predicted / law[id(fresh)] - 1).mean() < 0.03


def test_four_networks_are_too_few() -> None:
    values = made_sums(4)
    assert fit_residual(values, np.zeros(4), values["latency"], KINDS, seed=0) is None


def test_corrections_stay_within_what_was_measured() -> None:
    values = made_sums(40)
    measured = (values["latency"] - 0.5 * values["ms:ffn"]) * noise(40)
    residual = fitted(values, measured)
    far = {name: value * 1e4 for name, value in values.items()}
    ratio = np.log(measured / values["latency"])
    found = residual.correction(far)
    assert found.min() >= ratio.min() and found.max() <= ratio.max()
    assert residual.outside(far["latency"]).all()
    assert not residual.outside(values["latency"]).any()


def board(tmp_path: Path) -> tuple[Device, ArchBatch]:
    """A device that takes 1.2 times the phone's sum of units, known from 40 networks."""
    batch = sample_networks(SPACE, 40, seed=5)
    measured = 1.2 * np.asarray(PHONE.latency(SPACE, batch)) * noise(40, 0.005)
    networks = NetworkTable(
        (SPACE.name, arch, Entry(float(ms), "measured", "made up"))
        for arch, ms in zip(batch.to_dicts(), measured)
    )
    units = {}
    for slot in SPACE.lower(batch[:15]):
        rows = np.stack(np.broadcast_arrays(*[np.asarray(v) for v in slot.sizes.values()]), axis=-1)
        for row in np.atleast_2d(rows):
            sizes = dict(zip(slot.sizes, row.tolist()))
            ms = float(PHONE.unit_times(slot.kind, sizes).ms[0])
            if ms:
                units[slot.kind, tuple(row.tolist())] = Entry(ms, "measured", "made up")
    free = PHONE.file.free
    predictor = fit_predictor(
        LatencyTable(units),
        name="board",
        data=FACTS,
        networks=networks,
        spaces={SPACE.name: SPACE},
        free=free,
    )
    predictor.write(tmp_path / "predictor")
    file = PHONE.file.model_copy(update={"name": "board", "runtime": Runtime(name="made up")})
    return Device(file, tmp_path, None, load_predictor(tmp_path / "predictor")), batch


def test_a_device_learns_from_its_networks(tmp_path: Path) -> None:
    device, batch = board(tmp_path)
    assert isinstance(device.file, DeviceFile)
    residual = device.units.residual
    assert residual is not None
    assert residual.report.form != "none"
    fresh = sample_networks(SPACE, 300, seed=6)
    true = 1.2 * np.asarray(PHONE.latency(SPACE, fresh))
    latency = device.latency(SPACE, fresh)
    assert np.abs(np.asarray(latency) / true - 1).mean() < 0.03
    assert ((latency.low <= true) & (true <= latency.high)).mean() >= 0.85
    assert "40 measured networks, left out" in device.describe()
    one = [device.latency(SPACE, arch) for arch in fresh[:20]]
    for name in ("low", "high", "codes"):
        assert [getattr(x, name)[0] for x in one] == pytest.approx(
            list(getattr(latency, name)[:20]), rel=1e-6
        )
    assert [float(x[0]) for x in one] == pytest.approx(np.asarray(latency)[:20].tolist(), rel=1e-6)
    small = device.latency(SPACE, replace_resolution(batch))
    assert small.codes.max() <= CODES["estimated"]


def replace_resolution(batch: ArchBatch) -> ArchBatch:
    codes = batch.codes.copy()
    codes[:, [d.name for d in SPACE.decisions].index("resolution")] = 0
    return ArchBatch(SPACE, codes)
