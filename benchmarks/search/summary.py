"""A Markdown table of results: medians and quartiles over seeds, and who is first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.search.measure import Plan, Result

DEFAULT = "predictor"

HEAD = """# Search strategies beside each other

Each cell: the median over seeds of the share of the reachable hypervolume that all evaluated architectures cover, by
their true values; in parentheses both quartiles. In bold: the first of a column, and whoever's median is not below the
first one's lower quartile. CPU: milliseconds that proposing took per evaluation, the median at the largest budget.
"""


@dataclass(frozen=True)
class Cell:
    """What seeds reached."""

    low: float
    median: float
    high: float
    seeds: int

    def text(self, best: bool, usual: int) -> str:
        """As the table has it; the number of seeds where it is not the usual one."""
        median = f"**{self.median:.3f}**" if best else f"{self.median:.3f}"
        seeds = "" if self.seeds == usual else f", {self.seeds} seed{'' if self.seeds == 1 else 's'}"
        return f"{median} ({self.low:.3f}–{self.high:.3f}{seeds})"


def summary(results: Mapping[Plan, Result]) -> str:
    """All tables, one for each task."""
    names = dict.fromkeys(plan.task for plan in results)
    return "\n".join([HEAD, *_behind(names, results), *(_table(task, results) for task in names)])


def _behind(tasks: Iterable[str], results: Mapping[Plan, Result]) -> Iterator[str]:
    """Where the default strategy is neither first nor within the spread of the first."""
    seen, behind = 0, []
    for task in tasks:
        found = cells(task, results)
        for budget in sorted({budget for name, budget in found if name == DEFAULT}):
            column = {name: cell for (name, at), cell in found.items() if at == budget}
            first = max(column, key=lambda name: column[name].median)
            seen += 1
            if column[DEFAULT].median < leading(list(column.values())):
                ours, theirs = column[DEFAULT].median, column[first].median
                behind.append(f"* {task}, {budget} evaluations: {ours:.3f}, `{first}` {theirs:.3f}")
    if seen:
        rest = ", but for:\n" if behind else "."
        where = f"{seen - len(behind)} of {seen} columns{rest}"
        yield f"`{DEFAULT}`, the default, is first or within the spread of the first in {where}"
        yield from [*behind, ""]


def cells(task: str, results: Mapping[Plan, Result]) -> dict[tuple[str, int], Cell]:
    """By competitor and budget."""
    shares: dict[tuple[str, int], list[float]] = {}
    for plan, result in results.items():
        if plan.task == task:
            shares.setdefault((plan.competitor, plan.budget), []).append(result.share)
    return {key: _cell(values) for key, values in shares.items()}


def leading(column: Sequence[Cell]) -> float:
    """The least median that is within the spread of the first."""
    return max(column, key=lambda cell: cell.median).low


def _cell(shares: Sequence[float]) -> Cell:
    low, median, high = np.quantile(shares, (0.25, 0.5, 0.75))
    return Cell(float(low), float(median), float(high), len(shares))


def _table(task: str, results: Mapping[Plan, Result]) -> str:
    return "\n".join(_lines(task, results))


def _lines(task: str, results: Mapping[Plan, Result]) -> Iterator[str]:
    found = cells(task, results)
    budgets = sorted({budget for _, budget in found})
    least = {at: leading([cell for (_, budget), cell in found.items() if budget == at]) for at in budgets}
    most = max(cell.seeds for cell in found.values())
    yield f"## {task}\n\n{most} seeds, where a cell names no other number.\n"
    yield f"| | {' | '.join(map(str, budgets))} | CPU ms |"
    yield f"|---|{'---|' * (len(budgets) + 1)}"
    for name in dict.fromkeys(name for name, _ in found):
        row = [found.get((name, budget)) for budget in budgets]
        texts = [
            "" if cell is None else cell.text(cell.median >= least[at], most)
            for at, cell in zip(budgets, row)
        ]
        yield f"| `{name}` | {' | '.join(texts)} | {_cpu(task, name, results):.1f} |"
    yield ""


def _cpu(task: str, name: str, results: Mapping[Plan, Result]) -> float:
    """Milliseconds per evaluation at the largest budget."""
    own = [
        (plan.budget, r.cpu_s) for plan, r in results.items() if (plan.task, plan.competitor) == (task, name)
    ]
    largest = max(budget for budget, _ in own)
    return 1e3 * float(np.median([cpu for budget, cpu in own if budget == largest]))
