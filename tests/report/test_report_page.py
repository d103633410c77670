"""The page: what it says, and that nothing from a storage can act in it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_odd import EVIL, make_evil
from report_small import snapshot_of, study, trial
from report_synthetic import Recipe, make_study, open_storage

from nas.errors import NasError
from nas.metrics import Metric
from nas.report import write_report
from nas.report.candidates import of_front
from nas.report.page import embedded, render
from nas.report.sections import sections
from nas.report.snapshot import Snapshot, read_snapshot
from nas.report.summary import beside_presets, sentences, warnings
from nas.store import Preset, Storage


class Reader(HTMLParser):
    """Every tag with its attributes, and the text outside of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._silent = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._silent = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._silent = ""

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page(snapshot: Snapshot) -> str:
    return render(snapshot)


def figures(page: str) -> list[dict[str, object]]:
    found = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    return [json.loads(text) for text in found]


def test_the_page_needs_nothing_else(page: str) -> None:
    reader = Reader(page)
    places = [
        attributes.get(key) for _, attributes in reader.tags for key in ("src", "href") if key in attributes
    ]
    assert all(place and place.startswith(("#", "data:,")) for place in places)
    policy = next(attributes["content"] for tag, attributes in reader.tags if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy
    assert page.count("plotly.js v") == 1


def test_the_page_tells_the_study(page: str, snapshot: Snapshot) -> None:
    text = Reader(page).text
    for part in (
        "elasticvit-pixel6",
        "200 architectures were evaluated",
        "accuracy 0 %, latency 60 ms",
        "Kendall τ",
    ):
        assert part in text
    for member in snapshot.front:
        assert member.arch_id in text
    assert len(figures(page)) == 11
    for figure in figures(page):
        assert set(figure) == {"data", "layout", "narrow"}


def test_every_section_has_something_to_say(odd: Snapshot) -> None:
    found = sections(odd)
    assert [section.slug for section in found] == [
        "front", "members", "hypervolume", "decisions", "breakdown", "predictor", "training", "conflict", "run",
    ]  # fmt: skip
    assert all(section.lead for section in found)
    page = render(odd)
    assert "nan" not in Reader(page).text.lower().split()
    assert "None" not in Reader(page).text


def test_nothing_stored_can_act(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    make_evil(storage)
    path = write_report(storage, EVIL, tmp_path / "report.html")
    page = path.read_text()
    reader = Reader(page)
    kinds = [attributes.get("type") for tag, attributes in reader.tags if tag == "script"]
    assert kinds.count(None) == 2
    assert set(kinds) == {None, "application/json"}
    assert not [tag for tag, _ in reader.tags if tag == "img"]
    assert not [key for _, attributes in reader.tags for key in attributes if key.startswith("on")]
    assert EVIL in reader.text
    hovers = [text for figure in figures(page) for text in _texts(figure)]
    assert any("alert" in text for text in hovers)
    assert not any("<script" in text or "<img" in text for text in hovers)


def _texts(data: object) -> list[str]:
    if isinstance(data, dict):
        return [text for value in data.values() for text in _texts(value)]
    if isinstance(data, list):
        return [text for value in data for text in _texts(value)]
    return [data] if isinstance(data, str) else []


def test_json_in_the_page_cannot_end_its_script() -> None:
    text = embedded({"a": "</script><!--&amp;", "b": [float("nan"), float("inf"), 1.5]})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "</script><!--&amp;", "b": [None, None, 1.5]}


def test_summary_names_the_extremes(snapshot: Snapshot) -> None:
    told = " ".join(sentences(snapshot))
    best = max(snapshot.front, key=lambda row: row.metrics["accuracy"].value)
    fastest = min(snapshot.front, key=lambda row: row.metrics["latency"].value)
    assert f"Trial {best.number} has the highest top-1 accuracy" in told
    assert f"{100 * best.at('final')['accuracy'].value:.1f}&nbsp;%" in told
    assert f"Trial {fastest.number} has the lowest latency on pixel6" in told
    assert f"<strong>{len(snapshot.front)}</strong> members" in told


def test_presets_count_as_reached_only_on_equal_data() -> None:
    storage, study_id = study([trial(0, 0.8, 5.0)])
    split = trial(0, 0.8, 5.0).metrics["accuracy"].detail

    def preset(name: str, accuracy: float, latency: float, detail: str) -> Preset:
        metrics = {"accuracy": Metric(accuracy, "fraction", "measured", detail=detail)}
        return Preset(name, name, {}, {**metrics, "latency": Metric(latency, "ms", "predicted")})

    presets = [
        preset("worse", 0.7, 6.0, split),
        preset("faster", 0.7, 4.0, split),
        preset("equal", 0.8, 5.0, split),
        preset("other data", 0.1, 9.0, "test split"),
    ]
    storage.set_presets(study_id, presets)
    storage.set_reference_point(study_id, {"accuracy": 0.0, "latency": 10.0})
    found = read_snapshot(storage, "small")
    compared = beside_presets(found, of_front(found))
    assert compared is not None and (compared.reached, compared.presets) == (2, 3)
    told = " ".join(sentences(found))
    assert "the front equals or dominates 2 of 3 presets" in told


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"predictor": {"kendall": 0.31, "n": 9}}, "not to be trusted: rank correlation 0.31"),
        ({"sampler": {"exploited": 0.0, "preferred": 0.2}}, "did not act: no draw was exploited"),
        ({"warnings": ["step 3: skipped"]}, "step 3: skipped"),
        (
            {"chance": {"classes": 10, "accuracy": 0.12, "low": 0.09}},
            "not better than guessing: its accuracy is 12.0",
        ),
    ],
)
def test_warnings(facts: dict[str, object], words: str) -> None:
    found = snapshot_of([trial(0, 0.5, 5.0)], facts=facts)
    assert any(words in warning for warning in warnings(found))


