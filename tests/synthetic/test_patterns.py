"""Printed shares of a surface, against counts on an even grid."""

import numpy as np
import pytest

from simtrain.synthetic.patterns import PATTERNS, Print, draw_print, printed, surface_coordinates

ALONG, UP = (
    axis.ravel() for axis in np.meshgrid(np.linspace(0.0, 1.2, 601), np.linspace(0.0, 1.0, 500, endpoint=False))
)


def share(pattern: str, **changes: object) -> float:
    usual = {"color": (0, 0, 0), "period": 0.2, "duty": 0.4, "level": 0.5, "upper": True}
    return float(printed(Print(pattern=pattern, **{**usual, **changes}), along=ALONG, up=UP).mean())


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("plain", 0.0),
        ("striped", 0.4),
        ("pinstriped", 0.28),
        ("dotted", np.pi * (0.2 + 0.4 * 0.3) ** 2),
        ("banded", 2 * 0.4 * 0.28),
        ("two-tone", 0.35),
        ("checked", 0.5),
        ("zigzag", 0.4),
    ],
)
def test_the_printed_share_is_that_of_the_measures(pattern: str, expected: float) -> None:
    assert share(pattern) == pytest.approx(expected, abs=0.02)


def test_every_pattern_has_its_share() -> None:
    assert len(PATTERNS) == 8
    assert sum(share(pattern) > 0 for pattern in PATTERNS) == 7


def test_two_tone_lies_above_or_below_its_edge() -> None:
    settings = {"pattern": "two-tone", "color": (0, 0, 0), "period": 0.2, "duty": 0.4, "level": 0.5}
    above = printed(Print(**settings, upper=True), along=ALONG, up=UP)
    below = printed(Print(**settings, upper=False), along=ALONG, up=UP)
    assert UP[above].min() > UP[below].max()


def test_as_many_numbers_are_drawn_for_every_pattern() -> None:
    states = []
    for pattern in PATTERNS:
        rng = np.random.default_rng(4)
        draw_print(pattern, color=(1, 2, 3), rng=rng)
        states.append(rng.random())
    assert len(set(states)) == 1


def test_a_round_part_is_unrolled() -> None:
    angle = np.linspace(-3.0, 3.0, 50)
    along, up = surface_coordinates(np.stack([2 * np.sin(angle), angle, 2 * np.cos(angle)], axis=1), mapping="round")
    np.testing.assert_allclose(along, 2 * angle, atol=1e-12)
    np.testing.assert_array_equal(up, angle)


def test_a_flat_part_lies_on_its_two_largest_axes() -> None:
    centers = np.random.default_rng(0).uniform(size=(40, 3)) * (0.1, 3.0, 2.0)
    along, up = surface_coordinates(centers, mapping="flat")
    np.testing.assert_array_equal(along, centers[:, 1])
    np.testing.assert_array_equal(up, centers[:, 2])
