"""The page in a real browser: what no parser can tell."""

import shutil
import subprocess
from pathlib import Path

import pytest
from page_parser import HOSTILE, Page
from tiny_comparison import jpeg, tiny_comparison

from simtrain.comparison.report import write_report

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_BROWSER = next((found for name in _BROWSERS if (found := shutil.which(name)) is not None), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_BROWSER is None, reason=f"no browser here: none of {', '.join(_BROWSERS)} is on the PATH"),
]


class Opened(Page):
    """A page after its scripts have run, and what they said."""

    def __init__(self, path: Path, *options: str) -> None:
        command = [
            str(_BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            f"--user-data-dir={path.parent / 'profile'}", "--enable-logging=stderr", "--log-level=0",
            "--virtual-time-budget=20000", "--window-size=1200,900", *options, "--dump-dom", path.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True)
        self.console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        dumped = path.with_suffix(".dumped.html")
        dumped.write_text(done.stdout, encoding="utf-8")
        super().__init__(dumped)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    path = tmp_path_factory.mktemp("browser") / "comparison.html"
    write_report(path, tiny_comparison(run=HOSTILE[1]), thumbnail=jpeg)
    return Opened(path)


def test_every_chart_is_drawn(opened: Opened) -> None:
    charts = [of["data-figure"] for _, of in opened.elements if "data-figure" in of]
    drawn = [of for tag, of in opened.elements if tag == "svg" and of.get("class") == "drawing"]
    assert len(charts) == len(opened.json["json-figures"])
    assert len(charts) > 5
    assert len(drawn) == len(charts)
    assert not [of for _, of in opened.elements if "data-failed" in of]


def test_each_chart_holds_a_drawing_of_its_own(opened: Opened) -> None:
    inside, holding = None, set()
    for tag, of in opened.elements:
        if "data-figure" in of:
            inside = of["data-figure"]
        elif tag == "svg" and of.get("class") == "drawing":
            holding.add(inside)
    assert holding == set(opened.json["json-figures"])


def test_no_script_complains_and_nothing_is_refused(opened: Opened) -> None:
    assert opened.console == []
    assert "data-errors" not in next(of for tag, of in opened.elements if tag == "html")


def test_every_picture_is_filled_in(opened: Opened) -> None:
    pictures = [of for tag, of in opened.elements if tag == "img" and "data-picture" in of]
    assert len(pictures) > 10
    for of in pictures:
        assert of["src"] == opened.json["json-pictures"][int(str(of["data-picture"]))]


def test_charts_spell_a_hostile_name_and_do_not_obey_it(opened: Opened) -> None:
    assert not [of for tag, of in opened.elements if tag == "img" and of.get("src") == "x"]
    assert "</script><img src=x onerr…" in opened.words


def test_the_dark_has_its_own_colours(tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    write_report(path, tiny_comparison(), thumbnail=jpeg)
    dark = Opened(path, "--blink-settings=preferredColorScheme=0")
    soft = "fill: var(--c-59636e, #59636e)"  # whose value the style changes in the dark
    assert dark.console == []
    assert any(soft in str(of.get("style")) for tag, of in dark.elements if tag == "text")
