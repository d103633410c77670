"""The dashboard in a real browser, started as a user would, on a real finished study."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from html import escape
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from dashboard_small import HARM, NAME, SPACE, learned, make, opened, record

from nas.report.snapshot import read_snapshot
from nas.store import SeriesPoint, Storage

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="no Chromium with its driver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-background-networking",
    "--enable-unsafe-swiftshader",
    "--use-angle=swiftshader",
)
GRAPH = """
  const graph = (name) =>
    document.getElementById(`{"kind":"graph","of":"${name}"}`)?.querySelector(".js-plotly-plot");
"""
T = TypeVar("T")


@pytest.fixture(scope="module")
def url(finished: Path) -> Iterator[str]:
    """The address of a running `nas dashboard`."""
    with served(finished) as address:
        yield address


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a `nas dashboard` that runs in a folder."""
    command = [sys.executable, "-m", "nas", "dashboard", "--port", "0", "--space", str(SPACE)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, bufsize=1) as server:
        assert server.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())
        assert found is not None
        try:
            yield found[0]
        finally:
            server.terminate()


class Page:
    """A browser's only tab."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, search: str = "", *, width: int = 1280, dark: bool = False) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(self.url + search)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(GRAPH + script, *arguments)

    def text(self, css: str) -> str:
        return str(self.js("return document.querySelector(arguments[0])?.innerText ?? ''", css))

    def until(self, what: Callable[[], T], seconds: float = 60.0) -> T:
        end = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.05)
        return found

    def drawn(self, *names: str, seconds: float = 60.0) -> None:
        """Wait until all these figures are on the page."""
        script = (
            "return arguments[0].every((name) => graph(name)?._fullData?.length && graph(name).offsetHeight)"
        )
        self.until(lambda: self.js(script, list(names)), seconds)

    def at_point(self, name: str, key: str) -> tuple[float, float]:
        """Where a point of a scatter plot is on the screen."""
        script = """
          const plot = graph(arguments[0]), box = plot.getBoundingClientRect();
          const {xaxis, yaxis, _size} = plot._fullLayout;
          for (const trace of plot._fullData) {
            const at = (trace.customdata ?? []).indexOf(arguments[1]);
            const left = box.left + _size.l, top = box.top + _size.t;
            if (at >= 0) return [left + xaxis.d2p(trace.x[at]), top + yaxis.d2p(trace.y[at])];
          }"""
        return tuple(self.js(script, name, key))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        actions = ActionBuilder(self.driver, duration=60)
        pointer = actions.pointer_action
        pointer.move_to_location(*map(round, start)).pointer_down()
        for share in (0.3, 0.7, 1.0):
            pointer.move_to_location(*[round(a + share * (b - a)) for a, b in zip(start, end)])
        pointer.pointer_up()
        actions.perform()

    def click(self, key: str, shows: str) -> None:
        """Click on a point of the front until a figure is shown: a click while a plot is drawn anew hits nothing."""
        for last in (False, False, True):
            self.drag(*[self.at_point("front", key)] * 2)
            with nullcontext() if last else suppress(AssertionError):
                self.drawn(shows, seconds=60.0 if last else 15.0)
                return

    def console(self) -> list[str]:
        """What was written to the console since the last call, but for notes on the speed of software WebGL."""
        lines = [line["message"] for line in self.driver.get_log("browser")]
        return [line for line in lines if "GPU stall" not in line]

    def asked(self) -> set[str]:
        """Addresses asked for since the last call."""
        events = [json.loads(line["message"])["message"] for line in self.driver.get_log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return {one["request"]["url"] for one in sent}


@pytest.fixture(scope="module")
def page(url: str) -> Iterator[Page]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(60)
    yield Page(driver, url)
    driver.quit()


KEYS = "return graph('front').data.flatMap((trace) => trace.customdata ?? [])"
STUDY = f"?study={quote(NAME, safe='')}"
FIGURES = ("front", "parallel", "volume", "volume-time", "loss", "rate")


@pytest.fixture
def stored(finished: Path) -> Storage:
    return Storage(f"sqlite:///{finished / 'nas.db'}", read_only=True)


def test_everything_is_drawn_from_here_alone_and_the_console_is_silent(page: Page, stored: Storage) -> None:
    page.open(STUDY)
    page.drawn(*FIGURES)
    assert page.text("h1") == NAME
    page.until(lambda: page.js("return document.title") == f"{NAME} · nas")
    page.until(lambda: "finished" in page.text("#meta"))
    page.until(lambda: f"nas front '{NAME}'" in page.text("#applying"))
    front = stored.front(stored.study(NAME).id)
    assert page.text("#facts").split("\n")[:4] == ["Trials", "24", "On the front", f"{len(front)}"]
    assert page.js("return document.documentElement.scrollWidth - innerWidth") <= 0
    asked = page.asked()
    assert len(asked) > 10
    assert {address for address in asked if not address.startswith((page.url, "data:", "blob:"))} == set()
    assert page.console() == []


def test_a_click_on_a_point_draws_its_network(page: Page, stored: Storage) -> None:
    page.open(STUDY)
    page.drawn("front")
    front = {f"trial:{trial.number}": trial for trial in stored.front(stored.study(NAME).id)}
    places = {key: page.at_point("front", key) for key in page.js(KEYS)}
    others = {key: [at for other, at in places.items() if other != key] for key in front}
    # where points lie on each other nobody knows which one is meant
    trial = front[max(front, key=lambda key: min(math.dist(places[key], at) for at in others[key]))]
    page.click(f"trial:{trial.number}", "network")
    rows = page.js("return graph('network')._fullLayout.yaxis.ticktext")
    stages = {"C1": trial.arch["C1.depth"], "T1": trial.arch["T1.depth"]}
    for stage, depth in stages.items():
        assert len([row for row in rows if row.startswith(stage) and "↓" not in row]) == depth
    bars = "const bars = graph('network').data.find((trace) => trace.xaxis === 'x2');"
    macs = page.js(f"{bars} return [...bars.x].reduce((a, b) => a + b)")
    assert {"k": 1e3, "M": 1e6}[title(page)] * macs == pytest.approx(trial.metrics["macs"].value, rel=1e-6)
    about = page.text("#about")
    assert trial.arch_id in about
    assert f"nas show '{NAME}/{trial.number}'" in about
    assert "predicted" in about or "estimated" in about
    assert page.console() == []


def title(page: Page) -> str:
    """The prefix in `MACs (M)`."""
    found = re.search(r"\((.)\)", page.js("return graph('network').layout.xaxis2.title.text"))
    assert found is not None
    return found[1]


def test_a_brush_filters_the_front(page: Page, stored: Storage) -> None:
    script = """
      return [...graph("parallel").querySelectorAll(".axis-brush .background")].map((axis) => {
        const {left, top, width, height} = axis.getBoundingClientRect();
        return [left + width / 2, top, height];
      });"""
    page.open(STUDY)
    page.drawn("front", "parallel")
    page.js("graph('parallel').scrollIntoView()")
    x, top, height = page.js(script)[0]
    page.drag((x, top + 0.05 * height), (x, top + 0.55 * height))
    note = page.until(lambda: re.search(r"(\d+) of 24 trials are inside", page.text("#front-note")))
    low, high = page.js("return graph('parallel').data[0].dimensions[0].constraintrange").copy()
    trials = read_snapshot(stored, NAME).trials
    inside = set(trials.loc[(100 * trials["accuracy"]).between(low, high), "number"])
    assert 0 < len(inside) < 24
    assert int(note[1]) == len(inside)
    page.until(lambda: set(page.js(KEYS)) == {f"trial:{number}" for number in inside})
    page.driver.find_element("id", "clear").click()
    page.until(lambda: len(page.js(KEYS)) == 24)
    page.until(lambda: "inside" not in page.text("#front-note"))
    assert page.console() == []


def test_a_brush_stays_on_its_values_while_trials_come(page: Page, tmp_path: Path) -> None:
    storage = opened(tmp_path)
    study = make(storage, "growing")
    storage.add_trials(
        study, [record(n, 0.5 + n / 10, 1.0 + n, depth=depth) for n, depth in enumerate((4, 2, 6))]
    )
    places = """
      const at = graph("parallel").data[0].dimensions.findIndex((one) => one.name === "arch.depth");
      const axis = graph("parallel").querySelectorAll(".axis-brush .background")[at];
      const {left, top, width, height} = axis.getBoundingClientRect();
      return [left + width / 2, top, height];"""
    brush = """
      return [...(graph("parallel")._fullData[0].dimensions.find((one) => one.name === "arch.depth")
        .constraintrange ?? [])];"""
    with served(tmp_path) as address:
        own = Page(page.driver, address)
        own.open("?study=growing")
        own.drawn("front", "parallel")
        own.js("graph('parallel').scrollIntoView()")
        x, top, height = own.js(places)
        own.drag((x, top + 0.02 * height), (x, top + 0.5 * height))
        own.until(lambda: set(own.js(KEYS)) == {"trial:0", "trial:2"})
        low, high = own.js(brush)
        more = [record(3 + n, 0.9 + n / 100, 5.0 + n, depth=depth) for n, depth in enumerate((1, 5))]
        storage.add_trials(study, more)
        own.until(lambda: set(own.js(KEYS)) == {"trial:0", "trial:2", "trial:4"})
        own.until(lambda: own.js(brush) == pytest.approx([low + 1, high + 2]))
        assert own.console() == []


def test_trials_of_another_process_appear(page: Page, finished: Path) -> None:
    page.open("?study=small")
    page.drawn("front", "parallel", "predicted", "volume")
    page.until(lambda: page.text("#facts").split("\n")[1:2] == ["5 4 complete, 1 infeasible"])
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from dashboard_small import record\n"
        "from nas.store import SeriesPoint, Storage\n"
        "storage = Storage('sqlite:///nas.db')\n"
        "study = storage.study('small').id\n"
        "storage.add_trials(study, [record(5, 0.95, 0.5)])\n"
        "storage.record_front(study, 1, wall_s=2.0)\n"
        "storage.set_state(study, 'finished')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], cwd=finished, check=True)
    page.until(lambda: page.text("#facts").startswith("Trials\n6 "))
    page.until(lambda: "finished" in page.text("#meta"))
    keys = "return graph('front').data.filter((t) => t.name === 'Pareto front').flatMap((t) => t.customdata)"
    page.until(lambda: page.js(keys) == ["trial:5"])
    page.until(lambda: page.js("return graph('volume').data[0].x.length ?? 0") != 1)
    # a toy space is not to be found, which is said where the network would be
    page.drag(*[page.at_point("front", "trial:5")] * 2)
    page.until(lambda: "the space 'toy' of study" in page.text("#about"))
    assert record(5, 0.95, 0.5).arch_id in page.text("#about")
    assert page.console() == []


def test_on_a_phone_in_the_dark(page: Page) -> None:
    page.open(STUDY, width=390, dark=True)
    page.drawn(*FIGURES)
    assert page.js("return document.documentElement.scrollWidth - innerWidth") <= 0
    colours = page.js("return graph('front').data.map((trace) => trace.marker?.color)")
    assert "#6cb2f7" in colours
    assert page.js("return graph('front').layout.dragmode") is False
    assert page.js("return getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
    scheme = {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    page.until(lambda: "#0f62ac" in page.js("return graph('front').data.map((trace) => trace.marker?.color)"))
    assert page.console() == []


def test_the_list_links_and_compares(page: Page) -> None:
    page.open()
    page.drawn("overlay")
    names = page.js("return [...document.querySelectorAll('#studies tbody a')].map((a) => a.textContent)")
    assert set(names) == {NAME, "small"}
    assert page.js("return graph('overlay').data.length") == 2
    assert "Hypervolume" in page.text("#volumes")
    page.driver.find_element("link text", NAME).click()
    page.drawn("front")
    assert page.text("h1") == NAME
    page.driver.back()
    page.drawn("overlay")
    page.open("?study=nothing")
    page.until(lambda: "unknown study 'nothing'" in page.text("#trouble"))
    assert page.console() == []


def test_what_a_generator_learned_appears_while_it_learns(page: Page, tmp_path: Path) -> None:
    storage = opened(tmp_path)
    study = make(storage, "learning")
    storage.add_trials(study, [record(0, 0.5, 5.0)])
    shown = "return ['course', 'generator'].map((id) => document.getElementById(id).offsetHeight > 0)"
    with served(tmp_path) as address:
        own = Page(page.driver, address)
        own.open("?study=learning")
        own.drawn("front")
        assert own.js(shown) == [False, False]
        storage.add_series(study, [SeriesPoint("generator", 0, learned(8, skill=None))])
        own.drawn("moved", "shift", "progress", "feasible")
        assert own.js(shown) == [False, True] and own.js("return graph('matters').offsetHeight") == 0
        storage.add_series(study, [SeriesPoint("generator", 1, learned(16, skill=0.5))])
        own.drawn("matters")
        own.until(lambda: own.js("return [...graph('feasible')._fullData[0].x]") == [8, 16])
        assert own.js("return graph('moved')._fullLayout.yaxis._categories") == [escape(HARM), "T1.depth"]
        assert HARM in own.text("#generator-lead")
        assert own.js("return document.documentElement.scrollWidth - innerWidth") <= 0
        assert own.console() == []
