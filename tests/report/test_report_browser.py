"""The report in a real browser: everything drawn, nothing on the console, nothing run that is not ours."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from report_odd import EVIL, ODD, make_evil
from report_synthetic import make_study, open_storage

from nas.report import write_report
from nas.store import Storage

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--virtual-time-budget=20000",
]


@dataclass
class Seen:
    """A page after its scripts ran: its elements, and what it wrote to the console."""

    dom: str
    console: list[str]

    def count(self, pattern: str) -> int:
        """Number of matches of a regular expression in the elements."""
        return len(re.findall(pattern, self.dom))


def look(page: Path, *, width: int = 1280, dark: bool = False) -> Seen:
    """Open a file in headless Chromium."""
    shade = (
        ["--blink-settings=preferredColorScheme=0"] if dark else ["--blink-settings=preferredColorScheme=1"]
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            str(CHROMIUM),
            *OPTIONS,
            *shade,
            f"--window-size={width},900",
            f"--user-data-dir={profile}",
        ]
        done = subprocess.run(
            [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
        )
    return Seen(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])


def probed(page: Path, script: str) -> Path:
    """A copy of the page that runs one more script at its end, which its policy is told to allow."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = page.read_text().replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    copy = page.with_name(f"probed-{page.name}")
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    return copy


@pytest.fixture(scope="module")
def page(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(storage, "elasticvit-pixel6", tmp_path_factory.mktemp("page") / "report.html")


def test_the_console_is_heard(tmp_path: Path) -> None:
    loud = tmp_path / "loud.html"
    loud.write_text("<script>console.error('heard'); nothing.at.all</script>")
    assert len(look(loud).console) == 2


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)])
def test_everything_is_drawn_and_the_console_is_silent(page: Path, width: int, dark: bool) -> None:
    script = """
      addEventListener("load", () => setTimeout(() => {
        const {scrollWidth, clientWidth} = document.documentElement;
        document.body.dataset.overflow = scrollWidth - clientWidth;
      }, 500));
    """
    seen = look(probed(page, script), width=width, dark=dark)
    assert seen.console == []
    assert 'data-drawn="11"' in seen.dom
    assert seen.count('class="plot js-plotly-plot"') == 11
    assert seen.count('class="main-svg"') >= 11
    assert seen.count('data-narrow="true"') == (11 if width == 400 else 0)
    assert seen.count(r"rgb\(108, 178, 247\)" if dark else r"rgb\(15, 98, 172\)") > 50
    assert 'data-overflow="0"' in seen.dom


def test_hovers_heads_and_colours(page: Path) -> None:
    script = """
      addEventListener("load", () => setTimeout(() => {
        const plot = document.querySelector(".plot");
        const curve = plot.data.findIndex((trace) => trace.name === "Pareto front");
        Plotly.Fx.hover(plot, [{curveNumber: curve, pointNumber: 0}]);
        const table = document.querySelector("table.sortable");
        const order = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[0].textContent));
        const button = table.querySelector("th button");
        button.click(); const up = order();
        button.click(); const down = order();
        document.body.dataset.up = up.join(" ");
        document.body.dataset.down = down.join(" ");
      }, 500));
    """
    seen = look(probed(page, script))
    assert seen.console == []
    hover = re.search(r'<g class="hovertext".*?</g>', seen.dom, re.DOTALL)
    assert hover is not None
    for part in ("trial ", "Top-1 accuracy", "measured", "predicted", "T1: depth"):
        assert part in hover[0]
    up, down = (re.search(rf'data-{name}="([\d ]+)"', seen.dom) for name in ("up", "down"))
    assert up is not None
    assert down is not None
    numbers = [int(number) for number in up[1].split()]
    assert len(numbers) > 5
    assert numbers == sorted(numbers)
    assert [int(number) for number in down[1].split()] == numbers[::-1]


def test_names_from_the_storage_do_not_run(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    make_evil(storage)
    path = write_report(storage, EVIL, tmp_path / "report.html")
    script = """
      addEventListener("load", () => setTimeout(() => {
        document.querySelectorAll(".plot").forEach((plot) => Plotly.Fx.hover(plot, [{curveNumber: 0, pointNumber: 0}]));
      }, 500));
    """
    seen = look(probed(path, script))
    assert seen.console == []
    assert "&lt;img src=x onerror=alert(2)&gt;" in seen.dom
    assert seen.count("<img") == 0
    assert seen.count("<script(?! )") == 3
    assert seen.count("<script[^>]*>alert") == 0


@pytest.mark.parametrize("kind", ["no trial", "three objectives", "empty front"])
def test_odd_studies_with_an_odd_name_draw_without_complaint(tmp_path: Path, kind: str) -> None:
    recipe = replace(ODD[kind], name="<script>alert(1)</script>")
    storage = open_storage(tmp_path)
    make_study(storage, recipe)
    seen = look(write_report(storage, recipe.name, tmp_path / "report.html"))
    assert seen.console == []
    assert "data-drawn" in seen.dom
    assert "<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>" in seen.dom
