"""Pictures reduced to the size of the store."""

import numpy as np

from simtrain.catalog.store.reduction import reduced


def test_a_very_long_picture_is_bounded() -> None:
    assert reduced(np.zeros((2, 40_000, 3), np.uint8), side=64).shape == (1, 1024, 3)
    assert reduced(np.zeros((2, 1000, 3), np.uint8), side=64).shape == (2, 1000, 3)
