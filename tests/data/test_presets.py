"""Presets stay what they were: runs keep their names alone."""

from dataclasses import fields
from typing import get_args

import pytest

from simtrain.data.presets import PRESETS, AugmentationParts, Preset


def test_every_name_has_its_parts() -> None:
    assert set(PRESETS) == set(get_args(Preset))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("affine", (False, 1, True, 15, 0.15, 0.1, "own_color", 1, "mild", 0)),
        ("color_sensitive", (False, 0.7, True, 15, 0.15, 0.1, "replicate", 0.5, "light", 0.3)),
        ("color_invariant", (False, 0.7, True, 15, 0.15, 0.1, "replicate", 0.5, "all_hues", 0.3)),
        ("simclr", (True, 1, True, 0, 0, 0, "own_color", 0.08, "simclr", 0)),
    ],
)
def test_what_a_name_stands_for_never_changes(name: Preset, parts: tuple[object, ...]) -> None:
    """`simclr` crops as https://arxiv.org/abs/2002.05709, appendix A."""
    names = [field.name for field in fields(AugmentationParts)]
    assert PRESETS[name] == AugmentationParts(**dict(zip(names, parts, strict=True)))
