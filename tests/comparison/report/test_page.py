import hashlib
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from page_parser import HOSTILE, Page, written
from tiny_comparison import jpeg, tiny_comparison

from simtrain.comparison.report import write_report
from simtrain.comparison.result import ComparisonReport
from simtrain.errors import CheckpointError


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_and_nothing_else(tmp_path: Path, page: Page, name: str) -> None:
    hostile = written(tmp_path, tiny_comparison(run=name))
    assert name in hostile.text.replace("\u2068", "").replace("\u2069", "")
    plain = {(tag, key) for tag, attributes in page.elements for key in attributes}
    assert {(tag, key) for tag, attributes in hostile.elements for key in attributes} == plain
    assert [of for of, _ in hostile.scripts] == [of for of, _ in page.scripts]


def test_hostile_captions_and_labels_are_text_too(tmp_path: Path, page: Page) -> None:
    report = tiny_comparison()
    captions = dict.fromkeys(range(12), HOSTILE[1])
    figures = [
        replace(one, categories=[replace(of, name=HOSTILE[0] + of.name) for of in one.categories])
        for one in report.encoders
    ]
    maps = tuple(replace(of, groups=(HOSTILE[0],) * 12) for of in report.pictures.maps)
    pictures = replace(report.pictures, captions=captions, maps=maps)
    hostile = written(tmp_path, replace(report, encoders=figures, pictures=pictures))
    assert {tag for tag, _ in hostile.elements} <= {tag for tag, _ in page.elements}
    assert len(hostile.scripts) == len(page.scripts)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_chart_holds_markup(tmp_path: Path, name: str) -> None:
    figures = written(tmp_path, tiny_comparison(run=name)).json["json-figures"]
    told = [text for of in figures.values() for trace in of["data"] for text in trace.get("hovertext", [])]
    told += [text for of in figures.values() for text in of["layout"]["yaxis"].get("ticktext", [])]
    assert told
    for text in told:
        assert "<" not in text.replace("<br>", "")


def test_embedded_json_holds_no_character_of_html(tmp_path: Path) -> None:
    page = written(tmp_path, tiny_comparison(run=HOSTILE[1]))
    for attributes, text in page.scripts:
        if "type" in attributes:
            assert not set("<>&") & set(text)


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    for _, attributes in page.elements:
        for key in ("src", "href", "srcset", "data", "action", "poster"):
            assert (attributes.get(key) or "#").startswith("#")
    assert "link" not in {tag for tag, _ in page.elements}
    policy = next(of["content"] for tag, of in page.elements if tag == "meta" and "http-equiv" in of)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'sha256-")


def test_the_policy_allows_the_script_of_the_page_alone(page: Page) -> None:
    policy = next(of["content"] for tag, of in page.elements if tag == "meta" and "http-equiv" in of) or ""
    run = [text for of, text in page.scripts if "type" not in of]
    digests = [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert policy.split("script-src ")[1] == " ".join(f"'sha256-{digest}'" for digest in digests)


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first.html", tmp_path / "second.html"
    write_report(first, tiny_comparison(), thumbnail=jpeg)
    write_report(second, tiny_comparison(), thumbnail=jpeg)
    assert first.read_bytes() == second.read_bytes()


def test_a_folder_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "comparison.html"
    with pytest.raises(CheckpointError) as caught:
        write_report(path, tiny_comparison(), thumbnail=jpeg)
    assert str(caught.value) == f"{path}: cannot be written: No such file or directory"


def test_a_file_where_the_folder_should_be_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "comparison.html"
    with pytest.raises(CheckpointError) as caught:
        write_report(path, tiny_comparison(), thumbnail=jpeg)
    assert str(caught.value) == f"{path}: cannot be written: Not a directory"


def test_a_page_that_cannot_be_replaced_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    path.mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_report(path, tiny_comparison(), thumbnail=jpeg)
    assert [one.name for one in tmp_path.iterdir()] == ["comparison.html"]


def bare(report: ComparisonReport) -> ComparisonReport:
    encoders = [
        replace(
            one, categories=[], confused=[], robustness=[], text={}, geometry=None, thresholds=None, cost=None,
            recall_curve=(), grades={}, relevances={
                name: replace(of, macro={}) for name, of in one.relevances.items()
            },
        )
        for one in report.encoders
    ]  # fmt: skip
    pictures = replace(report.pictures, queries=(), worst={}, maps=(), suspects=None, alike=())
    return replace(
        report, encoders=encoders, pictures=pictures, category=None, categories=[], unavailable=[], levels=["product"],
        test_readings={},
    )  # fmt: skip


def test_what_is_not_there_has_no_section_but_a_reason(tmp_path: Path) -> None:
    page = written(tmp_path, bare(tiny_comparison()))
    assert page.headings == ["Verdict", "All encoders", "Method", "Missing sections"]
    assert "Suspected label errors: the catalogue has no labels." in page.text
    assert list(page.json["json-figures"]) == ["ranking"]


def test_a_full_report_has_all_sections(page: Page) -> None:
    assert page.headings == [
        "Verdict", "All encoders", "By label", "Recall at k", "Similarity thresholds",
        "Embedding maps", "Random queries", "Worst queries", "Confused categories",
        "Suspected label errors", "Possible duplicate products", "Robustness to altered images", "Text retrieval",
        "Cost", "Geometry of the embeddings", "Unavailable encoders", "Method",
    ]  # fmt: skip


def test_every_chart_of_the_page_has_its_figure(page: Page) -> None:
    places = [of["data-figure"] for _, of in page.elements if "data-figure" in of]
    assert sorted(str(place) for place in places) == sorted(page.json["json-figures"])
