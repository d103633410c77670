"""How a study went: hypervolume, the accuracy predictor, the supernet's training."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from dash import Dash, Input, Output, State

from nas.dashboard import pieces
from nas.dashboard.drawn import drawing, payload
from nas.dashboard.feed import Feed
from nas.report.hypervolume import draw_hypervolume, hypervolume_data
from nas.report.measured import draw_measured, measured_data
from nas.report.predictor import draw_error, draw_predictor, predictor_data
from nas.report.retraining import draw_retraining_loss, draw_retraining_rate, retraining_data
from nas.report.snapshot import Snapshot
from nas.report.training import draw_loss, draw_rate, training_data
from nas.report.units import signed

Drawn = tuple[dict[str, Any] | None, dict[str, Any] | None, str]


def layout() -> list[Any]:
    """The sections without their numbers."""
    return [
        pieces.section(
            "hypervolume",
            "Hypervolume",
            pieces.plots(
                ("volume", "Hypervolume by evaluations"), ("volume-time", "Hypervolume by wall time")
            ),
        ),
        pieces.section(
            "predictor",
            "Predicted against measured",
            pieces.plots(
                ("predicted", "Predicted against evaluated accuracy"), ("error", "Error of each prediction")
            ),
        ),
        pieces.section(
            "measured",
            "Predicted and measured latency",
            pieces.plots(
                ("timed", "Predicted against measured latency"),
                ("timed-other", "Predicted against measured latency on another device"),
            ),
        ),
        pieces.section(
            "training",
            "Supernet training",
            pieces.plots(("loss", "Training loss by level of MACs"), ("rate", "Learning rate by step")),
        ),
        pieces.section(
            "retraining",
            "Retraining",
            pieces.plots(
                ("retraining-loss", "Training loss of retrained networks"),
                ("retraining-rate", "Learning rate of retrained networks"),
            ),
        ),
    ]


def register(app: Dash, feed: Feed) -> None:
    """Keep the sections up to date."""
    for slug, names, make in (
        ("hypervolume", ("volume", "volume-time"), volumes),
        ("predictor", ("predicted", "error"), predictions),
        ("measured", ("timed", "timed-other"), measured),
        ("training", ("loss", "rate"), training),
        ("retraining", ("retraining-loss", "retraining-rate"), retraining),
    ):
        _keep(app, feed, slug, names, make)


def _keep(app: Dash, feed: Feed, slug: str, names: tuple[str, str], make: Any) -> None:
    @app.callback(  # type: ignore[untyped-decorator]
        drawing(names[0]),
        drawing(names[1]),
        Output(f"{slug}-lead", "children"),
        Input("seen", "data"),
        State("study", "data"),
    )
    def draw(seen: Any, name: str) -> Any:
        pieces.await_study(seen, name)
        return make(feed.study(name))


def volumes(snapshot: Snapshot) -> Drawn:
    """Hypervolume by evaluations, by time, and what it is measured against."""
    data = hypervolume_data(snapshot)
    if not len(data.values):
        return None, None, "No hypervolume is recorded yet."
    keep = f"{snapshot.study.name} {snapshot.study.epoch}"
    timed = payload(partial(draw_hypervolume, data, "time"), keep=keep) if data.timed else None
    told = f"Between the front and the reference point, which is fixed for the study: {data.reference}."
    return payload(partial(draw_hypervolume, data, "evaluations"), keep=keep), timed, told


def predictions(snapshot: Snapshot) -> Drawn:
    """Evaluated over predicted accuracy, errors, and how well they agree."""
    data = predictor_data(snapshot)
    n = len(data.trials)
    if not n:
        return None, None, "No accuracy was predicted before its evaluation yet."
    told = (
        f"{n:,} predictions before the evaluation; mean absolute error {100 * data.error:.2f} percentage"
        f" points, mean error {signed(100 * data.bias)}."
    )
    if math.isfinite(data.kendall):
        told += f" The ranks agree with Kendall τ = {data.kendall:.2f}."
    keep = f"{snapshot.study.name} {snapshot.study.epoch}"
    return (
        payload(partial(draw_predictor, data), keep=keep),
        payload(partial(draw_error, data), keep=keep),
        told,
    )


def measured(snapshot: Snapshot) -> Drawn:
    """Measured over predicted latency of the front, on at most two devices."""
    found = measured_data(snapshot)
    if not found:
        return None, None, "No member of the front was timed on a device yet; nas measure does that."
    keep = f"{snapshot.study.name} {snapshot.study.epoch}"
    told = " ".join(
        f"{data.name}: {int(data.held.sum())} of {len(data.trials)} inside the predicted interval, mean"
        f" absolute error {100 * data.error:.1f} %."
        for data in found
    )
    first, second = (payload(partial(draw_measured, one), keep=keep) for one in (found[0], found[-1]))
    return first, second if len(found) > 1 else None, told


def training(snapshot: Snapshot) -> Drawn:
    """Loss by level, learning rate, and how far it is."""
    data = training_data(snapshot)
    if not data.lines:
        return None, None, "This study has trained no supernet."
    keep = f"{snapshot.study.name} {snapshot.study.epoch}"
    rate = payload(partial(draw_rate, data), keep=keep) if len(data.rates) else None
    told = f"Loss of each step’s subnets by the level of MACs; {len(snapshot.series['train']):,} steps."
    return payload(partial(draw_loss, data), keep=keep), rate, told


def retraining(snapshot: Snapshot) -> Drawn:
    """Loss and learning rate of the networks trained alone."""
    data = retraining_data(snapshot)
    if not data:
        return None, None, "No network of this study was trained alone yet; nas retrain does that."
    keep = f"{snapshot.study.name} {snapshot.study.epoch}"
    loss, rate = (
        payload(partial(draw, data), keep=keep) for draw in (draw_retraining_loss, draw_retraining_rate)
    )
    return loss, rate, f"{len(data):,} trained alone, each by its own recipe."
