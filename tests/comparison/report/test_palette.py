"""Colours of encoders, in the light and in the dark."""

from pathlib import Path

from page_parser import Page, written
from tiny_comparison import tiny_comparison

from simtrain.comparison.report.palette import DARK


def test_an_encoder_has_one_colour_everywhere(page: Page) -> None:
    figures = page.json["json-figures"]
    ranking = {trace["hovertext"][0].split("<br>")[0]: trace for trace in figures["ranking"]["data"]}
    for name in ("categories", "recall", "robustness", "cost"):
        for trace in figures[name]["data"]:
            lines = trace["hovertext"][0].split("<br>")
            encoder_name = lines[1].split(" ")[0] if name == "categories" else lines[0]
            colour = (trace.get("line") or trace["marker"])["color"]
            assert (
                colour
                == ranking[encoder_name.split(" ")[0] if name == "categories" else encoder_name]["marker"]["color"]
            )


def test_every_colour_has_a_partner_in_the_dark(page: Page) -> None:
    def colours(of: object) -> set[str]:
        if isinstance(of, list):
            return {colour for one in of for colour in colours(one)}
        if not isinstance(of, dict):
            return set()
        own = {of[key] for key in of if key.endswith("color") and isinstance(of[key], str)}
        return own | {colour for one in of.values() for colour in colours(one)}

    assert colours(page.json["json-figures"]) <= set(DARK)


def test_the_style_has_a_variable_for_each_colour_and_its_partner(tmp_path: Path) -> None:
    written(tmp_path, tiny_comparison())
    text = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    light, dark = text.split("prefers-color-scheme: dark")[:2]
    for colour, partner in DARK.items():
        assert f"--c-{colour[1:]}: {colour};" in light
        assert f"--c-{colour[1:]}: {partner};" in dark
