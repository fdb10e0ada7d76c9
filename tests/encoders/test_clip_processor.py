"""Image processors of transformers as `Preprocessing`, whose pixels are those of the processor itself."""

from typing import Any

import numpy as np
import pytest
from transformers import CLIPImageProcessor

from simtrain.encoders.clip_processor import clip_preprocessing
from simtrain.encoders.preprocessing import Preprocessing, Resize
from simtrain.errors import ConfigError

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
CROP = {"size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}, "do_center_crop": True}
SQUASH = {"size": {"height": 24, "width": 24}, "do_center_crop": False}
PICTURE = np.random.default_rng(0).integers(0, 256, size=(30, 47, 3), dtype=np.uint8)


def processor(**changes: Any) -> CLIPImageProcessor:
    return CLIPImageProcessor(image_mean=MEAN, image_std=STD, **{"resample": 3, **CROP, **changes})


def converted(given: CLIPImageProcessor, **changes: Any) -> Preprocessing:
    usual: dict[str, Any] = {"image_size": None, "evaluation_image_size": None, "resize": None}
    return clip_preprocessing(given, model="tiny", **{**usual, **changes})


@pytest.mark.parametrize(("settings", "resize"), [(CROP, "crop"), (SQUASH, "squash")])
@pytest.mark.parametrize(("resample", "interpolation"), [(2, "bilinear"), (3, "bicubic")])
def test_a_processor_is_taken_at_its_word(
    settings: dict[str, Any], resize: Resize, resample: int, interpolation: str
) -> None:
    found = converted(processor(**settings, resample=resample))
    assert (found.image_size, found.resize, found.interpolation) == (24, resize, interpolation)
    assert (found.mean, found.std) == (tuple(MEAN), tuple(STD))
    assert not found.flip_averaging


@pytest.mark.parametrize(("chosen", "settings"), [("crop", CROP), ("squash", SQUASH)])
@pytest.mark.parametrize("own", [CROP, SQUASH], ids=["crops", "squashes"])
def test_the_processor_then_does_what_was_chosen(own: dict[str, Any], chosen: Resize, settings: dict[str, Any]) -> None:
    """What sentence-transformers will do with the saved folder is what simtrain does."""
    given = processor(**own)
    converted(given, resize=chosen)
    expected = processor(**settings)(PICTURE)["pixel_values"][0]
    np.testing.assert_array_equal(given(PICTURE)["pixel_values"][0], expected)


@pytest.mark.parametrize("name", ["image_size", "evaluation_image_size"])
def test_another_size_than_the_model_reads_is_refused(name: str) -> None:
    assert converted(processor(), **{name: 24}).image_size == 24
    with pytest.raises(ConfigError, match="tiny reads 24 pixels, not 32; leave it out") as caught:
        converted(processor(), **{name: 32})
    assert caught.value.argument == name


@pytest.mark.parametrize(
    "odd",
    [
        {"size": {"shortest_edge": 32}},
        {"size": {"height": 24, "width": 30}, "do_center_crop": False},
        {"resample": 1},
        {"do_normalize": False},
    ],
    ids=["crops out of a larger one", "not square", "nearest pixel", "not normalised"],
)
def test_a_processor_of_its_own_way_is_told(odd: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="tiny prepares images in a way of its own; name one of pad, crop, squash"):
        converted(processor(**odd))


def test_a_named_way_replaces_an_odd_size() -> None:
    found = converted(processor(size={"shortest_edge": 32}), resize="pad")
    assert (found.resize, found.image_size) == ("pad", 24)
