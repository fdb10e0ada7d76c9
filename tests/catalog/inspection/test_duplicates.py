"""Copies of one picture and the names of their clusters."""

from simtrain.catalog.inspection.duplicates import clusters_of_copies, duplicate_groups, representatives


def test_duplicates_are_named_by_the_smallest_id() -> None:
    assert duplicate_groups(["d", "b", "c", "a"], ["1", "1", "2", "1"]) == ["a", "a", None, "a"]


def test_near_duplicates_join_clusters_also_by_way_of_others() -> None:
    ids, contents = ["a", "b", "c", "d", "e"], ["1", "2", "3", "4", "2"]
    assert clusters_of_copies(ids, contents, [("2", "3"), ("3", "1")]) == ["1", "1", "1", "4", "1"]


def test_a_copy_that_comes_later_changes_no_key() -> None:
    before = clusters_of_copies(["b", "c"], ["9", "7"], [])
    after = clusters_of_copies(["b", "c", "d"], ["9", "7", "1"], [("1", "9")])
    assert (before, after) == (["9", "7"], ["9", "7", "9"])


def test_representatives_are_the_first_of_each_content() -> None:
    assert representatives(["x", "y", "x", "z", "y"]) == [0, 1, 3]
