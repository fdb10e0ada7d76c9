"""Names of encoders in sentences."""

from typing import Any

import pytest

from simtrain.comparison.encoder_titles import EncoderTitle, untouched_title
from simtrain.config import parse_encoder
from simtrain.config.encoder_names import named_encoder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pixels", "raw pixels"),
        ("histogram_hsv", "colour histogram (HSV)"),
        ("efficientnet_lite0", "untouched EfficientNet-Lite0, 224 px"),
        ("resnet50", "untouched ResNet-50, 224 px"),
        ("simclr_resnet50", "untouched ResNet-50 of simclr_imagenet.ckpt, 224 px"),
        ("clip", "untouched CLIP ViT-B-32, 224 px"),
        ("timm:efficientnet_b3.ra2_in1k", "untouched EfficientNet-B3, 224 px"),
        ("timm:convnext_tiny=none", "untouched convnext_tiny with random weights, 224 px"),
        ("python:shop.nets:Grid", "untouched shop.nets:Grid, 224 px"),
    ],
)
def test_an_untouched_encoder_is_called_as_a_person_would(name: str, expected: str) -> None:
    assert untouched_title(named_encoder(name)).words(image_size=224, whitened=None) == expected


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"pooling": "gem"}, "untouched ResNet-18, gem pooling"),
        ({"flip_averaging": True}, "untouched ResNet-18, flip averaging"),
    ],
)
def test_what_tells_two_encoders_of_one_network_apart_is_named(section: dict[str, Any], expected: str) -> None:
    tree = {"kind": "resnet", "model": "resnet18", "weights": "IMAGENET1K_V1", **section}
    assert untouched_title(parse_encoder(tree, where="test")).name == expected


def test_size_and_whitening_follow_the_name() -> None:
    assert EncoderTitle(name="mine", sized=True).words(image_size=96, whitened="half-whitened") == (
        "mine, 96 px, half-whitened"
    )
    assert EncoderTitle(name="mine", sized=False).words(image_size=96, whitened=None) == "mine"
