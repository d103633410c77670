"""The sections of the report: what stands in each, in words, figures and tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import plotly.graph_objects as go

from nas.report.breakdown import breakdown_data, draw_breakdown
from nas.report.conflict import conflict_data, draw_conflict
from nas.report.course import course_data, course_lead, course_table, draw_course
from nas.report.decisions import decision_data, draw_decisions
from nas.report.front import Panel, View, panels
from nas.report.front_figure import draw_view
from nas.report.generator import (
    draw_feasible,
    draw_matters,
    draw_moved,
    draw_progress,
    draw_shift,
    generator_data,
    generator_lead,
    responses_table,
)
from nas.report.hypervolume import draw_hypervolume, hypervolume_data
from nas.report.measured import draw_measured, measured_data
from nas.report.predictor import draw_error, draw_predictor, predictor_data
from nas.report.retraining import draw_retraining_loss, draw_retraining_rate, retraining_data
from nas.report.snapshot import Snapshot
from nas.report.tables import deviations_table, escaped, facts_list, front_table, sampler_list
from nas.report.training import draw_loss, draw_rate, training_data
from nas.report.units import duration, percent, signed
from nas.report.words import listed


@dataclass(frozen=True)
class Plot:
    """A figure in the page.

    Attributes:
        figure, narrow: the same traces, laid out for a wide and for a narrow place.
        label: what it shows, for those who cannot see it; plain text.
        heading, caption: HTML.
        wide: takes a whole row.
    """

    figure: go.Figure
    narrow: go.Figure
    label: str
    heading: str = ""
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A section of the page; `lead`, `after` are HTML."""

    slug: str
    title: str
    lead: str
    plots: list[Plot] = field(default_factory=list)
    after: str = ""


def sections(snapshot: Snapshot) -> list[Section]:
    """Every section in order; one without data says so in a sentence."""
    makers: tuple[Callable[[Snapshot], Section], ...] = (
        front_section,
        members_section,
        hypervolume_section,
        *([course_section] if snapshot.series["course"] else []),
        *([generator_section] if snapshot.series["generator"] else []),
        decisions_section,
        breakdown_section,
        *([measured_section] if measured_data(snapshot) else []),
        predictor_section,
        training_section,
        *([retraining_section] if snapshot.retrainings else []),
        conflict_section,
        run_section,
    )
    return [make(snapshot) for make in makers]


def _plot(draw: Callable[..., go.Figure], label: str, **rest: str | bool) -> Plot:
    return Plot(draw(narrow=False), draw(narrow=True), label, **rest)  # type: ignore[arg-type]


def front_section(snapshot: Snapshot) -> Section:
    """The Pareto front, a plot for each view of each pair of objectives."""
    single = len(snapshot.study.objectives) == 1
    made = Section("front", "Best so far" if single else "Pareto front", "")
    found = [(panel, view) for panel in panels(snapshot) for view in panel.views]
    if not found:
        return Section(made.slug, made.title, "No trial has a value for the objectives yet.")
    lead = (
        "Each point is an architecture; the line is the best value found so far."
        if single
        else "Each point is an architecture. The front is what nothing else evaluated beats in one objective"
        " without being worse in another. Bars are intervals: 95 % for accuracies on the images at hand, the"
        " stated error for predicted latencies."
    )
    if len(snapshot.study.objectives) > 2:
        lead += " A front member that looks dominated in one plot is better in another objective."
    if snapshot.facts.get("marked"):
        lead += " Hollow points (≈) have an accuracy within the interval of a cheaper point."
    several = len({panel.x.name + panel.y.name for panel, _ in found}) > 1
    plots = [_front_plot(panel, view, several) for panel, view in found]
    return Section(made.slug, made.title, lead, plots)


def _front_plot(panel: Panel, view: View, several: bool) -> Plot:
    alone = len(panel.views) == 1
    stage = {"search": "During the search", "final": "Final evaluation"}[view.stage]
    details = f"<small>{escaped('; '.join(view.details))}</small>" if view.details else ""
    about = escaped(f"{panel.x.title}, {stage.lower()}" if several else stage)
    heading = "" if alone and not details and not several else f"{about} {details}"
    label = f"{panel.y.title} against {panel.x.title}, {stage.lower()}: {len(view.front)} front members"
    notes = []
    for points, total, name in (
        (view.dominated, view.dominated_total, "dominated"),
        (view.infeasible, view.infeasible_total, "infeasible"),
    ):
        if len(points) < total:
            notes.append(f"{len(points):,} of {total:,} {name} trials are drawn.")
    if view.outside:
        points_lie = "1 point lies" if view.outside == 1 else f"{view.outside:,} points lie"
        notes.append(f"{points_lie} outside the plot; a double click with the mouse shows everything.")
    draw = partial(draw_view, panel, view)
    return _plot(draw, label, heading=heading, caption=" ".join(notes), wide=alone)


