"""Readers of altered images."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from recording_console import RecordingConsole

from simtrain.data.altered_images import AlteredImages, MirroredImages, altered_rows
from simtrain.data.robustness import VARIANTS


@dataclass(frozen=True)
class Drawn:
    """Row 0 is a dark disc on white, row 1 is noise, which has no white background."""

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        noise = np.random.default_rng(row).integers(0, 200, size=(40, 30, 3), dtype=np.uint8)
        y, x = np.mgrid[0:40, 0:30]
        disc = np.hypot(y - 20, x - 15) < 9
        return noise if row else np.where(disc[:, :, None], noise // 4, np.uint8(255)).astype(np.uint8)


def test_each_picture_is_altered_by_the_variant() -> None:
    for variant in VARIANTS:
        expected = variant.apply(Drawn().read(0, at_least=None))
        assert expected is not None
        np.testing.assert_array_equal(AlteredImages(images=Drawn(), variant=variant).read(0, at_least=None), expected)


def test_left_and_right_are_exchanged() -> None:
    found = MirroredImages(images=Drawn()).read(1, at_least=None)
    np.testing.assert_array_equal(found, np.fliplr(Drawn().read(1, at_least=None)))
    assert found.flags.c_contiguous


def test_variants_know_the_rows_that_they_make_sense_for() -> None:
    console = RecordingConsole()
    found = {variant.name: rows.tolist() for variant, rows in altered_rows(Drawn(), np.array([0, 1]), console=console)}
    assert set(found) == {variant.name for variant in VARIANTS}
    of_background = {name for name, rows in found.items() if rows == [0]}
    assert of_background
    assert all(rows == [0, 1] for name, rows in found.items() if name not in of_background)
    assert [bar[:2] for bar in console.bars] == [("changing images", 2)]
    name = sorted(of_background)[0]
    variant = next(variant for variant in VARIANTS if variant.name == name)
    with pytest.raises(ValueError, match=f"^row 1 cannot be {variant.words}$"):
        AlteredImages(images=Drawn(), variant=variant).read(1, at_least=None)


def test_a_variant_without_a_row_is_left_out() -> None:
    names = {variant.name for variant, _ in altered_rows(Drawn(), np.array([1]), console=RecordingConsole())}
    assert 0 < len(names) < len(VARIANTS)
