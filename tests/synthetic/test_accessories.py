"""Handbags, suitcases, hats and headphones: whole solids in the colours asked for."""

from collections.abc import Callable

import numpy as np
import pytest
from solid_measures import PAINT, check_style

from simtrain.synthetic.accessories import handbag, hat, headphones, suitcase
from simtrain.synthetic.palette import DARK
from simtrain.synthetic.solids import Surface


@pytest.mark.parametrize(
    ("build", "style"),
    [
        (handbag, "tote"),
        (handbag, "satchel"),
        (handbag, "bucket"),
        (suitcase, "ribbed"),
        (suitcase, "smooth"),
        (suitcase, "vintage"),
        (hat, "fedora"),
        (hat, "bowler"),
        (hat, "boater"),
        (hat, "sun"),
        (headphones, "round"),
        (headphones, "oval"),
        (headphones, "studio"),
    ],
)
def test_every_style_is_about_a_unit_large_and_in_both_colours(build: Callable[..., list[Surface]], style: str) -> None:
    check_style(build, style)


def test_a_tote_has_two_handles_and_others_one() -> None:
    def straps(style: str) -> int:
        parts = handbag(style=style, paint=PAINT, rng=np.random.default_rng(0))
        top = parts[0].grid[:, :, 1].max()
        return sum(part.grid[:, :, 1].max() > top + 0.05 for part in parts[1:])

    assert (straps("tote"), straps("satchel"), straps("bucket")) == (2, 1, 1)


def test_a_hat_s_brim_is_its_widest_part() -> None:
    for style in ("fedora", "bowler", "boater", "sun"):
        brim, crown, band = (
            np.ptp(part.grid[:, :, 0]) for part in hat(style=style, paint=PAINT, rng=np.random.default_rng(0))
        )
        assert brim > band > crown - 0.1


def test_headphones_are_the_same_left_and_right() -> None:
    points = np.concatenate(
        [part.grid.reshape(-1, 3) for part in headphones(style="oval", paint=PAINT, rng=np.random.default_rng(0))]
    )
    assert points[:, 0].min() == pytest.approx(-points[:, 0].max(), abs=1e-9)


def test_only_trolleys_have_wheels() -> None:
    def wheels(style: str) -> int:
        parts = suitcase(style=style, paint=PAINT, rng=np.random.default_rng(0))
        return sum(part.color == DARK and np.ptp(part.grid[:, :, 1]) < 0.2 for part in parts)

    assert wheels("vintage") == 0
    assert wheels("smooth") == wheels("ribbed") == 4
