"""Lines on an approximate index."""

from typing import Any

from simtrain.runs.index_report import index_lines

DESCRIBED: dict[str, Any] = {
    "factory": "IVF1024,SQ8",
    "recall_vs_exact": 0.9961,
    "recall_of_codes": 0.962,
    "recall_depth": 10,
    "wanted_recall": 0.99,
    "held_out_queries": 256,
    "milliseconds_per_query": 0.4123,
    "bytes_per_vector": 541.2,
    "stored_bytes_per_vector": 2048.0,
    "search": {"width": 12, "candidates": 20},
}


def test_an_approximate_index_tells_size_time_and_recall() -> None:
    assert index_lines(DESCRIBED) == [
        "index: IVF1024,SQ8, 541 bytes a vector, and 2,048 on the disk for exact similarities; 0.41 ms a search here",
        "recall: it finds 99.6 % of the 10 nearest items of 256 held-out images; 96.2 % before they are compared "
        "exactly",
    ]


def test_a_recall_that_is_not_reached_is_said() -> None:
    assert index_lines({**DESCRIBED, "recall_vs_exact": 0.931})[-1] == (
        "recall: 99.0 % was wanted (export.index_recall) and is not reached by any width of this search; "
        "--set export.index=auto, or more bytes a vector, finds more"
    )


def test_an_exact_index_has_nothing_to_tell() -> None:
    assert index_lines({"factory": "Flat", "recall_vs_exact": 1.0}) == []
