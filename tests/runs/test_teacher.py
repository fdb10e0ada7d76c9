"""Image sizes at which a teacher sees images unless told otherwise."""

import pytest

from simtrain.runs.teacher import usual_image_sizes


@pytest.mark.parametrize(
    ("own", "sizes"),
    [
        (224, [128, 224, 320]),
        (384, [224, 384, 544]),  # 219.4 and 548.6 in whole steps of 32
        (96, [128, 224, 320]),
        (300, [160, 300, 416]),  # 171.4 and 428.6; its own size stays what it is
        (1024, [576, 1024]),  # 1462.9 is more than any network is given
    ],
)
def test_sizes_are_four_sevenths_one_and_ten_sevenths_of_its_own_or_of_224(own: int, sizes: list[int]) -> None:
    assert usual_image_sizes(own) == sizes
