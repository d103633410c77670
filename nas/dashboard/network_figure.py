"""Drawing a network: a row for each block, its width, MACs and latency to scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from nas.dashboard.network import Block, Network, Unit
from nas.report import style
from nas.report.units import quantity, scale_for, significant
from nas.report.words import plain

ROW = 19  # pixels
_GAP = 0.035
_TEXT = {False: 2.6, True: 3.7}  # end of the first axis in halves of the widest block: room for text


@dataclass(frozen=True)
class Column:
    """Bars of one column, in the network's units from first to last.

    Attributes:
        rows: block of each bar; `starts`, `lengths`: where it begins and how long it is, in shown units.
        texts: hover texts; `totals`: what stands beside a block's bars.
    """

    title: str
    rows: list[int]
    starts: list[float]
    lengths: list[float]
    texts: list[str]
    totals: list[str]


def columns(data: Network) -> list[Column]:
    """Widths, MACs and each device's latency; every bar's length is proportional to its number."""
    found = [_widths(data), _macs(data)]
    found += [_latency(data, index) for index in range(len(data.devices))]
    return found


def _widths(data: Network) -> Column:
    channels = [float(block.channels) for block in data.blocks]
    sides = [f"{block.channels} × {_side(block)}" for block in data.blocks]
    texts = [
        f"<b>{plain(block.name)}</b><br>{block.channels} channels, {_side(block, True)}"
        for block in data.blocks
    ]
    rows = list(range(len(channels)))
    return Column("Channels × size", rows, [-width / 2 for width in channels], channels, texts, sides)


def _side(block: Block, long: bool = False) -> str:
    height, width = block.side
    return f"{height} × {width}" if long or height != width else f"{height}²"


def _macs(data: Network) -> Column:
    scale = scale_for("MACs", [block.macs for block in data.blocks])
    parts = list(
        _stacked(data, [[unit.macs * scale.factor for unit in block.units] for block in data.blocks])
    )
    texts = [_about(data.blocks[row], unit, quantity(unit.macs, "MACs")) for row, unit, _, _ in parts]
    totals = [significant(block.macs * scale.factor) for block in data.blocks]
    return _column(f"MACs ({scale.axis})" if scale.axis else "MACs", parts, texts, totals)


def _latency(data: Network, index: int) -> Column:
    parts = list(_stacked(data, [[unit.ms[index] for unit in block.units] for block in data.blocks]))
    texts = [
        _about(data.blocks[row], unit, f"{significant(unit.ms[index])} ms, {unit.provenances[index]}")
        for row, unit, _, _ in parts
    ]
    totals = [significant(block.ms(index)) for block in data.blocks]
    return _column(f"ms on {data.devices[index]}", parts, texts, totals)


def _stacked(data: Network, values: list[list[float]]) -> Iterator[tuple[int, Unit, float, float]]:
    """(block, unit, start, length) of each bar; a block's bars stand behind one another."""
    for row, (block, lengths) in enumerate(zip(data.blocks, values)):
        starts = np.concatenate([[0.0], np.cumsum(lengths)])
        yield from zip([row] * len(lengths), block.units, starts.tolist(), lengths)


def _column(
    title: str, parts: list[tuple[int, Unit, float, float]], texts: list[str], totals: list[str]
) -> Column:
    return Column(
        title,
        [row for row, *_ in parts],
        [part[2] for part in parts],
        [part[3] for part in parts],
        texts,
        totals,
    )


def _about(block: Block, unit: Unit, cost: str) -> str:
    sizes = [f"{plain(key)} {plain(value)}" for key, value in unit.sizes.items()]
    lines = [" · ".join(sizes[start : start + 4]) for start in range(0, len(sizes), 4)]
    head = f"<b>{plain(block.name)}</b>  {plain(unit.kind)}<br>{plain(cost)}"
    return "<br>".join([head, f"{quantity(unit.params, 'params')}", *lines])


def draw_network(data: Network, *, narrow: bool = False) -> go.Figure:
    """Blocks from top to bottom, in the colour of their stage."""
    found = columns(data)
    figure = style.figure(70 + ROW * len(data.blocks))
    colours = dict(zip(data.stages, style.ordered(len(data.stages))))
    by_row = [colours[block.stage] for block in data.blocks]
    share = (1 - _GAP * (len(found) - 1)) / len(found)
    for index, column in enumerate(found):
        suffix = "" if index == 0 else str(index + 1)
        _bars(figure, column, by_row, suffix)
        left = index * (share + _GAP)
        figure.update_layout(
            {f"xaxis{suffix}": _axis(column, [left, left + share], _TEXT[narrow] if index == 0 else None)}
        )
    figure.update_layout(
        barmode="overlay",
        bargap=0.22,
        showlegend=False,
        margin={"l": 44, "r": 6, "t": 34, "b": 6},
        yaxis={
            "tickvals": list(range(len(data.blocks))),
            "ticktext": [plain(block.name) for block in data.blocks],
            "range": [len(data.blocks) - 0.4, -0.6],
            "tickfont": {"size": 11},
            "showgrid": False,
            "fixedrange": True,
        },
    )
    return figure


def _bars(figure: go.Figure, column: Column, colours: list[str], suffix: str) -> None:
    figure.add_trace(
        go.Bar(
            orientation="h",
            y=column.rows,
            x=column.lengths,
            base=column.starts,
            marker={
                "color": [colours[row] for row in column.rows],
                "line": {"width": 0.8, "color": style.PAPER},
            },
            hovertext=column.texts,
            hoverinfo="text",
            xaxis=f"x{suffix}",
        )
    )
    ends = np.zeros(len(column.totals))
    np.maximum.at(ends, column.rows, np.array(column.starts) + np.array(column.lengths))
    figure.add_trace(
        go.Scatter(
            x=ends,
            y=list(range(len(ends))),
            mode="text",
            text=[f" {plain(text)}" for text in column.totals],
            textposition="middle right",
            textfont={"size": 10, "color": style.MUTED},
            hoverinfo="skip",
            cliponaxis=False,
            xaxis=f"x{suffix}",
        )
    )


def _axis(column: Column, domain: list[float], beside: float | None) -> dict[str, object]:
    ends = [start + length for start, length in zip(column.starts, column.lengths)]
    longest = max(ends, default=1.0) or 1.0
    span = [0, 1.45 * longest] if beside is None else [-1.1 * longest, beside * longest]
    return {
        "domain": domain,
        "range": span,
        "side": "top",
        "title": {"text": plain(column.title), "standoff": 4, "font": {"size": 12}},
        "showticklabels": False,
        "ticks": "",
        "showline": False,
        "zeroline": False,
        "showgrid": False,
        "fixedrange": True,
    }
