"""Mugs, bottles, vases and teapots: whole solids in the colours asked for."""

from collections.abc import Callable

import numpy as np
import pytest
from solid_measures import PAINT, check_style, extent

from simtrain.synthetic.solids import Surface
from simtrain.synthetic.vessels import bottle, mug, teapot, vase


@pytest.mark.parametrize(
    ("build", "style"),
    [
        (mug, "straight"),
        (mug, "tapered"),
        (mug, "rounded"),
        (bottle, "sport"),
        (bottle, "long-neck"),
        (bottle, "waisted"),
        (vase, "round"),
        (vase, "slender"),
        (vase, "trumpet"),
        (vase, "urn"),
        (teapot, "round"),
        (teapot, "tall"),
        (teapot, "squat"),
    ],
)
def test_every_style_is_about_a_unit_large_and_in_both_colours(build: Callable[..., list[Surface]], style: str) -> None:
    check_style(build, style)


def test_a_mug_s_handle_is_on_the_right_and_of_the_accent_colour() -> None:
    *_, handle = mug(style="straight", paint=PAINT, rng=np.random.default_rng(1))
    assert handle.color == PAINT.accent
    assert handle.grid[:, :, 0].min() > 0.2


def test_a_teapot_pours_to_the_left() -> None:
    low, high = extent(teapot(style="round", paint=PAINT, rng=np.random.default_rng(1)))
    parts = teapot(style="round", paint=PAINT, rng=np.random.default_rng(1))
    spout = min(parts, key=lambda part: part.grid[:, :, 0].min())
    assert spout.grid[:, :, 0].max() < (low + high)[0]


def test_an_urn_has_two_handles_and_other_vases_none() -> None:
    counts = {
        style: len(vase(style=style, paint=PAINT, rng=np.random.default_rng(0)))
        for style in ("urn", "round", "slender")
    }
    assert counts == {"urn": 5, "round": 3, "slender": 3}


def test_only_the_insides_of_open_vessels_darken() -> None:
    assert [part.cavity for part in mug(style="tapered", paint=PAINT, rng=np.random.default_rng(0))] == [
        False,
        True,
        False,
    ]
    assert not any(part.cavity for part in bottle(style="sport", paint=PAINT, rng=np.random.default_rng(0)))
