"""The log of a search: what is added to it costs what is added, and nothing else of it is believed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from nas.errors import NasError
from nas.pipeline.search_log import LOG, SearchLog, logged


def test_lists_are_what_was_added_up_to_a_mark(tmp_path: Path) -> None:
    log = SearchLog(tmp_path / LOG)
    first = log.append({"codes": [[1, 2], [3, 4]], "values": [[0.1]]})
    second = log.append({"codes": [[5, 6]], "values": []})
    assert logged(log.path, first) == {"codes": [[1, 2], [3, 4]], "values": [[0.1]]}
    assert logged(log.path, second)["codes"] == [[1, 2], [3, 4], [5, 6]]
    assert dict(log.lengths) == {"codes": 3, "values": 1}


def test_going_on_from_an_earlier_mark_cuts_off_what_came_later(tmp_path: Path) -> None:
    log = SearchLog(tmp_path / LOG)
    first = log.append({"codes": [[1]]})
    log.append({"codes": [[2]]})
    again = SearchLog(log.path)
    assert again.go_on(first) == {"codes": [[1]]} and dict(again.lengths) == {"codes": 1}
    assert logged(log.path, again.append({"codes": [[3]]})) == {"codes": [[1], [3]]}


@pytest.mark.parametrize("damage", ["short", "altered", "missing"])
def test_a_log_that_was_damaged_is_not_believed(tmp_path: Path, damage: str) -> None:
    log = SearchLog(tmp_path / LOG)
    mark = log.append({"codes": [[1], [2]]})
    content = log.path.read_bytes()
    if damage == "missing":
        log.path.unlink()
    else:
        log.path.write_bytes(content[:-3] if damage == "short" else content.replace(b"2", b"7"))
    with pytest.raises(NasError, match="is missing" if damage == "missing" else "damaged or was altered"):
        logged(log.path, mark)


def test_a_batch_adds_what_it_adds_however_long_the_search(tmp_path: Path) -> None:
    log = SearchLog(tmp_path / LOG)
    sizes = [log.append({"codes": [[index % 10] * 20] * 5})["bytes"] for index in range(200)]
    added = [after - before for before, after in pairwise(sizes)]
    assert max(added) == min(added)