@pytest.mark.parametrize(("facts", "warned"), [({}, True), ({"form": "deploy"}, False)])
def test_counts_of_the_trained_form_are_told(facts: dict[str, str], warned: bool) -> None:
    counted = trial(0, 0.5, 5.0)
    counted.metrics["macs"] = Metric(1e6, "MACs", "counted")
    found = snapshot_of([counted], facts={"versions": {}, **facts})
    assert any("as it is trained" in warning for warning in warnings(found)) == warned


def test_no_warning_without_reason(snapshot: Snapshot) -> None:
    assert warnings(snapshot) == []


def test_an_empty_front_is_explained() -> None:
    rows = [
        trial(0, 0.5, 30.0, state="infeasible", violation=0.5),
        trial(1, 0.5, 25.0, state="infeasible", violation=0.25),
    ]
    found = snapshot_of(rows, constraints=[{"text": "latency<=20ms", "metric": "latency", "bound": 20.0}])
    told = warnings(found)[1]
    assert "all 2 candidates violate latency<=20ms" in told
    assert "trial 1" in told
    assert "25.0 %" in told


def test_the_file_is_whole_or_the_old_one(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "new folder" / "report.html"
    assert write_report(storage, "elasticvit-pixel6", target) == target
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]
    before = target.read_text()
    monkeypatch.setattr(Path, "replace", _full)
    with pytest.raises(NasError, match="the disk is full"):
        write_report(storage, "elasticvit-pixel6", target)
    assert target.read_text() == before


def _full(self: Path, target: object) -> None:
    raise OSError(28, "No space left on device")


def test_an_unknown_study_is_an_error(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(NasError, match="unknown study"):
        write_report(storage, "elasticvit", tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_two_devices_have_a_panel_each(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    make_study(storage, Recipe("two", devices=("pixel6", "pixel4"), trials=40))
    text = Reader(render(read_snapshot(storage, "two"))).text
    for device in ("pixel6", "pixel4"):
        assert f"Latency on {device}, during the search" in text
        assert f"Latency on {device}, final evaluation" in text
