"""The report of a study: what its figures show, how they are drawn, and the page around them.

Every figure is a function that gathers its data from a `Snapshot` and one that draws that data, so
that another front end can draw the same figures.
"""

from __future__ import annotations

from nas.report.write import write_report

__all__ = ["write_report"]
