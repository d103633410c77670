"""`nas predictor` from the command line: sources of times that exclude each other, and transfer between archs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nas.cli.device import app as devices
from nas.cli.predictor import app
from nas.errors import NasError
from nas.latency.device import load_device
from nas.latency.predictor import load_predictor
from nas.space.load import load_space

RUN = CliRunner()
LUT = {
    f"transffn_{hw}_{c}_2_hard_swish_ln": 1e-5 * hw * hw * c + 0.05 for hw in (4, 8, 16) for c in (48, 64, 96)
}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "one of --table, --device, --archs, --study"),
        (["--table", "a.csv", "--archs", "b.csv"], "not by --table and --archs together"),
        (["--device", "pixel6", "--networks", "n.csv"], "--networks belongs to --table"),
        (["--device", "pixel6", "--source", "me"], "--source belongs to --table or --archs"),
        (["--table", "a.csv", "--column", "ms"], "--column belongs to --archs"),
        (["--archs", "a.csv", "--storage", "x.db"], "--storage belongs to --study"),
        (["--study", "s", "--like", "other.csv"], "--like needs --table, --device or --archs"),
        (["--archs", "a.csv"], "need the one --space"),
    ],
)
def test_options_that_say_nothing_together_are_refused(options: list[str], said: str, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["fit", "x", *options, "--output", str(tmp_path / "x")])
    assert isinstance(done.exception, NasError) and said in str(done.exception)
    assert not (tmp_path / "x").exists()


def test_evaluating_on_the_times_of_the_fit_says_so(tmp_path: Path) -> None:
    lut, other = tmp_path / "lut.json", tmp_path / "other.json"
    lut.write_text(json.dumps(LUT))
    other.write_text(json.dumps({key: 1.1 * ms for key, ms in LUT.items()}))
    folder = str(tmp_path / "mine")
    assert RUN.invoke(app, ["fit", "mine", "--table", str(lut), "--output", folder]).exit_code == 0
    shown = RUN.invoke(app, ["evaluate", folder, "--table", str(lut)])
    assert "the times the predictor was fitted on" in shown.output
    assert "fitted on" not in RUN.invoke(app, ["evaluate", folder, "--table", str(other)]).output
    for file, same in ((lut, True), (other, False)):
        judged = json.loads(RUN.invoke(app, ["evaluate", folder, "--table", str(file), "-f", "json"]).output)
        assert [one["fitted_on_these_times"] for one in judged] == [same] * len(judged)


def archs_csv(path: Path, count: int, seed: int, factor: float) -> Path:
    """Latencies of cells on two devices, in the columns `here` and `there`."""
    space = load_space("nasbench201")
    batch = space.sample(count, seed=seed).unique()
    names = [decision.name for decision in space.decisions]
    rng = np.random.default_rng(7)
    cost = {value: rng.uniform(0.5, 5) for value in space.decisions[0].values}
    with path.open("w") as text:
        writer = csv.writer(text)
        writer.writerow([*names, "here", "there"])
        for arch in batch:
            ms = 3 + sum(cost[arch[name]] * (1 + 0.5 * index) for index, name in enumerate(names))
            writer.writerow([*(arch[name] for name in names), ms, factor * ms])
    return path


def test_archs_are_transferred_from_another_device(tmp_path: Path) -> None:
    """`here` is a third of `there`: ten pairs alone cannot say so, with the other device they do."""
    few, many = archs_csv(tmp_path / "few.csv", 12, 0, 3.0), archs_csv(tmp_path / "many.csv", 300, 1, 3.0)
    common, found = ["--space", "nasbench201", "--column", "here"], {}
    for name, like in (("alone", []), ("like", ["--like"])):
        folder = str(tmp_path / name)
        known = [*like, f"{few}#there"] if like else []
        done = RUN.invoke(app, ["fit", name, "--archs", str(few), *common, *known, "--output", folder])
        assert done.exit_code == 0, done.exception
        known = [*like, f"{many}#there"] if like else []
        done = RUN.invoke(app, ["evaluate", folder, "--archs", str(many), *common, *known, "-f", "json"])
        assert isinstance(done.exception, NasError) == bool(like), done.output
        found[name] = done
    assert "needs the archs' latencies on 'few#there' too" in str(found["like"].exception)
    (tmp_path / "there").mkdir()
    other, folder = archs_csv(tmp_path / "there/few.csv", 300, 1, 3.0), str(tmp_path / "like")
    command = ["evaluate", folder, "--archs", str(many), *common, "--like", f"{other}#there", "-f", "json"]
    (judged,) = json.loads(RUN.invoke(app, command).output)
    (alone,) = json.loads(found["alone"].output)
    assert judged["mean"] < 0.01 < alone["mean"]
    assert judged["spearman"] > alone["spearman"]


def test_an_arch_that_the_other_device_lacks_is_named(tmp_path: Path) -> None:
    few, others = archs_csv(tmp_path / "few.csv", 12, 0, 3.0), archs_csv(tmp_path / "other.csv", 8, 5, 3.0)
    command = ["fit", "x", "--archs", str(few), "--space", "nasbench201", "--column", "here"]
    done = RUN.invoke(app, [*command, "--like", f"{others}#there", "--output", str(tmp_path / "x")])
    assert isinstance(done.exception, NasError) and "has no latency of" in str(done.exception)


def test_a_predictor_of_units_carries_its_own_devices(tmp_path: Path) -> None:
    lut = tmp_path / "lut.json"
    lut.write_text(json.dumps(LUT))
    done = RUN.invoke(app, ["evaluate", "pixel6", "--table", str(lut), "--like", "x.csv"])
    assert isinstance(done.exception, NasError) and "--like belongs to --archs" in str(done.exception)
    assert load_predictor("pixel6").report.name == "pixel6"


def test_times_of_a_device_whose_predictor_is_unreadable_can_be_fitted_again(tmp_path: Path) -> None:
    lut, folder = tmp_path / "lut.json", tmp_path / "board"
    lut.write_text(json.dumps(LUT))
    done = RUN.invoke(devices, ["import", "nn-meter", str(lut), "--name", "board", "--output", str(folder)])
    assert done.exit_code == 0, done.exception
    (folder / "device.yaml").write_text((folder / "device.yaml").read_text() + "predictor: predictor\n")
    (folder / "predictor").mkdir()
    (folder / "predictor/report.json").write_text("{}")
    with pytest.raises(NasError, match="Fit it again"):
        load_device(folder)
    command = ["fit", "board", "--device", str(folder), "--output", str(folder / "predictor")]
    done = RUN.invoke(app, command)
    assert done.exit_code == 0, done.exception
    assert load_device(folder).kinds == ["ffn"]
