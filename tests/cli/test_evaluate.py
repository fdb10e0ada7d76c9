"""`simtrain evaluate` on the command line."""

from pathlib import Path

import pytest
from small_commands import Command, last_line, write_config, write_shop


def test_a_misspelt_run_is_named_with_the_right_one(simtrain: Command) -> None:
    Path("checkpoints/mugs").mkdir(parents=True)
    Path("checkpoints/mugs/config.yaml").write_text("x: 1\n")
    expected = "error: mgs: no such run in checkpoints; did you mean 'mugs'?\n"
    assert simtrain("evaluate", "mgs") == (2, "", expected)


def test_relevance_by_an_empty_column_names_the_filled_one(simtrain: Command, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={f"class{number}": 12 for number in range(8)})
    assert simtrain("prepare", "shop", "--out", "catalog")[0] == 0
    write_config(tmp_path / "shop.yaml")
    status, _, error = simtrain("evaluate", "shop.yaml", "--split", "train")
    assert (status, error) == (
        2,
        "error: catalog: relevance column 'product' is empty; filled: label (set relevance=label)\n",
    )


@pytest.mark.parametrize("verb", ["fit", "evaluate"])
def test_a_run_names_the_key_of_its_encoder(simtrain: Command, run_yaml: Path, verb: str):
    status, _, told = simtrain(verb, str(run_yaml))
    assert status == 2
    assert last_line(told).startswith("error: encoder.model: torchvision has no 'resnet51'; allowed: resnet101, ")
