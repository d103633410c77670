"""Names that mean harm stay names: on a terminal, in JSON, in pages and in model cards."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import nas
from nas.cli import app
from nas.cli.output import echo, echo_csv, echo_json, echo_table, echo_yaml, new_table, text
from nas.export.card import card_text
from nas.export.formats import format_of
from nas.export.source import Source
from nas.metrics import Metric
from nas.pipeline.load_data import load_run_data
from nas.pipeline.plan import make_plan
from nas.pipeline.progress import ConsoleReporter
from nas.printable import as_html, code_span, markdown, printable
from nas.report.tables import escaped
from nas.settings import make_settings

STEERING = "\x1b]0;owned\x07 \x1b[2J\x9b31m\r\x08\x00‮evil⁦ \u2028"
HARM = [
    "![x](http://evil/a.png)",
    "[click](javascript:x)",
    "<img src=x onerror=alert(1)>",
    "a|b",
    "**bold**",
    "`code`",
    "$(x)$",
    "&lt;b&gt;",
    "~~gone~~",
    "_em_",
    "\\",
    "``",
    "a\nb\n# head",
    "<!-- x",
]
RUN = CliRunner()


def steers(shown: str) -> bool:
    return any(
        (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or c in "\u202e\u2066\u2028" for c in shown
    )


def test_what_is_printed_does_not_steer(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table("name")
    table.add_row(text(STEERING))
    echoes: list[Callable[[], None]] = [
        lambda: echo(STEERING),
        lambda: echo_csv([{"a": STEERING}]),
        lambda: echo_json({"a": STEERING}),
        lambda: echo_yaml({"a": STEERING}),
        lambda: echo_table(table),
        lambda: ConsoleReporter().say(STEERING),
        lambda: ConsoleReporter().warn(STEERING),
    ]
    for print_it in echoes:
        print_it()
        done = capsys.readouterr()
        assert done.out + done.err and not steers(done.out + done.err)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_is_shown_without_steering_and_json_stays_the_same(value: str) -> None:
    assert not steers(printable(value).replace("\u061c", ""))
    runner = io.StringIO()
    csv.writer(runner).writerow([printable(value)])
    from nas.printable import json_safe

    text = json.dumps({"a": value}, ensure_ascii=False)
    assert json.loads(json_safe(text)) == {"a": value} and not steers(json_safe(text))


def test_errors_of_the_command_line_do_not_steer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["nas", "run", "x\x1b[2J\x07.yaml"])
    with pytest.raises(SystemExit):
        nas.cli.main()
    printed = capfd.readouterr()
    assert "\\x1b[2J" in printed.err and not steers(printed.err)


@pytest.mark.parametrize("command", [["show"], ["validate"], ["count"]])
def test_a_space_file_with_steering_names(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        'version: 1\nname: cells\nabout: "\\e]0;x\\a \\e[2J"\ndecisions:\n  a: ["\\e[31mred", blue]\n  b: [1, 2]\n'
    )
    done = RUN.invoke(app, ["space", *command, str(path)])
    assert not steers(done.output), repr(done.output)


class Seen(HTMLParser):
    tags: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(max_examples=200, deadline=None)
@given(st.text() | st.sampled_from(HARM))
def test_html_stays_text(value: str) -> None:
    for made in (as_html(value), escaped(value)):
        seen = Seen()
        seen.feed(f"<p>{made}</p>")
        seen.close()
        assert seen.tags == ["p"] and "\x00" not in made
        assert '"' not in made and "'" not in made


@pytest.mark.parametrize("value", HARM)
def test_markdown_stays_text(value: str) -> None:
    made = markdown(value)
    assert "\n" not in made
    assert not re.search(r"(?<!\\)[`*_\[\]<>|~$&]", made.replace("\\\\", ""))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("`ab |\n")) | st.text())
def test_code_spans_are_not_left(value: str) -> None:
    made = code_span(value)
    fence = re.match("`+", made)
    assert fence is not None and made.endswith(fence[0]) and "\n" not in made
    inner = made[len(fence[0]) : -len(fence[0])]
    assert all(len(run) != len(fence[0]) for run in re.findall("`+", inner))


def test_a_model_card_of_names_that_mean_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space = nas.load_space(Path(__file__).parents[1] / "pipeline" / "small.yaml")
    plan = make_plan(space, make_settings("embedded"), name="stu`dy` ![x](http://evil) <b>")
    data = load_run_data(plan)
    harm = {"class_names": tuple(HARM[:10]), "licence": "[free](javascript:x)", "name": "<script>x</script>"}
    data = replace(data, bundle=replace(data.bundle, **harm))
    network: Any = SimpleNamespace(input=SimpleNamespace(h=8, w=8))
    arch = space.sample(1, seed=0)[0]
    source = Source(arch, network, plan, data, "from scratch", "AdamW", ("<i>t</i>",))
    metrics = {"accuracy": Metric(0.5, "fraction", "table", detail="t.csv#a|b <img src=x> [y](z)")}
    card = card_text(source, format_of("onnx"), metrics, None, "m.onnx", "run.py")
    assert not steers(card)
    outside = re.sub(r"(`+).*?\1", "", card.replace("\\\\", ""))
    assert "script" in outside and not re.search(r"(?<!\\)<\w|(?<!\\)\]\(|(?<!\\)!\[(?!x\\)", outside)
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


def test_every_command_prints_by_the_one_function() -> None:
    """So that no command forgets it: `typer.echo` stands where it is defined and where errors are told."""
    folder = Path(nas.cli.__file__).parent
    using = {
        path.name
        for path in folder.glob("*.py")
        if re.search(r"typer\.echo|(?<![\w.])print\(", path.read_text())
    }
    assert using <= {"output.py", "__init__.py"}, using
