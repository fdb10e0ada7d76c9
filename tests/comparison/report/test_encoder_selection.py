"""Which encoders the charts show."""

from dataclasses import replace
from pathlib import Path

from page_parser import written
from tiny_comparison import encoder, tiny_comparison


def test_of_many_encoders_the_rest_is_counted(tmp_path: Path) -> None:
    report = tiny_comparison()
    runs = [
        encoder(f"run{place}", "run", quality=0.5 + place / 100, baseline="clip", word="better", difference=place / 100)
        for place in range(40)
    ]
    page = written(tmp_path, replace(report, encoders=[*report.encoders, *runs]))
    assert len(page.json["json-figures"]["ranking"]["data"]) == 31
    assert "13 more encoders are only in the table." in page.text
    assert "run0 is better than clip" in page.text


def test_without_runs_the_best_encoders_differ_in_colour(tmp_path: Path) -> None:
    report = tiny_comparison()
    others = [
        encoder(name, kind, quality=0.4, baseline="clip", word="worse", difference=-0.1)  # type: ignore[arg-type]  # of the pairs
        for name, kind in (("lab", "off_the_shelf"), ("lab_whitened", "whitened"))
    ]
    page = written(tmp_path, replace(report, encoders=[*report.encoders[:2], *others]))
    colours = [trace["marker"]["color"] for trace in page.json["json-figures"]["categories"]["data"]]
    assert len(set(colours)) == len(colours) == 3
