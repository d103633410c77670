"""The pages about plug-ins do what they say: their files are written and their commands run, in order."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = {"nas": [sys.executable, "-m", "nas"], "python": [sys.executable]}


def follow(page: str, folder: Path) -> str:
    """Do what a page says in a folder: write the files that its blocks name, run the others. What was printed."""
    environment, printed = {**os.environ, "NAS_PLUGINS": ""}, list[str]()
    for language, file, text in FENCE.findall((DOCS / page).read_text(encoding="utf-8")):
        if file:
            (folder / file).write_text(text, encoding="utf-8")
            continue
        assert language == "sh", f"{page}: a block of {language} that is neither a file nor commands"
        for line in text.strip().splitlines():
            words = shlex.split(line)
            if words[0] == "export":
                name, _, value = words[1].partition("=")
                environment[name] = value
                continue
            done = subprocess.run(
                [*PROGRAMS[words[0]], *words[1:]], cwd=folder, env=environment, capture_output=True, text=True,
                check=False, timeout=300,
            )  # fmt: skip
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            printed.append(done.stdout)
    return "\n".join(printed)


@pytest.fixture(scope="module")
def block_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page about a block was followed."""
    folder = tmp_path_factory.mktemp("block")
    follow("your-own-block.md", folder)
    return folder


def test_the_page_of_a_block_ends_with_an_exported_model(block_folder: Path) -> None:
    from nas.plugins.records import sha256

    digest = sha256((block_folder / "my_blocks.py").read_bytes())
    exported = next((block_folder / "nas-runs/mine/export").iterdir())
    card = (exported / "README-onnx.md").read_text()
    assert f"`my_blocks` (sha256 {digest[:12]}: block mixer)" in card
    model = next(exported.glob("*.onnx"))
    import onnx

    properties = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    kept = json.loads(properties["nas_plugins"])
    assert kept["my_blocks"]["sha256"] == digest and "source" not in kept["my_blocks"]
    from safetensors import safe_open

    with safe_open(next(exported.glob("*.safetensors")), framework="pt") as file:
        assert json.loads(file.metadata()["nas_plugins"]) == kept


def test_the_block_of_the_page_is_short(block_folder: Path) -> None:
    lines = (block_folder / "my_blocks.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 20


def test_the_page_of_other_parts_does_what_it_says(tmp_path: Path) -> None:
    printed = follow("your-own-parts.md", tmp_path)
    assert "energy" in printed and "mJ" in printed and "estimated" in printed
    import nas

    study = nas.load_study("all", storage=f"sqlite:///{tmp_path / 'nas.db'}")
    assert set(study.facts["plugins"]) == {"my_strategy", "my_metrics", "my_data", "my_teacher"}
    assert study.facts["plugins"]["my_metrics"]["provides"] == ["metric energy"]
    lines = (tmp_path / "my_strategy.py").read_text().partition("@")[2].splitlines()
    assert len([line for line in lines if line.strip()]) <= 15
