"""What a study knows of its plug-ins: facts, resuming, reproducing, exporting; and that nothing stored loads code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from plugin_samples import STRATEGY, TABLE, write_block, write_table

import nas
import nas.plugins
from nas.errors import NasError
from nas.pipeline.progress import Interrupt, Silent
from nas.pipeline.reproduce import reproduce
from nas.pipeline.retraining import prepare, retrain
from nas.pipeline.study_space import space_of
from nas.plugins import records
from nas.plugins.records import sha256
from nas.search.strategies import STRATEGIES
from nas.store import Storage

SMALL = ("threads=1", "train.steps=4", "train.batch=8", "evaluate.recalibrate=1", "evaluate.final_recalibrate=1",
         "evaluate.images=32", "search.batch=4")  # fmt: skip


class Heard(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def forget_all() -> None:
    """As if a new process began."""
    for plugin in reversed(list(nas.plugins.loaded.values())):
        records.forget(plugin)


@pytest.fixture
def searched(here: Path) -> Path:
    """A study `s` of the page's block, and no plug-in loaded any more; the plug-in's file."""
    path = write_block(here)
    nas.run(
        "mine.yaml",
        plugins=[path],
        settings=SMALL,
        n_trials=4,
        strategy="random",
        study_name="s",
        report=False,
    )
    forget_all()
    return path


def changed(path: Path) -> None:
    path.write_text(path.read_text() + "# changed\n")


def test_the_facts_name_the_file_and_its_digest(searched: Path) -> None:
    facts = nas.load_study("s").facts["plugins"]
    digest = sha256(searched.read_bytes())
    assert facts == {
        "my_blocks": {
            "origin": "file",
            "source": str(searched),
            "sha256": digest,
            "version": "",
            "provides": ["block mixer"],
        }
    }
    assert json.loads(Path("nas-runs/s/supernet.json").read_text())["plugins"] == {"my_blocks": digest}
    assert Path("nas-runs/s/plugins/my_blocks.py").read_bytes() == searched.read_bytes()


def test_a_missing_plugin_is_named_with_the_option_that_adds_it(searched: Path) -> None:
    study = Storage().study("s")
    with pytest.raises(NasError, match=rf"my_blocks .* is not loaded: add --plugin {searched}"):
        space_of(study, "mine.yaml")
    searched.unlink()
    with pytest.raises(NasError, match=r"add --plugin nas-runs/s/plugins/my_blocks\.py") as refused:
        reproduce(Storage(), study, Silent(), space_file="mine.yaml")
    assert not nas.plugins.loaded, "the copy must not be loaded by itself"
    nas.load_plugin(str(refused.value).split("--plugin ")[1].split()[0])
    assert reproduce(Storage(), study, Silent(), space_file="mine.yaml").same


def test_with_a_changed_plugin_nothing_is_retrained_resumed_or_inherited(searched: Path) -> None:
    changed(searched)
    nas.load_plugin(searched)
    study = Storage().study("s")
    words = r"my_blocks was sha256 \w+, is sha256 \w+: add --plugin nas-runs/s/plugins/my_blocks\.py"
    with pytest.raises(NasError, match=words):
        prepare(study, dict(Storage().trials(study.id)[0].arch), space_file="mine.yaml")
    Storage().set_state(study.id, "interrupted")
    again: dict[str, Any] = {"settings": SMALL, "n_trials": 4, "strategy": "random", "report": False}
    with pytest.raises(NasError, match=rf"(?s)cannot be continued.*{words}"):
        nas.run("mine.yaml", study_name="s", resume=True, **again)
    with pytest.raises(NasError, match=r"trained with the plug-in my_blocks of sha256"):
        nas.run("mine.yaml", study_name="other", supernet="s", **again)
    assert "other" not in [row.name for row in Storage().studies()]


def test_a_reproduction_with_a_changed_plugin_runs_and_says_so(searched: Path) -> None:
    changed(searched)
    nas.load_plugin(searched)
    heard = Heard()
    done = reproduce(Storage(), Storage().study("s"), heard, space_file="mine.yaml")
    assert done.same and [fact for fact, _, _ in done.facts] == ["plugins: my_blocks"]
    assert any("a plug-in has changed, my_blocks: then sha256" in line for line in heard.warnings)


def test_a_retraining_is_not_resumed_with_another_block(searched: Path) -> None:
    nas.load_plugin(searched)
    study = Storage().study("s")
    job, data = prepare(study, dict(Storage().trials(study.id)[0].arch), space_file="mine.yaml")
    done = retrain(job, data, Silent(), Interrupt())
    assert done.card["plugins"] == {"my_blocks": sha256(searched.read_bytes())}


def test_a_strategy_that_has_changed_does_not_lock_the_weights_away(here: Path) -> None:
    (here / "way.py").write_text(STRATEGY.format(name="way"))
    write_block(here)
    nas.run("mine.yaml", plugins=["way.py", "my_blocks.py"], settings=SMALL, n_trials=3, strategy="way",
            study_name="s", report=False)  # fmt: skip
    forget_all()
    nas.load_plugin("my_blocks.py")
    study = Storage().study("s")
    assert space_of(study, "mine.yaml")[0].name == "mine"
    with pytest.raises(NasError, match=r"way \(sha256 \w+\) is not loaded"):
        reproduce(Storage(), study, Silent(), space_file="mine.yaml")


BOOM = "import pathlib\npathlib.Path({mark!r}).write_text('ran')\n"


def test_no_yaml_file_loads_code(here: Path) -> None:
    mark = here / "mark"
    (here / "boom.py").write_text(BOOM.format(mark=str(mark)))
    for key in ("plugin", "plugins"):
        for value in ("boom.py", "[boom.py]", "boom"):
            (here / "toy.yaml").write_text(f"{TABLE}{key}: {value}\n")
            with pytest.raises(NasError, match=f"unknown key '{key}'.*--plugin"):
                nas.load_space("toy.yaml")
    (here / "sweep.yaml").write_text("version: 1\nname: w\nplugin: boom.py\ngrid: {space: [toy]}\n")
    from nas.scale.sweep_file import load_sweep

    with pytest.raises(NasError, match=r"unknown key 'plugin'.*--plugin"):
        load_sweep(here / "sweep.yaml")
    space = write_block(here).with_name("mine.yaml")
    space.write_text(f"{space.read_text()}recipes: {{embedded: {{train: {{teachers: ['boom:teacher']}}}}}}\n")
    sys.path.insert(0, str(here))
    try:
        with pytest.raises(NasError, match=r"unknown teacher 'boom:teacher'.*--plugin"):
            nas.run("mine.yaml", plugins=["my_blocks.py"], settings=SMALL, n_trials=2, study_name="s")
    finally:
        sys.path.remove(str(here))
    assert not mark.exists() and "boom" not in sys.modules


def test_no_database_and_no_run_folder_loads_code(here: Path) -> None:
    """A study whose facts, settings and folder name code that is there: none of it runs, whatever is done with it."""
    mark = here / "mark"
    boom = here / "boom.py"
    boom.write_text(BOOM.format(mark=str(mark)))
    tables = write_table(here)
    nas.run("toy.yaml", study_name="t", strategy="random", n_trials=4, report=False, **tables)
    storage = Storage()
    study = storage.study("t")
    kept = here / "nas-runs" / "t" / "plugins"
    kept.mkdir()
    (kept / "boom.py").write_bytes(boom.read_bytes())
    facts = {
        "origin": "file",
        "source": str(boom),
        "sha256": sha256(boom.read_bytes()),
        "provides": ["strategy x"],
    }
    storage.add_facts(study.id, {"plugins": {"boom": facts}, "plugin": str(boom)})
    root = str(Path(nas.__file__).parents[1])
    for command in (
        ["reproduce", "t", "--space", "toy.yaml"],
        ["retrain", "t/0"],
        ["export", "t/0"],
        ["front", "t"],
        ["show", "t/0"],
        ["study", "show", "t"],
        ["report", "t"],
        ["run", "toy.yaml", "--study-name", "t", "--resume", "--strategy", "random", "--n-trials", "4",
         *(word for key, value in tables.items() for word in (f"--{key}", value))],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "nas", *command],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([root, str(here)])},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert not mark.exists(), f"nas {' '.join(command)} ran code that a study names"
        assert "Traceback" not in done.stderr
        if command[0] in ("reproduce", "run"):
            assert done.returncode == 1 and f"add --plugin {boom}" in done.stderr, done.stderr
    nas.load_plugin(boom)
    assert mark.exists(), "the file would have left its mark, had it been loaded"


def test_an_error_of_a_running_plugin_is_told_with_its_line(here: Path) -> None:
    text = STRATEGY.format(name="broken").replace("return self.fresh(n)", "return {}['nothing']")
    (here / "broken.py").write_text(text)
    tables = write_table(here)
    root = str(Path(nas.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "nas", "run", "toy.yaml", "--plugin", "broken.py", "--strategy", "broken",
         *(word for key, value in tables.items() for word in (f"--{key}", value))],
        env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    line = text.splitlines().index("        return {}['nothing']") + 1
    assert f"broken.py:{line}: error in a plug-in: KeyError: 'nothing'" in done.stderr
    assert done.returncode == 2 and "Traceback" not in done.stderr and "broken" not in STRATEGIES


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("ops.act(y, s.act).sigmoid()", "tensors have no 'sigmoid' in 'forward', .*use ops.gate.*{place}"),
        ("ops.act(y, s.actt)", "{place}: error in a plug-in: AttributeError: there is no size 'actt'"),
    ],
)
def test_an_error_in_a_module_that_a_plugin_imports_is_told_with_its_line(
    here: Path, wrong: str, said: str
) -> None:
    """The plug-in's own file may take no part: the block is written in another, which it registers."""
    path = write_block(here, "blocks_of_mine.py")
    text = path.read_text().replace("ops.act(y, s.act)", wrong).replace("@nas.plugins.block\n", "")
    path.write_text(text)
    (here / "plug.py").write_text(
        "import sys, nas.plugins\nsys.path.insert(0, '.')\nfrom blocks_of_mine import Mixer\nnas.plugins.block(Mixer)\n"
    )
    root = str(Path(nas.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "nas", "space", "check", "mine.yaml", "--plugin", "plug.py"],
        env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    line = next(i for i, each in enumerate(text.splitlines(), 1) if wrong in each)
    assert re.search(said.format(place=f"blocks_of_mine.py:{line}"), done.stderr), done.stderr
