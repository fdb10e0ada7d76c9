"""Mirrored views are told from turned, cropped and recoloured ones."""

import pytest

from simtrain.data.albumentations_views import custom_transform
from simtrain.data.presets import PRESETS
from simtrain.data.transforms import PartViews
from simtrain.preflight.mirror_probe import mirroring_share

ALWAYS = {"p": 1.0}


@pytest.mark.parametrize(
    "steps",
    [
        [("HorizontalFlip", ALWAYS)],
        [("VerticalFlip", ALWAYS)],
        [("Transpose", ALWAYS)],
        [("HorizontalFlip", ALWAYS), ("Rotate", {"limit": [80, 100], "p": 1.0})],
        [("HorizontalFlip", ALWAYS), ("RandomResizedCrop", {"size": [32, 32]}), ("InvertImg", ALWAYS)],
    ],
)
def test_every_view_is_mirrored(steps: list[tuple[str, dict[str, object]]]) -> None:
    assert mirroring_share(custom_transform(steps, image_size=96), side=192) == 1.0


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [("RandomRotate90", ALWAYS)],
        [("Rotate", {"limit": [-180, 180], "p": 1.0})],
        [("HorizontalFlip", ALWAYS), ("VerticalFlip", ALWAYS)],  # a half turn
        [("RandomResizedCrop", {"size": [32, 32]}), ("ColorJitter", ALWAYS), ("CoarseDropout", ALWAYS)],
        [("Perspective", ALWAYS), ("GaussianBlur", {"sigma_limit": [3, 3], "p": 1.0}), ("GaussNoise", ALWAYS)],
        [("ChannelShuffle", ALWAYS), ("InvertImg", ALWAYS), ("ToGray", ALWAYS)],
    ],
)
def test_no_view_is_mirrored(steps: list[tuple[str, dict[str, object]]]) -> None:
    assert mirroring_share(custom_transform(steps, image_size=96), side=192) == 0.0


@pytest.mark.parametrize("preset", ["color_sensitive", "color_invariant", "simclr"])
@pytest.mark.parametrize("size", [16, 96])
def test_presets_mirror_half_of_their_views(preset: str, size: int) -> None:
    # 64 throws of a coin: 32 heads, give or take 3 standard deviations of 4.
    assert 20 <= 64 * mirroring_share(PartViews(PRESETS[preset], image_size=size), side=2 * size) <= 44  # type: ignore[arg-type]


def test_a_rare_flip_is_found() -> None:
    assert mirroring_share(custom_transform([("HorizontalFlip", {"p": 0.1})], image_size=32), side=64) > 0
