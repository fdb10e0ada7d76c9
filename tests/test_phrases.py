"""Counts, names, percentages and intervals as words."""

import math
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest

from simtrain.phrases import (
    between,
    counted,
    fine_percent,
    fine_signed_percent,
    joined,
    listed,
    percent,
    quoted,
    shortened,
    signed_percent,
    signed_points,
    significant,
)

DASH = "\N{EN DASH}"


def in_percent(share: float) -> Decimal:
    """The share in percent, rounded to one decimal by decimal arithmetic."""
    return Decimal(100.0 * share).quantize(Decimal("0.1"), rounding=ROUND_HALF_EVEN)


def test_a_count_has_the_noun_that_goes_with_it() -> None:
    assert [counted(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(number, "query", "queries") for number in (1, 5_000_000)] == ["1 query", "5000000 queries"]
    assert [counted(number, "point") for number in (1.0, 0.5, 10.0)] == ["1 point", "0.5 points", "10 points"]


def test_names_are_quoted_and_null_is_none() -> None:
    assert [quoted(name) for name in ("a b", "", None)] == ["'a b'", "''", "none"]


@pytest.mark.parametrize(
    ("number", "expected"), [(0, ""), (1, "a"), (2, "a and b"), (3, "a, b and c"), (5, "a, b, c, d and e")]
)
def test_parts_are_joined_as_in_a_sentence(number: int, expected: str) -> None:
    assert joined("abcde"[:number]) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, ""), (1, "'a'"), (2, "'a' and 'b'"), (3, "'a', 'b' and 'c'"), (5, "'a', 'b', 'c' and 2 more")],
)
def test_of_many_names_the_first_are_listed(number: int, expected: str) -> None:
    assert listed("abcde"[:number]) == expected


def test_names_that_are_listed_may_be_null_and_one() -> None:
    assert listed(["a", None]) == "'a' and none"
    assert listed("abc", at_most=1) == "'a' and 2 more"


def test_texts_are_shortened_to_one_line() -> None:
    assert (shortened("a  b\nc", to=5), shortened("abcdef", to=5), shortened("abc d", to=4)) == (
        "a b c",
        "abcd…",
        "abc…",
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_percentages_are_rounded_as_decimals_are(sign: int) -> None:
    shares = [sign * float(share) for share in np.random.default_rng(0).uniform(0, 1, 2000)] + [0.0125, 0.0005, 0.9995]
    for share in shares:
        rounded = in_percent(share)
        unsigned_zero = "0.0" if rounded == 0 else str(rounded)
        assert percent(share) == unsigned_zero
        assert signed_percent(share) == (f"+{rounded}" if rounded > 0 else unsigned_zero)
        assert signed_points(100.0 * share) == ("+0.0" if rounded == 0 else f"{rounded:+}")


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_what_is_not_known_is_a_dash(unknown: float | None) -> None:
    assert (percent(unknown), signed_percent(unknown), significant(unknown, digits=2)) == (DASH, DASH, DASH)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.061, "6.1"), (0.01, "1.0"), (0.00949, "0.95"), (0.00012, "0.012"), (0.000012, "0.001"),
        (0.0, "0.0"), (0.000001, "0.0"), (1.0, "100.0"),
    ],
)  # fmt: skip
def test_small_percentages_have_two_significant_digits(share: float, expected: str) -> None:
    assert fine_percent(share) == expected
    assert fine_percent(-share) == (expected if expected == "0.0" else f"-{expected}")


@pytest.mark.parametrize(
    ("difference", "expected"), [(0.061, "+6.1"), (-0.061, "-6.1"), (0.0, "0.0"), (-0.0, "0.0"), (0.0012, "+0.12")]
)
def test_small_differences_have_a_sign(difference: float, expected: str) -> None:
    assert fine_signed_percent(difference) == expected


def test_an_interval_is_told_by_its_ends() -> None:
    assert between(0.4, 0.6) == "40.0 to 60.0"
    assert between(-0.021, 0.3, write=signed_percent) == "-2.1 to +30.0"
    assert between(-2.1, 30, write=signed_points) == "-2.1 to +30.0"
    assert between(math.nan, math.nan) == "no interval"
    assert between(math.nan, math.nan, unknown="one product only") == "one product only"


@pytest.mark.parametrize(
    ("number", "digits", "expected"),
    [(0.02134, 2, "0.021"), (1234.5, 2, "1,234"), (1234567, 3, "1,234,567"), (0, 2, "0"), (math.inf, 2, "inf")],
)
def test_numbers_of_any_size_have_significant_digits(number: float, digits: int, expected: str) -> None:
    assert significant(number, digits=digits) == expected
