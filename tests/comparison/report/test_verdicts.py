"""The verdict of the page, with runs and without."""

from dataclasses import replace
from pathlib import Path

import pytest
from page_parser import written
from tiny_comparison import encoder, tiny_comparison, verdict


def test_the_better_run_comes_first(tmp_path: Path) -> None:
    report = tiny_comparison()
    worst = encoder("bad", "run", quality=0.3, baseline="clip", word="worse", difference=-0.2)
    best = encoder("good", "run", quality=0.7, baseline="clip", word="better", difference=0.2)
    text = written(tmp_path, replace(report, encoders=[*report.encoders, worst, best])).text
    assert "Of 3 runs, against clip: 2 better, 1 worse." in text
    assert text.index("good is better") < text.index("tuned is better") < text.index("bad is worse")


def test_a_relevance_with_a_baseline_of_its_own_is_told_against_it(tmp_path: Path) -> None:
    report = tiny_comparison()
    run = report.encoder("tuned")
    other = verdict("tuned", baseline="clip_whitened", relevance="label", word="better", difference=0.08)
    relevances = {**run.relevances, "label": replace(run.relevances["label"], verdict=other)}
    encoders = [replace(one, relevances=relevances) if one.name == "tuned" else one for one in report.encoders]
    baselines = {"product": "clip", "label": "clip_whitened"}
    text = written(tmp_path, replace(report, encoders=encoders, baselines=baselines)).text
    assert other.sentences[0] in text
    assert "By label the baseline is clip_whitened, the best encoder there." in text


def test_without_runs_the_best_encoder_is_named_and_whether_that_is_shown(tmp_path: Path) -> None:
    report = tiny_comparison()
    text = written(tmp_path, replace(report, encoders=report.encoders[:-1], test_readings={})).text
    assert (
        "No run is compared. Of 2 encoders without fine-tuning, clip_whitened has the highest map_at_r by product: "
        "55.0 % (52.0 to 58.0). Its verdict against the baseline, clip:"
    ) in text
    assert "clip_whitened is not shown to be better than clip" in text


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("worse", "The difference is significant: each of the others is worse."),
        (
            "not shown to be better",
            "It is not shown to be the best: other may be as good or better.",
        ),
    ],
)
def test_without_runs_a_baseline_that_is_best_is_shown_so_or_not(tmp_path: Path, word: str, said: str) -> None:
    report = tiny_comparison()
    other = encoder("other", "off_the_shelf", quality=0.4, baseline="clip", word=word, difference=-0.1)  # type: ignore[arg-type]  # of the parameters
    assert said in written(tmp_path, replace(report, encoders=[*report.encoders[:2], other])).text


def test_a_run_that_is_the_baseline_has_no_verdict(tmp_path: Path) -> None:
    report = tiny_comparison()
    run = encoder("only", "run", quality=0.4, baseline="only", word=None, difference=0.0)
    alone = replace(report, encoders=[report.encoders[0], run], baseline="only")
    alone = replace(alone, baselines={"product": "only", "label": "only"})
    assert "No verdict: only is the only run, and it is the baseline." in written(tmp_path, alone).text
