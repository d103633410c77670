"""`nas study`, `nas front`, `nas show` and `nas report` on small studies."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML
from typer.testing import CliRunner

from nas.cli.front import front
from nas.cli.lookup import find, in_study
from nas.cli.measure import _wanted
from nas.cli.report import report
from nas.cli.show import show
from nas.cli.study import app as study_app
from nas.errors import NasError
from nas.metrics import Metric
from nas.store import Objective, Preset, Storage, TrialRecord

RUN = CliRunner()
IDS = [f"{index:02d}{'ab' * 7}" for index in range(4)]
app = typer.Typer(pretty_exceptions_enable=False)
app.add_typer(study_app, name="study")
app.command("front")(front)
app.command("show")(show)
app.command("report")(report)


def record(index: int, accuracy: float, latency: float, **rest: Any) -> TrialRecord:
    metrics = {
        "accuracy": Metric(
            accuracy, "fraction", "measured", accuracy - 0.03, accuracy + 0.03, "search split"
        ),
        "latency": Metric(latency, "ms", "predicted", 0.9 * latency, 1.1 * latency, "pixel6"),
        "macs": Metric(1e8 * latency, "MACs", "counted"),
    }
    return TrialRecord(IDS[index], {"depth": index + 1, "T1.kernel": "3x3"}, 0, metrics=metrics, **rest)


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """A storage in the working directory with two studies that share an architecture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORAGE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    opened = Storage()
    objectives = [Objective("latency", "min", "ms"), Objective("accuracy", "max", "fraction")]
    common = {"space": "toy", "space_hash": "f00d", "objectives": objectives, "config": {}}
    first = opened.create_study("first", **common, facts={"marked": {"1": 2}, "seed": 7})  # type: ignore[arg-type]
    opened.set_reference_point(first.id, {"accuracy": 0.0, "latency": 20.0})
    opened.add_trials(first.id, [record(0, 0.5, 9.0), record(1, 0.9, 8.0), record(2, 0.8, 4.0)])
    opened.record_front(first.id, 0, wall_s=3.0)
    final = Metric(0.85, "fraction", "measured", 0.8, 0.9, "test split")
    opened.add_metrics(first.id, "final", {1: {"accuracy": final}})
    opened.set_state(first.id, "finished")
    second = opened.create_study("team/second [x]", **common)  # type: ignore[arg-type]
    opened.add_trials(second.id, [record(2, 0.7, 4.0, state="infeasible", violation=0.5)])
    opened.set_presets(second.id, [Preset("S1", IDS[3], {"depth": 9}, {"accuracy": final})])
    return opened


def output(*arguments: str) -> str:
    done = RUN.invoke(app, list(arguments))
    assert done.exit_code == 0, done.exception
    return done.output


def error(*arguments: str) -> str:
    failed = RUN.invoke(app, list(arguments))
    assert isinstance(failed.exception, NasError)
    return str(failed.exception)


def test_front_as_json_is_cheapest_first_with_provenance() -> None:
    members = json.loads(output("front", "first", "-f", "json"))
    assert [one["trial"] for one in members] == [2, 1]
    assert members[0]["arch_id"] == IDS[2]
    assert members[0]["arch"] == {"depth": 3, "T1.kernel": "3x3"}
    assert members[1]["metrics"]["latency"] == {
        "value": 8.0,
        "unit": "ms",
        "provenance": "predicted",
        "interval": [7.2, 8.8],
        "detail": "pixel6",
    }
    assert members[1]["metrics"]["final.accuracy"]["detail"] == "test split"


def test_front_as_yaml_is_the_same_data() -> None:
    assert YAML(typ="safe").load(output("front", "first", "-f", "yaml")) == json.loads(
        output("front", "first", "-f", "json")
    )


def test_front_as_csv_is_one_flat_row_each() -> None:
    rows = list(csv.DictReader(io.StringIO(output("front", "first", "-f", "csv"))))
    assert [row["arch_id"] for row in rows] == [IDS[2], IDS[1]]
    assert [float(row["latency"]) for row in rows] == [4.0, 8.0]
    assert rows[0]["latency.unit"] == "ms"
    assert rows[0]["final.accuracy"] == ""
    assert float(rows[1]["final.accuracy"]) == 0.85
    assert rows[1]["arch.T1.kernel"] == "3x3"


def test_front_as_table_marks_what_cannot_be_told_apart() -> None:
    shown = output("front", "first")
    for part in (IDS[1], IDS[2], "80.0 % (77.0–83.0)", "8.00 ms (7.20–8.80)", "predicted", "≈ 1"):
        assert part in shown
    assert IDS[0] not in shown


def test_an_empty_front_says_so(storage: Storage) -> None:
    assert "is empty: 1 trials, 0 complete" in output("front", "team/second [x]")
    assert json.loads(output("front", "team/second [x]", "-f", "json")) == []
    assert output("front", "team/second [x]", "-f", "csv") == ""


