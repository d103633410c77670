"""Loading: what registers, what is refused, how errors read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_samples import METRIC, STRATEGY, write_block

import nas
import nas.plugins
from nas.blocks.registry import BLOCKS, UNITS
from nas.errors import NasError
from nas.plugins.loading import load_all
from nas.search.strategies import STRATEGIES


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_block_is_there_after_its_file_is_loaded_and_gone_after_it_is_unloaded(here: Path) -> None:
    write_block(here)
    with pytest.raises(NasError, match=r"unknown block 'mixer'.*add --plugin"):
        nas.load_space("mine.yaml")
    plugin = nas.load_plugin("my_blocks.py")
    assert plugin.claims == [("block", "mixer")] and "mixer" in UNITS
    assert nas.load_space("mine.yaml").size()[0] > 1
    nas.plugins.unload("my_blocks")
    assert "mixer" not in BLOCKS and "mixer" not in UNITS
    with pytest.raises(NasError, match="no plug-in 'my_blocks' is loaded"):
        nas.plugins.unload("my_blocks")


def test_the_same_content_is_loaded_once_wherever_it_lies(here: Path) -> None:
    first = nas.load_plugin(write_block(here))
    (here / "copy").mkdir()
    assert nas.load_plugin(write_block(here / "copy")) is first
    assert nas.load_plugin("my_blocks.py") is first


def test_changed_content_is_refused_until_the_old_is_unloaded(here: Path) -> None:
    path = write(here, "mine.py", STRATEGY.format(name="one-way"))
    nas.load_plugin(path)
    path.write_text(STRATEGY.format(name="another-way"))
    with pytest.raises(NasError, match=r"other content.*nas\.plugins\.unload\('mine'\)"):
        nas.load_plugin(path)
    nas.plugins.unload("mine")
    nas.load_plugin(path)
    assert "another-way" in STRATEGIES and "one-way" not in STRATEGIES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (STRATEGY.format(name="nsga2"), "strategy 'nsga2' exists already: nas itself"),
        (STRATEGY.format(name="nevergrad:mine"), "nevergrad's optimizers"),
        (STRATEGY.format(name="Not A Name"), "'Not A Name' is no name of a strategy"),
        (METRIC.format(name="macs", combine="sum"), "metric 'macs' exists already: nas itself"),
        (METRIC.format(name="co2", combine="sum"), "'co2' is no name of a metric: a letter first"),
        (METRIC.format(name="energy", combine="mean"), "combine is 'mean'; it is one of sum, max"),
        ("import nas.plugins\n@nas.plugins.data('digits')\ndef d(*a): ...", "data 'digits' exists already"),
        ("import nas.plugins\n@nas.plugins.runtime('torch')\nclass R: ...", "derives nas.latency"),
        ("import nas.plugins\n@nas.plugins.block\nclass B: ...", "derives nas.blocks.base.Unit"),
        (
            "import nas.plugins\nfrom nas.blocks.base import Unit\n@nas.plugins.block\nclass B(Unit): kind = 'b'",
            "B does not define .*forward",
        ),
    ],
)
def test_what_cannot_be_registered_is_refused_with_file_and_line(here: Path, text: str, words: str) -> None:
    path = write(here, "bad.py", text)
    with pytest.raises(NasError, match=rf"bad\.py:\d+: .*{words}"):
        nas.load_plugin(path)
    assert "bad" not in nas.plugins.loaded


def test_a_name_of_another_plugin_is_refused_by_its_name(here: Path) -> None:
    nas.load_plugin(write(here, "first.py", STRATEGY.format(name="mine")))
    other = write(here, "second.py", STRATEGY.format(name="also-mine") + STRATEGY.format(name="mine"))
    with pytest.raises(NasError, match=r"'mine' exists already: the plug-in first \(sha256 [0-9a-f]{12}\)"):
        nas.load_plugin(other)
    assert "also-mine" not in STRATEGIES, "what a plug-in registered before it failed must be taken back"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\ndef f(:\n", r"bad\.py:2: the plug-in cannot be read: invalid syntax"),
        ("x = 1\n\nraise ValueError('no luck')\n", r"bad\.py:3: .*ValueError: no luck"),
        ("import not_there_at_all\n", r"bad\.py:1: .*Install 'not_there_at_all'"),
        ("from nas.blocks.base import Nothing\n", r"bad\.py:1: .*ImportError"),
        ("def f():\n    return 1 / 0\n\nf()\n", r"bad\.py:2: .*ZeroDivisionError"),
        ("import sys\nsys.exit(0)\n", r"bad\.py:2: .*SystemExit"),
        ("x = '\0'\n", r"bad\.py.*null bytes"),
    ],
)
def test_errors_in_a_plugin_name_file_and_line(here: Path, text: str, words: str) -> None:
    with pytest.raises(NasError, match=words):
        nas.load_plugin(write(here, "bad.py", text))


def test_bytes_that_are_no_text_are_told(here: Path) -> None:
    (here / "bad.py").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(NasError, match=r"bad\.py"):
        nas.load_plugin("bad.py")


def test_what_is_not_there_is_told_with_what_would_be_right(here: Path) -> None:
    write(here, "mine.py", "")
    for source, words in {
        "gone.py": "gone.py: no such file",
        "mine": r"no module of that name.*There is a file mine.py: give --plugin mine.py",
        "not.a.module": "no module of that name",
        "..relative": "no module of that name",
        ".": "folder|no module",
        "": "is empty",
        f"{here}/": "this is a folder",
    }.items():
        with pytest.raises(NasError, match=words):
            nas.load_plugin(source)


def test_modules_and_the_environment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = here / "lib" / "my_package"
    package.mkdir(parents=True)
    write(package, "__init__.py", "from my_package import inner")
    write(package, "inner.py", STRATEGY.format(name="packed"))
    write(here, "more.py", STRATEGY.format(name="more"))
    monkeypatch.syspath_prepend(str(here / "lib"))
    load_all([], "my_package:more.py")
    assert "packed" in STRATEGIES and "more" in STRATEGIES
    facts = nas.plugins.loaded["my_package"].facts()
    assert facts["origin"] == "module" and facts["provides"] == ["strategy packed"]
    before = facts["sha256"]
    nas.plugins.unload("my_package")
    write(package, "inner.py", STRATEGY.format(name="packed") + "# another\n")
    assert nas.load_plugin("my_package").digest != before, "a package's digest is over all of its files"
    with pytest.raises(NasError, match=r"^NAS_PLUGINS: .*gone.py"):
        load_all([], "gone.py")
    for name in ("my_package", "my_package.inner"):
        sys.modules.pop(name)


ANNOUNCED = "[nas.plugins]\nmine = announced_plugin\n"


def distribution(folder: Path, text: str) -> None:
    """What an installed package leaves in site-packages."""
    write(folder, "announced_plugin.py", text)
    info = folder / "announced-1.2.dist-info"
    info.mkdir(parents=True)
    write(info, "METADATA", "Metadata-Version: 2.1\nName: announced\nVersion: 1.2\n")
    write(info, "entry_points.txt", ANNOUNCED)
    write(info, "top_level.txt", "announced_plugin\n")


def command(
    *arguments: str, path: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    root = str(Path(nas.__file__).parents[1])
    paths = os.pathsep.join([*([str(path)] if path else []), root])
    return subprocess.run(
        [sys.executable, "-m", "nas", *arguments],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


SHOW = "import nas.plugins, sys\nprint('loaded', file=sys.stderr)\n"


def test_an_installed_package_is_loaded_by_itself_and_one_that_fails_is_named(here: Path) -> None:
    site = here / "site"
    site.mkdir()
    distribution(site, SHOW)
    done = command("space", "size", "elasticvit", path=site)
    assert done.returncode == 0 and "loaded" in done.stderr
    assert "loaded" not in command("space", "size", "--help", path=site).stderr
    text = (
        "import nas.plugins, nas.plugins.loading\n"
        "nas.plugins.loading.load_installed()\n"
        "print(nas.plugins.loaded['announced_plugin'].facts())"
    )
    paths = os.pathsep.join([str(site), str(Path(nas.__file__).parents[1])])
    facts = subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'origin': 'package'" in facts.stdout and "'version': '1.2'" in facts.stdout
    write(site, "announced_plugin.py", "raise ValueError('no luck')\n")
    done = command("space", "size", "elasticvit", path=site)
    assert done.returncode == 1 and "ValueError: no luck" in done.stderr and "'announced'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_package_that_lies_in_the_working_directory_is_not_installed(here: Path) -> None:
    distribution(here, SHOW)
    done = command("space", "size", "elasticvit")
    assert done.returncode == 0 and "loaded" not in done.stderr


def test_the_option_stands_anywhere_and_its_errors_are_messages(here: Path) -> None:
    write_block(here)
    for arguments in (
        ("--plugin", "my_blocks.py", "space", "size", "mine.yaml"),
        ("space", "--plugin=my_blocks.py", "size", "mine.yaml"),
        ("space", "size", "mine.yaml", "--plugin", "my_blocks.py"),
    ):
        done = command(*arguments)
        assert done.returncode == 0 and done.stdout.strip().isdigit(), done.stderr
    assert command("space", "size", "mine.yaml", NAS_PLUGINS="my_blocks.py").returncode == 0
    write(here, "bad.py", "1 / 0\n")
    for given, words in {
        "bad.py": "bad.py:1: ",
        "gone.py": "no such file",
        "": "needs a Python file",
    }.items():
        done = command("space", "size", "elasticvit", "--plugin", given)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
    done = command("space", "size", "elasticvit", "--plugin")
    assert done.returncode == 1 and "needs a Python file" in done.stderr
    assert "--plugin FILE|MODULE" in command("space", "size", "--help").stdout.replace("\n", " ")


PROGRAM = """
import sys
import nas.plugins
from nas.plugins.carried import Carried
{text}
plugin = nas.plugins.loaded["__main__"]
print(plugin.origin, plugin.facts()["provides"])
Carried.of(None)
"""


def test_what_a_program_registers_itself_works_there_and_is_not_sent_elsewhere(here: Path) -> None:
    program = write(here, "program.py", PROGRAM.format(text=STRATEGY.format(name="inline")))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "program ['strategy inline']", done.stderr
    assert "strategy inline is registered by the program '__main__' itself" in done.stderr


def test_a_module_that_is_imported_in_the_usual_way_is_the_same_plugin(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    write(here, "usual_way.py", STRATEGY.format(name="usual"))
    monkeypatch.syspath_prepend(str(here))
    importlib.import_module("usual_way")
    plugin = nas.plugins.loaded["usual_way"]
    assert plugin.origin == "module" and nas.load_plugin("usual_way") is plugin
    nas.plugins.unload("usual_way")


def test_a_metric_is_summed_or_the_largest_taken_over_layers(here: Path) -> None:
    from nas.costs import cost
    from nas.pipeline.metrics import CheapMetrics

    nas.load_plugin(write(here, "sums.py", METRIC.format(name="energy", combine="sum")))
    nas.load_plugin(write(here, "peaks.py", METRIC.format(name="peak", combine="max")))
    space = nas.load_space("elasticvit")
    batch = space.sample(5, seed=0)
    values = CheapMetrics(space).values(batch)
    assert values["energy"].tolist() == (2 * cost(space, batch)["macs"]).tolist()
    assert (values["peak"] < values["energy"]).all() and (values["peak"] > 0).all()
    alone = CheapMetrics(space).metrics(batch[0])[0]
    assert alone["energy"].value == values["energy"][0] and alone["peak"].value == values["peak"][0]
    assert (alone["energy"].unit, alone["energy"].provenance) == ("mJ", "estimated")
    nas.plugins.unload("sums")
    assert "energy" not in CheapMetrics(space).values(batch)


def test_a_metric_that_fails_says_for_which_layers(here: Path) -> None:
    from nas.pipeline.metrics import CheapMetrics

    text = METRIC.format(name="energy", combine="sum").replace("return 2 *", "return sizes['nothing'] *")
    nas.load_plugin(write(here, "sums.py", text))
    space = nas.load_space("elasticvit")
    with pytest.raises(
        NasError, match=r"the metric 'energy' fails for layers of '\w+': KeyError: 'nothing' \(.*sums\.py:7\)"
    ):
        CheapMetrics(space).values(space.sample(2, seed=0))


def test_options_of_a_strategy_need_no_types(here: Path) -> None:
    own = "    def __init__(self, space, directions, *, seed=0, cheap=None, share=0.5, count: 'Gone' = 1):\n"
    own += "        super().__init__(space, directions, seed=seed, cheap=cheap)\n        self.given = share, count\n"
    text = STRATEGY.format(name="mine").replace("    def propose", own + "    def propose")
    nas.load_plugin(write(here, "mine.py", text))
    made = nas.strategy("mine", nas.load_space("nasbench201"), ["max"], share=0.25, count="x")
    assert made.given == (0.25, "x")
    with pytest.raises(NasError, match="unknown option 'shar'"):
        nas.strategy("mine", nas.load_space("nasbench201"), ["max"], shar=0.25)
