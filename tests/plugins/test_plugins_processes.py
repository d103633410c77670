"""Other processes load what the driver loaded: Ray's workers, training processes and sweeps, and the exporter."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugin_samples import STRATEGY, write_block, write_table

import nas
import nas.plugins
from nas.errors import NasError
from nas.latency.profiling.exports import Exports, Wanted
from nas.latency.profiling.runtimes.base import runtime_of
from nas.latency.signature import format_signature
from nas.pipeline.progress import Silent
from nas.plugins import records
from nas.plugins.carried import Carried, CarriedPlugin, plugins_here
from nas.scale.cluster import connected
from nas.scale.sweep import sweep
from nas.scale.sweep_file import load_sweep
from nas.scale.workers import Workers
from nas.store import Storage

SMALL = ("threads=1", "train.steps=4", "train.batch=8", "evaluate.recalibrate=1", "evaluate.final_recalibrate=1",
         "evaluate.images=32", "search.batch=4")  # fmt: skip
OPEN = """
import pickle, sys
from nas.plugins import loaded
carried = pickle.loads(sys.stdin.buffer.read())
assert not loaded
thing = carried.open()
print(list(loaded), getattr(thing, "name", thing))
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder, entered, and Ray running."""
    folder, before = tmp_path_factory.mktemp("cluster"), Path.cwd()
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(Path(nas.__file__).parents[1])
    try:
        with connected():
            yield folder
    finally:
        os.chdir(before)


def test_workers_train_and_evaluate_a_block_of_ones_own(cluster: Path) -> None:
    write_block(cluster)
    common = {"settings": SMALL, "n_trials": 4, "strategy": "random", "seed": 1, "report": False}
    nas.run("mine.yaml", plugins=["my_blocks.py"], study_name="here", **common)
    workers = Workers("local", 1, asynchronous=False)
    nas.run("mine.yaml", study_name="there", supernet="here", workers=workers, **common)
    here, there = (nas.load_study(name).trials() for name in ("here", "there"))
    assert list(here["accuracy"]) == list(there["accuracy"]) and len(there) == 4
    together = Workers("local", 1, asynchronous=False, training=2)
    nas.run("mine.yaml", study_name="together", workers=together, **common)
    assert len(nas.load_study("together").trials()) == 4


def test_a_sweep_runs_with_the_drivers_plugins_and_not_with_others(cluster: Path) -> None:
    write_table(cluster)
    Path("way.py").write_text(STRATEGY.format(name="way"))
    text = (
        "version: 1\nname: demo\nrun: {n_trials: 4, accuracy: 'table:measured.csv#top1', latency: "
        "'table:measured.csv#ms'}\ngrid: {space: [toy.yaml], strategy: [way], seed: [0]}\n"
    )
    Path("sweep.yaml").write_text(text)
    with pytest.raises(NasError, match=r"unknown strategy 'way'.*--plugin"):
        sweep(load_sweep("sweep.yaml"), Silent())
    plugin = nas.load_plugin("way.py")
    done = sweep(load_sweep("sweep.yaml"), Silent())
    assert [member.name for member in done.finished] == ["demo-toy-way-s0"] and not done.failed
    facts = Storage().study("demo-toy-way-s0").facts["plugins"]
    assert facts == {"way": plugin.facts()}
    records.forget(plugin)
    Path("way.py").write_text(STRATEGY.format(name="way") + "# changed\n")
    nas.load_plugin("way.py")
    with pytest.raises(NasError, match=r"(?s)cannot be taken.*way was sha256"):
        sweep(load_sweep("sweep.yaml"), Silent())


def opened(carried: Carried) -> subprocess.CompletedProcess[bytes]:
    """What becomes of something carried in a process that knows nothing yet."""
    import pickle

    return subprocess.run(
        [sys.executable, "-c", OPEN],
        input=pickle.dumps(carried),
        env={**os.environ, "PYTHONPATH": str(Path(nas.__file__).parents[1])},
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_what_is_carried_opens_elsewhere_without_the_file(here: Path) -> None:
    path = write_block(here)
    nas.load_plugin(path)
    carried = Carried.of(nas.load_space("mine.yaml"))
    path.unlink()
    done = opened(carried)
    assert done.stdout.decode().split("\n")[0] == "['my_blocks'] mine", done.stderr.decode()


def test_content_that_is_not_what_was_sent_is_refused(here: Path) -> None:
    nas.load_plugin(write_block(here))
    (plugin,) = plugins_here()
    wrong = dataclasses.replace(plugin, content=b"raise SystemExit(3)")
    assert b"did not arrive as it was sent" in opened(Carried((wrong,), b"")).stderr
    assert CarriedPlugin.from_json(plugin.to_json()) == plugin


def test_a_module_that_is_another_one_there_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = here / "site"  # other processes have the working directory on their path
    site.mkdir()
    (site / "installed_way.py").write_text(STRATEGY.format(name="way"))
    monkeypatch.syspath_prepend(str(site))
    nas.load_plugin("installed_way")
    (plugin,) = plugins_here()
    assert plugin.content is None
    assert b"no module of that name" in opened(Carried((plugin,), b"")).stderr
    records.forget(nas.plugins.loaded["installed_way"])
    sys.modules.pop("installed_way")
    (site / "installed_way.py").write_text(STRATEGY.format(name="way") + "# another version\n")
    with pytest.raises(NasError, match=r"the driver has sha256 \w{12}. Install the same version"):
        plugin.load()
    sys.modules.pop("installed_way", None)


def test_the_exporter_knows_the_block_and_keeps_files_of_each_content_apart(here: Path) -> None:
    path = write_block(here)
    nas.load_plugin(path)
    sizes = {"h": 8, "w": 8, "channels": 4, "kernel": 3, "act": 1}
    wanted = Wanted.unit(format_signature("mixer", list(sizes.values())))
    with Exports(runtime_of("torch"), here / "cache", 1) as exports:
        done, failed = exports.get([wanted])
        assert not failed and done[0].shape == (1, 4, 8, 8)
        first = exports.path(wanted)
        nas.plugins.unload("my_blocks")
        path.write_text(path.read_text() + "# changed\n")
        nas.load_plugin(path)
        assert exports.path(wanted) != first
