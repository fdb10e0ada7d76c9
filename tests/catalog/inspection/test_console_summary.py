import re
from pathlib import Path
from typing import Any

import pytest

import simtrain.catalog.sources
from simtrain.catalog.inspection.console_summary import MOST_LINES, by_harm, lines_of
from simtrain.catalog.inspection.findings import duplicate_findings, near_duplicate_findings
from simtrain.catalog.inspection.kinds import KINDS, SEVERITY


def test_kinds_are_ordered_by_severity() -> None:
    order = {"error": 0, "warning": 1, "note": 2}
    assert list(SEVERITY.values()) == sorted(SEVERITY.values(), key=order.__getitem__)
    assert list(SEVERITY) == list(KINDS)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^no kind of finding: 'odd'; known: groups_across_splits, set_aside, "):
        by_harm([{"kind": "odd"}])


def test_every_kind_that_a_source_tells_is_known() -> None:
    told = set()
    for module in Path(simtrain.catalog.sources.__file__).parent.glob("*.py"):
        told |= set(re.findall(r'"kind": "(\w+)"', module.read_text(encoding="utf-8")))
    assert len(told) >= 25
    assert told - set(KINDS) == set()


def test_lines_have_count_and_example_and_the_worst_come_first() -> None:
    found = [
        {"kind": "tiny_images", "ids": ["a", "b"], "smallest_side": 64},
        {"kind": "label_with_one_image", "label": "a", "ids": ["i0"]},
        {"kind": "unreadable", "id": "x", "path": "x.jpg", "reason": "no such image"},
        *duplicate_findings("ab", ["a", "a"], products=["p", None], labels=[None, None]),
        {"kind": "groups_across_splits", "groups": 2, "moved_images": 3, "examples": ["q"], "ids": ["q"]},
    ]
    assert lines_of(found, {"labels": 2}) == [
        "2 groups of one product or picture stood in several splits, such as 'q'; moved 3 images to the strictest "
        "(test, else val)",
        "cannot be read and left out: 1 file, such as 'x.jpg': no such image",
        "equal pictures with different products or labels: 1 case, such as 'a' and 'b' with 'p' and none",
        "labels with a single image: 1 of 2, such as 'a'",
        "tiny pictures, a side below 64 pixels: 2, such as 'a'",
        "2 images show the same picture as another, in 1 group, such as 'a' and 'b'; each group is in one split",
    ]


def test_near_duplicates_across_splits_are_the_example() -> None:
    pairs = [(0, 1, 0.9, False), (0, 2, 0.9, False), (0, 3, 0.9, False)]
    labels, splits = ["x", "x", "y", "x"], ["train", "train", "train", "test"]
    found = near_duplicate_findings("abcd", pairs, products=[None] * 4, labels=labels, splits=splits, kept=True)
    assert lines_of(found, {"labels": 2}) == [
        "pictures that are nearly the same: 3 pairs (1 in different splits, 1 with different products or labels, 1 "
        "kept as different things: --set near_duplicates.across_products=set_aside makes them copies), "
        "such as 'a' and 'd'"
    ]


def every_kind() -> list[dict[str, Any]]:
    """A finding of each kind with the keys that it has."""
    rest = {
        "path": "p",
        "reason": "r",
        "message": "m",
        "ids": ["i", "j"],
        "labels": ["l", "m"],
        "values": ["v", "w"],
        "notes": ["n", "n"],
        "kept_apart": False,
        "products_gone": [],
        "widths": [1, 2],
        "heights": [1, 2],
        "tokens": [80, 90],
        "differ": ["label"],
        "copies_of": ["o", "o"],
        "column": "label",
        "kept_as": "k",
        "groups": 1,
        "moved_images": 1,
        "images": 1,
        "examples": ["e"],
        "split_folders": ["train"],
        "smallest_side": 9,
        "largest_aspect": 4.0,
        "caption": "c",
        "label": "l",
    }
    return [{"kind": kind, **rest} for kind in KINDS]


@pytest.mark.parametrize("finding", every_kind(), ids=list(KINDS))
def test_every_kind_has_a_line(finding: dict[str, Any]) -> None:
    (line,) = lines_of([finding], {"labels": 3})
    assert line
    assert "\n" not in line


def test_lines_stay_few() -> None:
    lines = lines_of(every_kind(), {"labels": 3})
    assert len(lines) == MOST_LINES == 20
    assert lines[-1] == f"and {len(KINDS) - 19} other kinds of findings"


def test_names_without_end_are_shortened() -> None:
    finding = {"kind": "unreadable", "path": "x" * 5000, "reason": "File name too long", "ids": []}
    (line,) = lines_of([finding], {"labels": 0})
    assert line == f"cannot be read and left out: 1 file, such as '{'x' * 159}…': File name too long"
