"""Copies of one picture and the names of their clusters."""

from simtrain.catalog.inspection.duplicates import (
    Belonging,
    clusters_of_copies,
    duplicate_groups,
    pairs_to_tell,
    representatives,
)


def test_duplicates_are_named_by_the_smallest_id() -> None:
    assert duplicate_groups(["d", "b", "c", "a"], ["1", "1", "2", "1"]) == ["a", "a", None, "a"]


def test_near_duplicates_join_clusters_also_by_way_of_others() -> None:
    ids, contents = ["a", "b", "c", "d", "e"], ["1", "2", "3", "4", "2"]
    near = [(1, 2, 0.9, False), (2, 0, 0.9, False)]
    assert clusters_of_copies(ids, contents, near, apart=None) == ["1", "1", "1", "4", "1"]


def test_near_duplicates_of_different_products_are_no_copies() -> None:
    near = [(0, 1, 0.9, False), (1, 2, 0.9, False), (3, 4, 0.9, False)]
    apart = Belonging(products=["p", "q", "q", None, None], labels=["mug", "mug", "hat", "mug", "hat"])
    assert clusters_of_copies("abcde", "12345", near, apart=apart) == ["1", "2", "2", "4", "5"]


def test_a_picture_without_a_product_joins_the_most_similar_and_no_two_products() -> None:
    near = [(0, 2, 0.7, False), (1, 2, 0.8, False)]
    apart = Belonging(products=["p", "q", None], labels=[None] * 3)
    assert clusters_of_copies("abc", "123", near, apart=apart) == ["1", "2", "2"]


def test_equal_pixels_are_copies_whatever_their_products() -> None:
    apart = Belonging(products=["p", "q"], labels=[None, None])
    assert clusters_of_copies("ab", "11", [], apart=apart) == ["1", "1"]


def test_a_copy_that_comes_later_changes_no_key() -> None:
    before = clusters_of_copies(["b", "c"], ["9", "7"], [], apart=None)
    after = clusters_of_copies(["b", "c", "d"], ["9", "7", "1"], [(2, 0, 0.9, False)], apart=None)
    assert (before, after) == (["9", "7"], ["9", "7", "9"])


def test_representatives_are_the_first_of_each_content() -> None:
    assert representatives(["x", "y", "x", "z", "y"]) == [0, 1, 3]


def test_many_copies_of_one_picture_are_told_in_few_pairs() -> None:
    pairs = [(one, other, 1.0, False) for one in range(100) for other in range(one + 1, 100)]
    few = [(one, other, 0.9, False) for one in range(100, 104) for other in range(one + 1, 104)]
    told = pairs_to_tell([*pairs, *few], ["many"] * 100 + ["few"] * 4)
    assert {row for pair in told for row in pair[:2]} == set(range(104))
    assert len(told) == 99 + 6
