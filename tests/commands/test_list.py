"""What can be chosen by name is what configurations take."""

import pytest

from simtrain.commands.list import choices
from simtrain.config import parse_run_config
from simtrain.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        ("recipes", {"triplet_efficientnet", "distill_efficientnet"}),
        ("encoders", {"resnet", "timm", "clip", "two_towers", "pixels", "histogram", "python"}),
        ("losses", {"simclr", "triplet", "distill", "image_text", "MultiSimilarityLoss", "ProxyAnchorLoss"}),
        ("miners", {"batch_hard", "semi_hard", "MultiSimilarityMiner"}),
        ("augmentations", {"affine", "color_sensitive", "color_invariant", "simclr"}),
    ],
)
def test_names_are_there_with_what_they_are(kind: str, some: set[str]) -> None:
    found = choices(kind)
    assert some <= found.entries.keys()
    assert all(found.entries.values())
    assert found.use.startswith("simtrain fit ")


@pytest.mark.parametrize("preset", choices("augmentations").entries)
def test_an_augmentation_that_is_listed_is_one_that_a_configuration_takes(preset: str) -> None:
    tree = {
        "catalog": "shop",
        "run": "a",
        "encoder": {"kind": "resnet", "model": "resnet18", "weights": "none"},
        "objective": {"kind": "triplet"},
        "augmentation": {"preset": preset},
    }
    assert parse_run_config(tree, where="here").augmentation.preset == preset
    with pytest.raises(ConfigError, match="preset"):
        parse_run_config({**tree, "augmentation": {"preset": f"{preset}s"}}, where="here")
