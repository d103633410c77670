"""Plug-in files for the tests: what they hold, and a space for each."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "your-own-block.md"


def of_page(file: str) -> str:
    """A file of the page about blocks."""
    match = re.search(rf"^```\w+ {re.escape(file)}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def write_block(folder: Path, name: str = "my_blocks.py") -> Path:
    """The block of the page, and its space `mine.yaml` beside it."""
    (folder / "mine.yaml").write_text(of_page("mine.yaml"))
    path = folder / name
    path.write_text(of_page("my_blocks.py"))
    return path


STRATEGY = """
import nas.plugins
from nas.search.strategies import Strategy

@nas.plugins.strategy("{name}")
class Plain(Strategy):
    def propose(self, n):
        return self.fresh(n)
"""
METRIC = """
import nas.plugins
from nas.blocks.counting import macs

@nas.plugins.metric("{name}", unit="mJ", combine="{combine}")
def cost(unit, sizes):
    return 2 * macs(unit, sizes)
"""
TABLE = "version: 1\nname: toy\ndecisions: {a: [1, 2, 3, 4], b: [1, 2, 3, 4]}\n"


def write_table(folder: Path) -> dict[str, str]:
    """A space without networks, `toy.yaml`, and its measured numbers; the arguments of `nas.run` for them."""
    (folder / "toy.yaml").write_text(TABLE)
    rows = [f"{a},{b},{(a + b) / 10},{a * b}" for a in range(1, 5) for b in range(1, 5)]
    (folder / "measured.csv").write_text("\n".join(["a,b,top1,ms", *rows]))
    return {"accuracy": "table:measured.csv#top1", "latency": "table:measured.csv#ms"}
