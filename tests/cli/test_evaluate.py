"""`simtrain evaluate` on the command line."""

import json
from pathlib import Path

import pytest
from small_commands import SMALL_CATALOG, Command, last_line, write_config, write_shop


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


def test_each_split_has_its_own_file(simtrain: Command) -> None:
    assert simtrain("prepare", "synthetic:16", "--out", "catalog", *SMALL_CATALOG)[0] == 0
    write_config(Path("shop.yaml"))
    assert simtrain("fit", "shop.yaml", "--set", "trainer.max_steps=1")[0] == 0
    run = Path("checkpoints/shop")
    assert simtrain("evaluate", "shop")[0] == 0
    of_test = (run / "evaluation.json").read_bytes()
    for split in ("val", "train"):
        status, shown, _ = simtrain("evaluate", "shop", "--split", split)
        assert status == 0
        assert shown.splitlines()[-2:] == [
            f"written: {run}/evaluation_{split}.json",
            "next: simtrain compare catalog --run shop",
        ]
        assert json.loads((run / f"evaluation_{split}.json").read_text())["split"] == split
    assert (run / "evaluation.json").read_bytes() == of_test
    assert json.loads(of_test)["split"] == "test"


def test_one_class_only_is_told(simtrain: Command, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={"mug": 24})
    assert simtrain("prepare", "shop", "--out", "catalog")[0] == 0
    write_config(tmp_path / "pixels.yaml", encoder={"kind": "pixels"}, relevance="label")
    status, shown, _ = simtrain("evaluate", "pixels.yaml", "--split", "train")
    assert status == 0
    images = json.loads(Path("evaluation_train.json").read_text())["gallery"]
    assert shown.splitlines()[0] == (
        f"warning: all {images} gallery images are the same by same label: nothing wrong can be found, and 100 % says "
        "nothing; take another column with --set relevance=COLUMN"
    )


def test_an_encoder_without_training_needs_no_objective(simtrain: Command, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={f"class{number}": 12 for number in range(8)})
    assert simtrain("prepare", "shop", "--out", "catalog")[0] == 0
    Path("colours.yaml").write_text("catalog: catalog\nrelevance: label\nencoder: {kind: histogram, bins: 4}\n")
    status, told, _ = simtrain("evaluate", "colours.yaml", "--split", "train")
    assert (status, "map_at_r" in told) == (0, True)


def test_a_catalogue_is_still_asked_for(simtrain: Command) -> None:
    Path("colours.yaml").write_text("encoder: {kind: histogram}\n")
    expected = "error: colours.yaml: catalog: missing; it has no default\n"
    assert simtrain("evaluate", "colours.yaml") == (2, "", expected)