def test_studies_are_listed() -> None:
    first, second = json.loads(output("study", "list", "-f", "json"))
    assert (first["name"], first["state"], first["trials"], first["front"]) == ("first", "finished", 3, 2)
    assert first["hypervolume"] == pytest.approx(0.8 * 4 + 0.9 * 12)
    assert first["objectives"] == ["latency:min", "accuracy:max"]
    assert second["hypervolume"] is None
    table = output("study", "list")
    assert "team/second [x]" in table
    assert "finished" in table


def test_a_study_is_shown() -> None:
    shown = output("study", "show", "first")
    for part in (
        "latency:min, accuracy:max",
        "3, 3 complete",
        "latency 20 ms, accuracy 0 %",
        "seed",
        "nas front first",
    ):
        assert part in shown
    data = json.loads(output("study", "show", "first", "-f", "json"))
    assert data["reference_point"] == {"accuracy": 0.0, "latency": 20.0}
    assert data["facts"]["seed"] == 7
    assert "'team/second [x]'" in output("study", "show", "team/second [x]")


def test_an_architecture_is_found_in_every_study() -> None:
    data = json.loads(output("show", IDS[2], "-f", "json"))
    assert data["arch_id"] == IDS[2]
    assert data["arch"] == {"depth": 3, "T1.kernel": "3x3"}
    assert data["metrics"]["accuracy"]["value"] == 0.8
    places = [(place["study"], place["trial"], place["on_front"]) for place in data["studies"]]
    assert places == [("first", 2, True), ("team/second [x]", 0, False)]


@pytest.mark.parametrize("wanted", ["first/1", "01", IDS[1]])
def test_an_architecture_by_trial_or_beginning(wanted: str) -> None:
    assert json.loads(output("show", wanted, "-f", "json"))["arch_id"] == IDS[1]
    shown = output("show", wanted)
    for part in (IDS[1], "first: trial 1, on the front", "800 M MACs", "test split", "kernel 3x3"):
        assert part in shown


def test_a_preset_is_found() -> None:
    data = json.loads(output("show", "03", "-f", "json"))
    assert data["arch"] == {"depth": 9}
    assert data["studies"][0]["preset"] == "S1"
    assert "team/second [x]: preset S1" in output("show", IDS[3])
    assert json.loads(output("show", "team/second [x]/0", "-f", "json"))["arch_id"] == IDS[2]


def test_what_writes_into_a_study_wants_to_know_which() -> None:
    with pytest.raises(NasError, match=r"say which one is meant: first/2, team/second \[x\]/0"):
        in_study(find(None, IDS[2]), IDS[2])
    assert [place.name for place in in_study(find(None, "first/2"), "first/2")] == ["first/2"]
    with pytest.raises(NasError, match=r"in several studies \(first, team/second \[x\]\)"):
        _wanted(None, [IDS[2]], None)
    study, [trial] = _wanted(None, ["first/2"], None)
    assert (study.name, trial.number) == ("first", 2)
    assert _wanted(None, [IDS[2], "first/1"], None)[0].name == "first"  # the only one that has both
    with pytest.raises(NasError, match="of different studies"):
        _wanted(None, ["first/1", "team/second [x]/0"], None)


def test_what_cannot_be_found() -> None:
    assert "4 architectures begin with '0'" in error("show", "0")
    assert "no architecture 'zz'" in error("show", "zz")
    assert "no architecture '%'" in error("show", "%")
    assert "its trials are 0 … 2" in error("show", "first/3")
    assert "neither a trial's number nor a preset" in error("show", "first/x")
    assert "unknown study 'fist'. Did you mean 'first'?" in error("front", "fist")


@pytest.mark.parametrize(
    "command", [["study", "list"], ["front", "first"], ["show", "00"], ["report", "first"]]
)
def test_reading_makes_no_storage(command: list[str], tmp_path: Path) -> None:
    assert "no such file" in error(*command, "--storage", "sqlite:///missing.db")
    assert not (tmp_path / "missing.db").exists()


def test_the_storage_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Storage("sqlite:///other.db").close()
    monkeypatch.setenv("NAS_STORAGE", "sqlite:///other.db")
    assert json.loads(output("study", "list", "-f", "json")) == []
    assert "no studies in sqlite:///other.db" in output("study", "list")


def test_numbers_that_are_none_become_null(storage: Storage) -> None:
    made = storage.create_study(
        "nan", space="toy", space_hash="f00d", objectives=[Objective("macs", "min", "MACs")], config={}
    )
    metrics = {
        "macs": Metric(1.0, "MACs", "counted"),
        "accuracy": Metric(float("nan"), "fraction", "measured"),
    }
    storage.add_trials(made.id, [TrialRecord("f" * 16, {}, 0, metrics=metrics)])
    assert json.loads(output("front", "nan", "-f", "json"))[0]["metrics"]["accuracy"]["value"] is None


def test_the_report_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    assert str(tmp_path / "nas-runs" / "first" / "report.html") in output("report", "first")
    assert "<h1>first</h1>" in (tmp_path / "nas-runs" / "first" / "report.html").read_text()
    output("report", "team/second [x]", "--output", "out/r.html")
    assert "<h1>team/second [x]</h1>" in (tmp_path / "out" / "r.html").read_text()
    assert "report.html" in output("report", "team/second [x]")
    assert len(list((tmp_path / "nas-runs").rglob("report.html"))) == 2
