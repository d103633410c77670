"""The network behind a point: a drawing to scale, its metrics and the commands that apply to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, html

from nas.dashboard import commands, pieces
from nas.dashboard.applying import means_for, weights_of
from nas.dashboard.choice import clicked, find, options
from nas.dashboard.drawn import drawing, graph, payload, place
from nas.dashboard.feed import Feed
from nas.dashboard.finding import Finder
from nas.dashboard.network import Network, network_data
from nas.dashboard.network_figure import draw_network
from nas.errors import NasError
from nas.report.candidates import Candidate
from nas.report.snapshot import Snapshot
from nas.report.units import significant
from nas.report.words import decision_lines
from nas.store import StudyRow

_APART = 0.005  # share of a latency from which a difference is told


def layout() -> list[Any]:
    """The panel without its numbers."""
    return [
        html.H2("Network"),
        html.Div(
            dcc.Dropdown(id="chosen", placeholder="Click a point, or choose here", className="grow"),
            className="bar",
        ),
        place("network", "Blocks of the chosen network with width, MACs and latency"),
        html.Div(id="about", className="about"),
    ]


def register(app: Dash, feed: Feed, finder: Finder, named: str | None) -> None:
    """Draw what is chosen."""

    @app.callback(  # type: ignore[untyped-decorator]
        drawing("network"),
        Output("about", "children"),
        Output("chosen", "options"),
        Output("chosen", "value"),
        Input(graph("front"), "clickData"),
        Input("chosen", "value"),
        Input("seen", "data"),
        State("study", "data"),
    )
    def draw(click: dict[str, Any] | None, chosen: str | None, seen: Any, name: str) -> Any:
        pieces.await_study(seen, name)
        snapshot = feed.study(name)
        if ctx.triggered_id == graph("front"):
            chosen = clicked(click) or chosen
        return (*_network(finder, snapshot, chosen, named), options(snapshot, chosen), chosen)


def _network(finder: Finder, snapshot: Snapshot, chosen: str | None, named: str | None) -> tuple[Any, Any]:
    """The drawing of what is chosen, and what there is to say of it."""
    if not chosen:
        return None, html.P(
            "Click a point of the front to see its network, block by block.", className="lead"
        )
    candidate = find(snapshot, chosen)
    if candidate is None:
        return None, html.P("This trial was taken back.", className="lead")
    network, told = look_up(finder, snapshot.study, candidate)
    figure = payload(partial(draw_network, network), keep=chosen) if network else None
    return figure, about(candidate, told, applying(finder, snapshot.study, candidate, named))


def applying(finder: Finder, study: StudyRow, candidate: Candidate, named: str | None) -> list[str]:
    """The commands that apply to a candidate, of this study and no other."""
    means = means_for(finder, study, candidate)
    return commands.of_arch(study.name, candidate, means, weights_of(study, candidate.arch_id), named)


def look_up(finder: Finder, study: StudyRow, candidate: Candidate) -> tuple[Network | None, list[str]]:
    """The network of a candidate, None where it cannot be drawn, and what must be said of it."""
    from nas.space.batch import Arch

    try:
        space = finder.space(study)
        arch = Arch(space, dict(candidate.arch))
        if arch.id != candidate.arch_id:
            return None, ["These decisions do not give the id that the study stored, so nothing is drawn."]
        devices, missing = finder.devices(study)
        network = network_data(space, arch, devices)
    except NasError as error:
        return None, [str(error)]
    return network, [*missing, *network.missing, *obtained(network), *sums(network)]


def obtained(network: Network) -> list[str]:
    """How the latencies of the blocks were obtained, for each device."""
    told = []
    for index, device in enumerate(network.devices):
        kinds = Counter(unit.provenances[index] for block in network.blocks for unit in block.units)
        counts = ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common())
        told.append(f"Latencies of its layers on {device}: {counts}.")
    return told


def sums(network: Network) -> list[str]:
    """Where a network's latency is not the sum of its blocks'."""
    told = []
    for index, (device, latency) in enumerate(zip(network.devices, network.latencies)):
        total = sum(block.ms(index) for block in network.blocks)
        if latency is not None and abs(total - latency.value) > _APART * latency.value:
            told.append(
                f"On {device} the blocks add up to {significant(total)} ms; with what is known of whole"
                f" networks the latency is {significant(latency.value)} ms ({latency.provenance})."
            )
    return told


def about(candidate: Candidate, told: list[str], lines: Sequence[str]) -> list[Any]:
    """Metrics, notes, commands and decisions of a candidate."""
    decisions = decision_lines(candidate.arch)
    if candidate.cheaper is not None:
        told = [*told, f"Its accuracy lies within the interval of the cheaper trial {candidate.cheaper}."]
    return [
        *[html.P(text, className="note") for text in told],
        html.H3([candidate.name, html.Small(html.Code(candidate.arch_id))]),
        pieces.metrics(candidate),
        *pieces.commands(lines),
        html.Details([html.Summary(f"{len(candidate.arch)} decisions"), *map(html.Div, decisions)]),
    ]
