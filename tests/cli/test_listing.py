"""`simtrain list` and `--recipe` on the command line."""

import yaml
from small_commands import Command


def test_names_come_with_the_command_that_takes_them(simtrain: Command) -> None:
    status, shown, _ = simtrain("list", "recipes")
    assert status == 0
    names, _, use = shown.rstrip().rpartition("\n\n")
    assert "triplet_efficientnet" in [line.split()[0] for line in names.splitlines()]
    assert use == "simtrain fit --recipe NAME --set catalog=FOLDER"


def test_what_cannot_be_listed_is_told(simtrain: Command) -> None:
    status, _, said = simtrain("list", "recipe")
    assert status == 2
    assert "'recipes', 'encoders', 'losses', 'miners', 'augmentations'" in said


def test_a_recipe_takes_the_place_of_a_file(simtrain: Command) -> None:
    status, shown, _ = simtrain("config", "--recipe", "triplet_resnet50", "--set", "catalog=shop")
    assert status == 0
    assert (yaml.safe_load(shown)["run"], yaml.safe_load(shown)["catalog"]) == ("triplet_resnet50", "shop")


def test_a_file_and_a_recipe_are_one_too_many(simtrain: Command) -> None:
    status, _, said = simtrain("fit", "run.yaml", "--recipe", "triplet_resnet50")
    assert status == 2
    assert said.strip() == "error: run.yaml and --recipe triplet_resnet50: give one of both"
