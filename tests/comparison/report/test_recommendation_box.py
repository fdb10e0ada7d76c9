"""The box at the top of the page."""

from dataclasses import replace
from pathlib import Path

import pytest
from page_parser import Page, written
from tiny_comparison import tiny_comparison

from simtrain.comparison.recommendation import Recommendation
from simtrain.comparison.report.encoder_selection import select_encoders
from simtrain.comparison.report.recommendation_box import recommendation_box
from simtrain.comparison.result import ComparisonReport
from simtrain.comparison.verdict import Contradiction

TAKE = Recommendation(
    answer="take",
    encoder="tuned",
    run="tuned",
    sentence="take tuned: it is better than untouched CLIP",
    reasons=("tuned is worse in mug.",),
    command="simtrain export tuned --out bundles/tuned",
)


def recommended(recommendation: Recommendation | None = TAKE) -> ComparisonReport:
    report = replace(tiny_comparison(), recommendation=recommendation)
    titled = [replace(one, title="untouched CLIP") if one.name == "clip" else one for one in report.encoders]
    return replace(report, encoders=titled)


def test_the_summary_is_of_every_idea_and_of_altered_images() -> None:
    box = recommendation_box(select_encoders(recommended()))
    assert box is not None
    assert box.sentences == (TAKE.sentence, *TAKE.reasons)
    assert [(row.idea, row.run, row.untouched, row.word) for row in box.rows] == [
        ("map_at_r, same product", "63.0", "53.0 (untouched CLIP)", "▲ better"),
        ("map_at_r, same label", "63.0", "53.0 (untouched CLIP)", "▲ better"),
        ("altered images that find their original", "60.0", "50.0 (untouched CLIP)", "no verdict against it"),
    ]


def test_altered_images_that_are_found_less_are_told() -> None:
    report = recommended()
    run = report.encoder("tuned")
    found = run.relevances["product"]
    assert found.verdict is not None
    fall = Contradiction(
        metric="recall_at_1", relevance="altered copies", baseline="clip", word="worse", difference=-0.1
    )
    changed = replace(found, verdict=replace(found.verdict, word="mixed", contradictions=(fall,)))
    encoders = [*report.encoders[:-1], replace(run, relevances={**run.relevances, "product": changed})]
    box = recommendation_box(select_encoders(replace(report, encoders=encoders)))
    assert box is not None
    assert (box.rows[0].word, box.rows[-1].word) == ("◆ mixed", "▼ worse")


@pytest.mark.parametrize("changes", [{"run": None, "answer": "keep"}, {"run": "clip"}])
def test_there_is_no_summary_without_a_run_that_was_judged(changes: dict[str, str | None]) -> None:
    box = recommendation_box(select_encoders(recommended(replace(TAKE, **changes))))  # type: ignore[arg-type]
    assert box is not None
    assert box.rows == ()


def test_it_stands_first_on_the_page_with_its_command(tmp_path: Path) -> None:
    page = written(tmp_path, recommended())
    sentence, command = page.text.index(TAKE.sentence), page.text.index(str(TAKE.command))
    assert sentence < command < page.text.index("Basis of the verdict")
    assert "tuned is better than untouched CLIP: map_at_r by product differs" in page.text
    assert recommendation_box(select_encoders(recommended(None))) is None


def test_the_contents_lead_to_every_section(page: Page) -> None:
    links = [of["href"] for tag, of in page.elements if tag == "a" and str(of.get("href")).startswith("#")]
    sections = [f"#{of['id']}" for tag, of in page.elements if tag == "h2"]
    assert links[: len(sections)] == sections
    assert len(sections) > 8
