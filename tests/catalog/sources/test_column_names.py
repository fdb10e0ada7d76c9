"""Columns of one name: which keeps it, what the others are called, and what is told."""

import pytest

from simtrain.catalog.sources.column_names import repeated_finding, told_apart


def test_names_that_differ_stay() -> None:
    assert told_apart(["path", "Path", "path_2"]) == (["path", "Path", "path_2"], [])
    assert repeated_finding("t.csv", []) == []


@pytest.mark.parametrize(
    ("names", "apart"),
    [
        (["a", "a"], ["a", "a_2"]),
        (["a", "a_2", "a"], ["a", "a_2", "a_3"]),  # a_2 is the table's own
        (["a", "a", "a_2", "a_2"], ["a", "a_3", "a_2", "a_2_2"]),
        (["", "b", ""], ["", "b", "_2"]),
    ],
)
def test_names_that_stand_more_than_once_are_numbered(names: list[str], apart: list[str]) -> None:
    found, remarks = told_apart(names)
    assert found == apart
    assert len(set(found)) == len(names)
    assert len(remarks) == len({name for name in names if names.count(name) > 1})


def test_very_many_equal_names_take_no_time() -> None:
    apart, remarks = told_apart(["a"] * 50_000)  # two minutes if each began to count at 2
    assert (apart[-1], len(set(apart)), len(remarks)) == ("a_50000", 50_000, 1)


def test_what_is_told_of_long_and_many_names_is_short() -> None:
    names = [f"{'n' * 10_000}{number}" for number in range(7)]
    (finding,) = repeated_finding("t.csv", told_apart([*names, *names])[1])
    assert finding["message"].count("stands 2 times") == 5
    assert finding["message"].endswith("; 2 more columns of names that repeat")
    assert len(finding["message"]) < 2000


def test_what_is_told() -> None:
    _, remarks = told_apart(["label", "label", "label", "n", "n"])
    assert repeated_finding("t.csv", remarks) == [
        {
            "kind": "columns_repeated",
            "message": "t.csv: the column 'label' stands 3 times: the first is used, the others are kept as 'label_2' "
            "and 'label_3'; the column 'n' stands 2 times: the first is used, the other is kept as 'n_2'",
        }
    ]
