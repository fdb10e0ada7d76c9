"""Recipes are the files of `configs/`, which the package holds."""

from pathlib import Path

import pytest

from simtrain.config import load_run_config
from simtrain.config.recipes import recipe_path, recipes
from simtrain.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"


def test_every_configuration_is_a_recipe_with_a_purpose() -> None:
    found = recipes()
    assert list(found) == sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    assert all(20 < len(purpose) < 250 and "simtrain fit" not in purpose for purpose in found.values())
    assert found["triplet_resnet50"] == "Triplets on torchvision's ResNet-50, for a GPU"


def test_a_recipe_is_a_configuration_that_its_run_is_named_after() -> None:
    config = load_run_config(recipe_path("triplet_efficientnet"), ["catalog=shop"])
    assert (config.run, config.catalog, config.objective.kind) == ("triplet_efficientnet", "shop", "triplet")


def test_a_misspelt_recipe_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'triplet_resnet50'\?\nall of them: simtrain list recipes$"):
        recipe_path("triplet_resnet")