def members_section(snapshot: Snapshot) -> Section:
    """The table of the front."""
    lead = "Click a head to sort; <code>nas show ARCH</code> prints everything about one of them."
    if not snapshot.front:
        return Section("members", "Members of the front", "The front is empty.")
    marked = any(str(trial.number) in (snapshot.facts.get("marked") or {}) for trial in snapshot.front)
    if marked:
        lead += (
            " <span class=note>≈ trial n</span> marks an accuracy within the interval of the cheaper trial n:"
            " the images do not tell the two apart."
        )
    return Section("members", "Members of the front", lead, after=front_table(snapshot))


def hypervolume_section(snapshot: Snapshot) -> Section:
    """Hypervolume by evaluations and by wall time."""
    data = hypervolume_data(snapshot)
    name = "Hypervolume"
    if not len(data.values):
        return Section("hypervolume", name, "This study recorded no hypervolume.")
    lead = (
        "What the front covers between itself and the reference point, which is fixed for the study:"
        f" {escaped(data.reference)}. It can only grow."
    )
    plots = [
        _plot(
            partial(draw_hypervolume, data, "evaluations"), "Hypervolume by evaluations", wide=not data.timed
        )
    ]
    if data.timed:
        plots.append(_plot(partial(draw_hypervolume, data, "time"), "Hypervolume by wall time"))
    return Section("hypervolume", name, lead, plots)


def course_section(snapshot: Snapshot) -> Section:
    """The walk of a slimming search."""
    course = course_data(snapshot)
    name = "What was cut, step by step"
    if course is None:
        return Section("course", name, "This study has no cost to follow.")
    plot = _plot(partial(draw_course, course), "Cross-entropy against cost along the walk", wide=True)
    return Section("course", name, course_lead(snapshot, course), [plot], course_table(course))


def generator_section(snapshot: Snapshot) -> Section:
    """The inquisitor's view: which decision matters, and how the generator's distribution moved."""
    view = generator_data(snapshot)
    name = "What the generator learned"
    if view is None:
        return Section("generator", name, "This study has no generator.")
    lead = generator_lead(view, lambda name: f"<code>{escaped(name)}</code>")
    plots = []
    if view.skill is not None:
        plots.append(_plot(partial(draw_matters, view), "How much utility depends on each decision"))
    plots += [
        _plot(partial(draw_moved, view), "How far the distribution of each decision moved"),
        _plot(partial(draw_shift, view), "Shares of each value at first and at last", wide=True),
        _plot(partial(draw_progress, view), "Best utility by evaluations"),
        _plot(partial(draw_feasible, view), "Feasible share of the generator's samples by evaluations"),
    ]
    return Section("generator", name, lead, plots, responses_table(view))


def decisions_section(snapshot: Snapshot) -> Section:
    """The front's decisions against the space's."""
    data = decision_data(snapshot)
    name = "What the front is made of"
    if not data.shown:
        return Section("decisions", name, "There is no front whose decisions could be compared.")
    furthest = sorted(data.shown, key=lambda one: one.distance, reverse=True)[:3]
    told = listed([f"<code>{escaped(one.name)}</code>" for one in furthest])
    lead = (
        f"Share of each value among the {data.n:,} front members (blue) and in {data.against} (grey)."
        f" The front differs most in {told}."
    )
    if data.left_out:
        lead += f" {data.left_out:,} more decisions differ less and are not drawn."
    plot = _plot(partial(draw_decisions, data), "Decisions on the front and in the space", wide=True)
    return Section("decisions", name, lead, [plot])


def breakdown_section(snapshot: Snapshot) -> Section:
    """Latency by stage, a plot for each device."""
    found = breakdown_data(snapshot)
    name = "Latency by stage"
    if not found:
        why = (
            "Latencies are broken down at the end of a run, for its front and the presets; this one did not get there."
            if snapshot.study.config.get("devices")
            else "This run has no device, so there are no latencies to break down."
        )
        return Section("breakdown", name, why)
    lead = "Where each network spends its time, fastest on top; presets in bold."
    plots = []
    for data in found:
        left = f"{data.left_out:,} more front members are not drawn." if data.left_out else ""
        draw = partial(draw_breakdown, data)
        plots.append(_plot(draw, f"Latency by stage on {data.device}", caption=left, wide=True))
    return Section("breakdown", name, lead, plots)


def measured_section(snapshot: Snapshot) -> Section:
    """Predicted against measured latency of the front."""
    plots, told = [], []
    for data in measured_data(snapshot):
        n, held = len(data.trials), int(data.held.sum())
        told.append(
            f"<code>{escaped(data.name)}</code>: {held:,} of {n:,} measured latencies lie inside the interval that was"
            f" predicted; the mean absolute error is <strong>{percent(data.error)}</strong>."
        )
        plots.append(
            _plot(partial(draw_measured, data), f"Predicted against measured {data.name}", wide=True)
        )
    lead = "Members of the front, timed on the device itself. " + " ".join(told)
    return Section("measured", "Predicted and measured latency", lead, plots)


