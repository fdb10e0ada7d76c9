import math
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from page_parser import Page, written
from tiny_comparison import CATEGORIES, encoder, jpeg, tiny_comparison, verdict

from simtrain.comparison.report.palette import CLEAR, DARK
from simtrain.evaluation.breakdown import CategoryFigures
from simtrain.evaluation.statistics import Interval


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return written(tmp_path_factory.mktemp("report"), tiny_comparison())


def test_the_verdict_stands_first_and_the_sentences_are_the_verdicts(page: Page) -> None:
    said = verdict("tuned", baseline="clip", relevance="product", word="better", difference=0.1).sentences
    assert page.headings[:2] == ["The verdict", "Every encoder"]
    for sentence in said:
        assert page.text.index(sentence) < page.text.index("What it rests on")
    assert "Of 100 searches about 60 begin with a right image with tuned, about 50 with clip." in page.text


def test_the_main_relevance_comes_before_the_others(page: Page) -> None:
    assert page.text.index("map_at_r by product differs") < page.text.index("map_at_r by label differs")


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
    assert "By label against clip_whitened, which does best there." in text


def test_without_runs_the_best_encoder_is_named_and_whether_that_is_shown(tmp_path: Path) -> None:
    report = tiny_comparison()
    text = written(tmp_path, replace(report, encoders=report.encoders[:-1], test_readings={})).text
    assert (
        "No trained run takes part. Of 2 encoders as they come, clip_whitened has the highest map_at_r by product: "
        "55.0 % (52.0 to 58.0). It was judged against clip:"
    ) in text
    assert "clip_whitened is not shown to be better than clip" in text


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("worse", "That is shown: each of the others is worse, beyond what chance explains."),
        (
            "not shown to be better",
            "Whether it is truly the best is not shown: other may be as good or better.",
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
    assert (
        "only is the only run and the baseline itself, so there is no verdict on it." in written(tmp_path, alone).text
    )


def test_the_figures_are_those_of_the_report(page: Page) -> None:
    report = tiny_comparison()
    ranking = page.json["json-figures"]["ranking"]
    means = sorted((one.relevances["product"].metrics["map_at_r"] for one in report.encoders), key=lambda of: -of.mean)
    assert [trace["x"][0] for trace in ranking["data"]] == pytest.approx([100 * of.mean for of in means])
    below = [trace["error_x"]["arrayminus"][0] for trace in ranking["data"]]
    assert below == pytest.approx([100 * (of.mean - of.low) for of in means])
    for of in means:
        assert f"{100 * of.mean:.1f} {100 * of.low:.1f} to {100 * of.high:.1f}" in page.text
    curve = page.json["json-figures"]["recall"]["data"][-1]
    assert curve["y"] in [pytest.approx([100 * share for share in one.recall_curve]) for one in report.encoders]


def test_thresholds_stand_in_the_table_and_in_the_chart(page: Page) -> None:
    assert "90 0.812 90.1 87.3 to 92.8 43.2 405" in page.text
    assert "99 none: the highest precision of 500 pairs is 0.951" in page.text
    layout = page.json["json-figures"]["neighbours-0"]["layout"]
    assert [shape["x0"] for shape in layout["shapes"]] == [0.812]
    assert [note["text"] for note in layout["annotations"]] == ["90 % right from 0.812"]


def test_histograms_keep_all_pairs(page: Page) -> None:
    wrong, right = page.json["json-figures"]["neighbours-0"]["data"]
    assert (sum(wrong["y"]), sum(right["y"])) == (500, 700)
    for bars in page.json["json-figures"]["pairs-0"]["data"]:
        assert sum(bars["y"]) == pytest.approx(100, abs=0.01)


def test_points_of_a_map_know_picture_caption_and_category(page: Page) -> None:
    traces = page.json["json-figures"]["map-0"]["data"]
    told = [about for trace in traces for about in trace["customdata"]]
    assert len(told) == 12
    pictures = page.json["json-pictures"]
    for place, caption, group in told:
        row = int(caption[6:8])
        sizes = (112, 56)  # of rows that are shown elsewhere too, and of the others
        assert pictures[place] in ["data:image/jpeg;base64," + b64encode(jpeg(row, side)).decode() for side in sizes]
        assert (caption, group) == (f"image-{row:02}; {CATEGORIES[row % 3]}", "")


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

    assert colours(page.json["json-figures"]) <= {*DARK, CLEAR}
    assert page.json["json-dark"] == DARK


def test_of_many_categories_the_largest_are_drawn_and_all_are_told(tmp_path: Path) -> None:
    report = tiny_comparison()
    many = [
        CategoryFigures(
            name=f"category {place:03}", queries=1000 - place, products=1,
            metrics={"map_at_r": Interval(mean=0.5, low=math.nan, high=math.nan)}, note="too few products",
        )
        for place in range(120)
    ]  # fmt: skip
    encoders = [replace(one, categories=many if one.categories else []) for one in report.encoders]
    page = written(tmp_path, replace(report, encoders=encoders))
    axis = page.json["json-figures"]["categories"]["layout"]["yaxis"]
    assert axis["ticktext"] == [f"category {place:03}" for place in range(15)]
    assert "The 105 smaller ones are in the table alone." in page.text
    assert "category 119" in page.text


def test_of_many_encoders_the_rest_is_counted(tmp_path: Path) -> None:
    report = tiny_comparison()
    runs = [
        encoder(f"run{place}", "run", quality=0.5 + place / 100, baseline="clip", word="better", difference=place / 100)
        for place in range(40)
    ]
    page = written(tmp_path, replace(report, encoders=[*report.encoders, *runs]))
    assert len(page.json["json-figures"]["ranking"]["data"]) == 31
    assert "13 more encoders are in the table alone." in page.text
    assert "run0 is better than clip" in page.text


def test_a_mean_without_an_interval_has_no_line_through_it(tmp_path: Path) -> None:
    report = tiny_comparison()
    run = report.encoder("tuned")
    unknown = Interval(mean=0.5, low=math.nan, high=math.nan)
    first = replace(run.categories[0], metrics={"map_at_r": unknown}, note="too few products")
    encoders = [*report.encoders[:-1], replace(run, categories=[first, *run.categories[1:]])]
    bars = written(tmp_path, replace(report, encoders=encoders)).json["json-figures"]["categories"]["data"][-1]
    assert bars["x"][0] == 50
    assert bars["error_x"]["array"][0] is None
    assert bars["error_x"]["array"][1] == pytest.approx(3)


def test_without_runs_the_best_encoders_differ_in_colour(tmp_path: Path) -> None:
    report = tiny_comparison()
    others = [
        encoder(name, kind, quality=0.4, baseline="clip", word="worse", difference=-0.1)  # type: ignore[arg-type]  # of the pairs
        for name, kind in (("lab", "off_the_shelf"), ("lab_whitened", "whitened"))
    ]
    page = written(tmp_path, replace(report, encoders=[*report.encoders[:2], *others]))
    colours = [trace["marker"]["color"] for trace in page.json["json-figures"]["categories"]["data"]]
    assert len(set(colours)) == len(colours) == 3
