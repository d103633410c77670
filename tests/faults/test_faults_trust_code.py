"""Code is loaded only from what the person typed: no file, no setting and no database has a module imported."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
import torch
import yaml
from ruamel.yaml import YAML

import nas
from nas.errors import NasError
from nas.latency.device import load_device
from nas.pipeline.table import read_table
from nas.pipeline.teachers import teachers
from nas.settings import known_keys, make_settings

SPACE = """version: 1
name: small
input: {{resolution: 32, classes: 10}}
stages:
  first: {{block: conv_stem, stride: 2, width: [8, 16]}}
  head: {{block: pooled_head, expansion: 2, hidden: 8}}
recipes:
  embedded: {recipe}
"""
SPY = "raise SystemExit('code of a file was run')\n"
NAMES = [
    "spy:run",
    "spy",
    "spy.run",
    "os:abort",
    "os.path:join",
    "builtins:exit",
    "nas.cli:main",
    "./spy.py:run",
    "spy.py",
]


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that ends the test where it is imported, on the path."""
    monkeypatch.chdir(tmp_path)
    Path("spy.py").write_text(SPY)
    monkeypatch.syspath_prepend(str(tmp_path))


def space_of(recipe: object) -> str:
    text = yaml.safe_dump(recipe, default_flow_style=True).strip()
    Path("s.yaml").write_text(SPACE.format(recipe=text))
    return "s.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_teachers_of_a_file_are_registered_ones_alone(name: str) -> None:
    with pytest.raises(NasError, match=r"train\.teachers"):
        teachers([name])
    with pytest.raises(NasError, match=r"train\.teachers"):
        nas.run(
            space_of({"train": {"teachers": [name], "steps": 1, "batch": 4}, "threads": 1}),
            strategy="random",
            n_trials=1,
            study_name="s",
            report=False,
        )
    assert "spy" not in sys.modules


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", [key for key in known_keys() if key not in ("train.teachers",)])
def test_no_setting_has_a_module_imported(key: str, name: str) -> None:
    recipe: dict[str, object] = {}
    here = recipe
    *parents, last = key.split(".")
    for part in parents:
        inner: dict[str, object] = {}
        here[part], here = inner, inner
    here[last] = (
        [name] if last in ("objectives", "constraints") else {"x": name} if last == "options" else name
    )
    try:
        made = make_settings("embedded", [recipe])
        if key in ("data.spec", "search.strategy", "objectives", "constraints", "search.options"):
            nas.run(space_of(recipe), n_trials=1, study_name="s", report=False)
        assert made is not None
    except NasError:
        pass
    assert "spy" not in sys.modules


@pytest.mark.parametrize(
    "place", ["block", "act", "norm", "layer", "runtime", "strategy", "plugin", "plugins", "import"]
)
def test_no_key_of_a_space_file_loads_code(place: str) -> None:
    Path("s.yaml").write_text(
        "version: 1\nname: x\ninput: {resolution: 32, classes: 10}\nstages:\n"
        f"  a: {{block: spy, {place}: 'spy:run'}}\n{place}: spy\n"
    )
    with pytest.raises(NasError):
        nas.load_space("s.yaml")
    assert "spy" not in sys.modules


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch hacked']",
        "!!python/name:os.abort",
        "!spy x",
        "!!python/object/new:spy.x []",
    ],
)
def test_tags_of_yaml_build_nothing(tag: str) -> None:
    for text in (f"version: {tag}\nname: x\n", f"version: 1\nname: x\ndecisions: {tag}\n"):
        Path("s.yaml").write_text(text)
        with pytest.raises(NasError):
            nas.load_space("s.yaml")
    with pytest.raises(NasError):
        make_settings("embedded", (), [f"train.steps={tag}"])
    assert not Path("hacked").exists() and "spy" not in sys.modules


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("hacked"),)


@pytest.mark.parametrize("name", ["t.pickle", "t.pkl", "t.pth", "t.npy", "t.csv", "t.json", "t.csv.gz"])
def test_pickles_are_not_unpickled_whatever_they_are_called(name: str) -> None:
    Path(name).write_bytes(pickle.dumps(Evil()))
    space = nas.load_space("nasbench201")
    with pytest.raises(NasError):
        read_table(f"table:{name}#ms", space, metric="latency")
    assert not Path("hacked").exists()


def test_weights_are_not_unpickled() -> None:
    from nas.weights.files import read_weights

    for name in ("w.pth", "w.pt", "w.bin"):
        torch.save({"x": Evil()}, name)
        with pytest.raises(NasError):
            read_weights(name)
    assert not Path("hacked").exists()


@pytest.mark.parametrize("runtime", ["spy", "os", "../spy", "onnxruntime; import spy"])
def test_a_device_folder_names_no_code(runtime: str) -> None:
    Path("d").mkdir()
    YAML().dump(
        {
            "version": 1,
            "name": "d",
            "hardware": "x",
            "runtime": {"name": runtime},
            "compute_unit": "x",
            "precision": "x",
            "threads": 1,
            "batch": 1,
            "source": "x",
            "licence": "x",
            "table": "table.csv",
        },
        Path("d/device.yaml"),
    )
    heads = "signature,median_ms,spread_ms,runs,provenance,source"
    Path("d/table.csv").write_text(f"{heads}\nto_map h=8 w=8 channels=16,1,,,table,x\n")
    load_device("d")
    assert "spy" not in sys.modules