def predictor_section(snapshot: Snapshot) -> Section:
    """Predicted against evaluated accuracy."""
    data = predictor_data(snapshot)
    name = "Accuracy predictor"
    if not len(data.trials):
        lead = "This run predicted no accuracies before evaluating them."
        return Section("predictor", name, lead + _cheaply(snapshot))
    n = len(data.trials)
    were = "accuracy was" if n == 1 else "accuracies were"
    lead = (
        f"{n:,} {were} predicted from earlier evaluations and then evaluated. The mean absolute error is"
        f" <strong>{100 * data.error:.2f}</strong> percentage points, the mean error"
        f" {signed(100 * data.bias)}."
    )
    if math.isfinite(data.kendall):
        lead += f" The ranks agree with Kendall τ = <strong>{data.kendall:.2f}</strong>."
    lead += _cheaply(snapshot)
    plots = [
        _plot(partial(draw_predictor, data), "Predicted against evaluated accuracy"),
        _plot(partial(draw_error, data), "Error of the prediction by trial"),
    ]
    return Section("predictor", name, lead, plots)


def _cheaply(snapshot: Snapshot) -> str:
    """What cheap looks, and the number of search images, could tell; nothing where the run noted neither."""
    looks, images = snapshot.facts.get("looks") or {}, snapshot.facts.get("search_images") or {}
    said = ""
    if looks:
        said += (
            f" {looks['n']:,} candidates were looked at on few images before {looks['evaluated']:,} of them were"
            " evaluated"
        )
        agreed = looks.get("kendall")
        said += (
            "." if agreed is None else f"; both orders agree with Kendall τ = <strong>{agreed:.2f}</strong>."
        )
    if images:
        said += (
            f" {images['n']:,} search images can rank these networks at an expected Kendall τ of"
            f" {images['kendall']:.2f}."
        )
    return said


def training_section(snapshot: Snapshot) -> Section:
    """Loss, learning rate, sampler and deviations."""
    data = training_data(snapshot)
    name = "Supernet training"
    tables = sampler_list(snapshot)
    deviations = deviations_table(snapshot)
    if deviations:
        tables += f"<h3>Differences from the recipe <code>paper</code></h3>{deviations}"
    if not data.lines:
        return Section(
            "training", name, "This study trained no supernet, so there is no loss to show.", after=tables
        )
    time = f" in {duration(data.wall_s)}" if math.isfinite(data.wall_s) else ""
    n = len(snapshot.series["train"])
    lead = f"Loss of each step’s subnets by the level of MACs they were drawn at; {n:,} steps{time}."
    if data.minimum is not None:
        lead += " The dotted line is the minimum subnets."
    if data.skipped:
        lead += (
            f" <strong>{data.skipped:,}</strong> {'step was' if data.skipped == 1 else 'steps were'} skipped."
        )
    plots = [_plot(partial(draw_loss, data), "Training loss by level of MACs", wide=True)]
    if len(data.rates):
        plots.append(_plot(partial(draw_rate, data), "Learning rate by step", wide=True))
    return Section("training", name, lead, plots, tables)


def retraining_section(snapshot: Snapshot) -> Section:
    """Loss and learning rate of the networks that were retrained."""
    data = retraining_data(snapshot)
    lead = f"Loss of {len(data):,} {'network' if len(data) == 1 else 'networks'} trained alone, each by its own recipe."
    plots = [
        _plot(partial(draw_retraining_loss, data), "Training loss of retrained networks", wide=True),
        _plot(partial(draw_retraining_rate, data), "Learning rate of retrained networks", wide=True),
    ]
    return Section("retraining", "Retraining", lead, plots)


def conflict_section(snapshot: Snapshot) -> Section:
    """Cosine between gradients against the difference in MACs."""
    data = conflict_data(snapshot)
    name = "Gradient conflict"
    if not len(data.cosine):
        return Section("conflict", name, "This run measured no gradient conflict.")
    lead = (
        "Cosine between the gradients of two subnets on the same batch, over the weights they share;"
        f" {len(data.cosine):,} pairs. Below zero they pull against each other: {percent(data.opposed)}."
    )
    if math.isfinite(data.spearman):
        lead += f" Rank correlation with the difference in MACs: <strong>{signed(data.spearman)}</strong>."
    if len(data.centres):
        lead += " The line is the mean of neighbouring pairs."
    return Section(
        "conflict",
        name,
        lead,
        [_plot(partial(draw_conflict, data), "Gradient cosine against difference in MACs", wide=True)],
    )


def run_section(snapshot: Snapshot) -> Section:
    """What must be known to repeat the run."""
    return Section("run", "The run", "What is needed to repeat it.", after=facts_list(snapshot))
