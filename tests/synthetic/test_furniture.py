"""Chairs, tables, stools and bookshelves: whole solids in the colours asked for."""

from collections.abc import Callable

import numpy as np
import pytest
from solid_measures import PAINT, check_style, extent, painted

from simtrain.synthetic.furniture import bookshelf, chair, stool, table
from simtrain.synthetic.solids import Surface


@pytest.mark.parametrize(
    ("build", "style"),
    [
        (chair, "panel"),
        (chair, "ladder"),
        (chair, "spindle"),
        (table, "rectangular"),
        (table, "oval"),
        (table, "pedestal"),
        (stool, "round"),
        (stool, "square"),
        (stool, "tripod"),
        (bookshelf, "tall"),
        (bookshelf, "wide"),
        (bookshelf, "cube"),
    ],
)
def test_every_style_is_about_a_unit_large_and_in_both_colours(build: Callable[..., list[Surface]], style: str) -> None:
    check_style(build, style)


def test_legs_reach_the_floor() -> None:
    for build, style, legs in ((chair, "panel", 4), (table, "rectangular", 4), (stool, "tripod", 3)):
        parts = build(style=style, paint=PAINT, rng=np.random.default_rng(2))
        floor = extent(parts)[0, 1]
        standing = [part for part in parts if part.grid[:, :, 1].min() < floor + 0.03 and part.color == PAINT.accent]
        assert len(standing) == legs, style


def test_a_tall_bookshelf_has_more_boards_than_a_cube() -> None:
    def boards(style: str, seed: int) -> int:
        parts = bookshelf(style=style, paint=PAINT, rng=np.random.default_rng(seed))
        return painted([part for part in parts if part.pattern == "flat"], PAINT.primary)

    assert {boards("tall", seed) for seed in range(20)} == {2 + 5, 2 + 6}
    assert {boards("cube", seed) for seed in range(20)} == {3 + 3, 3 + 4}
