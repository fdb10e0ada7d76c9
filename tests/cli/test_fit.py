"""`simtrain fit` on the command line."""

from pathlib import Path

import pytest
import torch
from small_commands import Command, last_line, write_config, write_shop


def test_a_misspelt_key_is_named_with_the_right_one(simtrain: Command, tmp_path: Path) -> None:
    write_config(tmp_path / "shop.yaml", trainer={"epoch": 3})
    expected = "error: shop.yaml: trainer.epoch: unknown key; did you mean 'epochs'?\n"
    assert simtrain("fit", "shop.yaml") == (2, "", expected)


def test_a_class_with_one_image_under_triplet_is_named(simtrain: Command, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={f"class{number}": 12 for number in range(8)} | {"mug": 1})
    assert simtrain("prepare", "shop", "--out", "catalog", "--set", "split.val=0.3", "--set", "split.test=0")[0] == 0
    objective = {"kind": "triplet", "positive": "label", "single_image_groups": "error"}
    write_config(tmp_path / "shop.yaml", objective=objective, relevance="label")
    status, _, error = simtrain("fit", "shop.yaml")
    assert status == 2
    assert error == (
        "error: catalog: class 'mug' has 1 image; triplet needs 2: "
        "add images, or set objective.single_image_groups=drop\n"
    )
    assert not (tmp_path / "checkpoints").exists()


def test_weights_that_are_not_a_checkpoint_are_refused(simtrain: Command, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={f"class{number}": 12 for number in range(8)})
    assert simtrain("prepare", "shop", "--out", "catalog")[0] == 0
    (tmp_path / "weights.pt").write_text("<html>not found</html>")
    encoder = {"kind": "resnet", "model": "resnet18", "weights": "weights.pt"}
    write_config(tmp_path / "shop.yaml", encoder=encoder, objective={"kind": "simclr"}, relevance="label")
    status, _, error = simtrain("fit", "shop.yaml")
    assert status == 2
    assert error.startswith("error: weights.pt: not a checkpoint")
    assert error.count("\n") == 1
    assert not (tmp_path / "checkpoints").exists()


def test_fit_without_a_catalogue_says_how_to_make_one(simtrain: Command, tmp_path: Path) -> None:
    write_config(tmp_path / "shop.yaml")
    status, _, error = simtrain("fit", "shop.yaml")
    expected = (
        "error: catalog/catalog.parquet: no catalogue here; make one with: simtrain prepare SOURCE --out catalog\n"
    )
    assert (status, error) == (2, expected)


def test_fit_names_the_key_of_its_accelerator(simtrain: Command, run_yaml: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, _, told = simtrain("fit", str(run_yaml), "--set", "trainer.accelerator=gpu")
    assert status == 2
    assert last_line(told) == "error: trainer.accelerator: got 'gpu', but torch sees none here; allowed: auto, cpu"


@pytest.mark.parametrize("key", ["run", "checkpoints"])
def test_a_run_that_goes_on_keeps_its_name(simtrain: Command, key: str) -> None:
    told = (
        f"error: --set {key}=b: --resume goes on with a, under its name; leave one of them out, or start a new run "
        "from its weights with --set init_from=a\n"
    )
    assert simtrain("fit", "--resume", "a", "--set", f"{key}=b") == (2, "", told)
    write_config(Path("shop.yaml"))
    assert simtrain("fit", "shop.yaml", "--resume", "a", "--set", f"{key}=b") == (2, "", told)
