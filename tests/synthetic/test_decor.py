"""Lamps and clocks: whole solids in the colours asked for."""

from collections.abc import Callable

import numpy as np
import pytest
from solid_measures import PAINT, check_style, extent

from simtrain.synthetic.decor import clock, lamp
from simtrain.synthetic.solids import Surface


@pytest.mark.parametrize(
    ("build", "style"),
    [
        (lamp, "cone"),
        (lamp, "drum"),
        (lamp, "dome"),
        (clock, "round"),
        (clock, "square"),
        (clock, "alarm"),
    ],
)
def test_every_style_is_about_a_unit_large_and_in_both_colours(build: Callable[..., list[Surface]], style: str) -> None:
    check_style(build, style)


def test_a_lamp_s_shade_glows_above_its_base() -> None:
    parts = lamp(style="drum", paint=PAINT, rng=np.random.default_rng(3))
    base = [part for part in parts if part.color == PAINT.accent and part.casts]
    shade = next(part for part in parts if part.pattern == "round")
    assert max(part.grid[:, :, 1].max() for part in base) >= shade.grid[:, :, 1].min()
    assert min(part.grid[:, :, 1].min() for part in base) == extent(parts)[0, 1]


def test_hands_stand_at_ten_past_ten() -> None:
    """The upper half: one hand points to the right, one to the left."""
    parts = clock(style="round", paint=PAINT, rng=np.random.default_rng(0))
    hands = [part.grid.reshape(-1, 3) for part in parts if part.raised == 0.25]
    assert len(hands) == 2
    assert sorted(np.sign(hand.mean(axis=0)[0]) for hand in hands) == [-1, 1]
    assert all(hand.mean(axis=0)[1] > 0 for hand in hands)


def test_an_alarm_clock_has_two_bells() -> None:
    parts = clock(style="alarm", paint=PAINT, rng=np.random.default_rng(0))
    assert sum(part.gloss == 0.6 for part in parts) == 2
