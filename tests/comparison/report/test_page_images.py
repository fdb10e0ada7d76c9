"""Pictures of the page: each once, within a budget."""

from pathlib import Path

import pytest
from page_parser import Page
from tiny_comparison import tiny_comparison

from simtrain.comparison.report import write_report


def test_a_thumbnail_must_be_a_jpeg_and_leaves_the_old_page(tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"thumbnail of row 0 begins with b'\\x89PNG'; allowed: JPEG"):
        write_report(path, tiny_comparison(), thumbnail=lambda row, side: b"\x89PNG\r\n")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["comparison.html"]


def test_each_picture_is_there_once(page: Page) -> None:
    places = [of["data-picture"] for tag, of in page.elements if tag == "img" and "data-picture" in of]
    assert len(places) > len(set(places))
    assert len(page.json["json-pictures"]) == 12


def test_pictures_beyond_the_budget_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    large = b"\xff\xd8\xff" + bytes(600_000)
    write_report(path, tiny_comparison(), thumbnail=lambda row, side: large)
    page = Page(path)
    assert len(page.json["json-pictures"]) == 2  # of 0.8 million characters each, where 1.9 million are allowed
    assert "10 pictures left out to keep this file small" in page.text
    assert path.stat().st_size < 12_000_000


def test_a_picture_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    write_report(path, tiny_comparison(), thumbnail=lambda row, side: None)
    page = Page(path)
    assert page.json["json-pictures"] == []
    assert "no image" in page.text
    assert "left out" not in page.text.split("Basis of the verdict")[0]
