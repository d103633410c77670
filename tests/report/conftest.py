"""Studies to draw: a whole one made once, and the odd ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from report_odd import ODD
from report_synthetic import Recipe, make_study, open_storage

from nas.report.snapshot import Snapshot, read_snapshot
from nas.store import Storage


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A storage with one whole study of 200 trials in it."""
    opened = open_storage(tmp_path_factory.mktemp("storage"))
    make_study(opened, Recipe())
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def snapshot(storage: Storage) -> Snapshot:
    """The whole study."""
    return read_snapshot(storage, "elasticvit-pixel6")


@pytest.fixture(params=list(ODD))
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Snapshot:
    """Each study that lacks something, or has more than most."""
    opened = open_storage(tmp_path)
    study = make_study(opened, ODD[request.param])
    return read_snapshot(opened, study.name)
