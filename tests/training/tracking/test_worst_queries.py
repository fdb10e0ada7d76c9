"""Thumbnails and the contact sheet."""

# Shapes: S = 128 pixels of a thumbnail, 140 with its frame.

import numpy as np

from simtrain.training.tracking.worst_queries import WorstQuery, contact_sheet, show_queries

QUERIES = [
    WorstQuery(row=1, average_precision=0.0, neighbours=(2, 3), relevant=(True, False)),
    WorstQuery(row=4, average_precision=0.5, neighbours=(5,), relevant=(False,)),
]


def shown() -> list:
    return show_queries(
        QUERIES, picture=lambda row: np.full((20, 40, 3), 10 * row, np.uint8), ids=lambda row: f"i{row}"
    )


def test_names_and_relevance() -> None:
    first, second = shown()
    assert (first.image.name, first.image.relevant, first.average_precision) == ("i1", None, 0.0)
    assert [(image.name, image.relevant) for image in first.neighbours] == [("i2", True), ("i3", False)]
    assert (second.image.name, len(second.neighbours)) == ("i4", 1)


def test_a_thumbnail_keeps_the_proportions_on_white() -> None:
    thumbnail = shown()[0].image.thumbnail
    assert thumbnail.shape == (128, 128, 3)
    assert (thumbnail[64, 64].tolist(), thumbnail[5, 64].tolist()) == ([10] * 3, [255] * 3)


def test_the_sheet_frames_what_is_relevant_in_green() -> None:
    sheet = contact_sheet(shown())
    assert sheet.shape == (280, 420, 3)
    assert [sheet[2, 2 + 140 * column].tolist() for column in range(3)] == [[255] * 3, [0, 160, 70], [205, 40, 40]]
    assert sheet[70, 210].tolist() == [20] * 3


def test_a_query_with_fewer_neighbours_leaves_its_place_white() -> None:
    assert (contact_sheet(shown())[140:, 280:] == 255).all()
