"""Values that differ by left and right alone."""

import pytest

from simtrain.preflight.left_right import left_right_pairs


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["shoe_left", "shoe_right"], ("shoe_left", "shoe_right")),
        (["Rechter Handschuh", "mug", "Linker Handschuh"], ("Linker Handschuh", "Rechter Handschuh")),
        (["gant droit", "gant gauche"], ("gant gauche", "gant droit")),
        (["دستکش راست", "دستکش چپ"], ("دستکش چپ", "دستکش راست")),
        (["Mirror LH", "Mirror RH"], ("Mirror LH", "Mirror RH")),
        (["shoe left", "boot right"], None),
        (["bright mug", "leftover mug"], None),
        (["left and right", "left"], None),
        (["shoe 7 left", "shoe 8 right"], None),
    ],
)
def test_values_that_differ_by_the_side_only(values: list[str], expected: tuple[str, str] | None) -> None:
    assert next(left_right_pairs(values), None) == expected
