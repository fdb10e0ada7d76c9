"""Charts of similarities and of the map of embeddings."""

from base64 import b64encode

import pytest
from page_parser import Page
from tiny_comparison import CATEGORIES, jpeg


def test_thresholds_stand_in_the_table_and_in_the_chart(page: Page) -> None:
    assert "90 0.812 90.1 87.3 to 92.8 43.2 405" in page.text
    assert "99 none: the highest precision of 500 pairs is 0.951" in page.text
    layout = page.json["json-figures"]["neighbours-0"]["layout"]
    assert [shape["x0"] for shape in layout["shapes"]] == [0.812]
    assert [note["text"] for note in layout["annotations"]] == ["90 % relevant from 0.812"]


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
