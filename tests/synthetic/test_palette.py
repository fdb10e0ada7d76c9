"""Colours of the catalogue and what goes with them."""

import numpy as np
import pytest

from simtrain.synthetic.palette import COLORS, SHADES, draw_accent, draw_shade


def test_there_are_twelve_names() -> None:
    assert COLORS == (
        "black", "blue", "brown", "green", "grey", "orange", "pink", "purple", "red", "silver", "white", "yellow",
    )  # fmt: skip


@pytest.mark.parametrize("color", COLORS)
def test_a_drawn_shade_is_within_five_levels_of_one_of_its_name(color: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = np.array(draw_shade(color, rng=rng))
        assert min(np.abs(drawn - shade).max() for shade in SHADES[color]) <= 5.0
        assert 0.0 <= drawn.min() <= drawn.max() <= 255.0


@pytest.mark.parametrize("color", COLORS)
def test_an_accent_is_told_from_the_colour(color: str) -> None:
    rng = np.random.default_rng(0)
    drawn = {draw_accent(color, rng=rng) for _ in range(300)}
    alike = {"red": {"orange", "pink"}, "grey": {"silver", "black"}, "brown": set()}.get(color, set())
    assert color not in drawn
    assert not drawn & alike
    assert len(drawn) > 5


def test_neutrals_are_accents_more_often() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_accent("green", rng=rng) for _ in range(2000)]
    assert drawn.count("white") == pytest.approx(4 * drawn.count("red"), rel=0.4)
