"""What of a configuration goes into a bundle that is given away."""

from pathlib import Path

import pytest

from simtrain.runs.private_values import places_left, shared_config, without_places


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/home/ann/shop/catalog", "catalog"),
        ("/home/ann/shop/", "shop"),
        ("~/models/best.pth", "best.pth"),
        ("../ann/qrels.csv", "qrels.csv"),
        (r"C:\Users\ann\clip", "clip"),
        ("data/there", "there"),
        ("sentence-transformers/clip-ViT-B-32", "sentence-transformers/clip-ViT-B-32"),
        ("a photo of a {label}", "a photo of a {label}"),
        ("IMAGENET1K_V2", "IMAGENET1K_V2"),
    ],
)
def test_a_path_is_its_last_name(given: str, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "there").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert without_places({"a": [{"b": given}, 1, None]}) == {"a": [{"b": kept}, 1, None]}


def test_accounts_and_folders_of_runs_are_left_out() -> None:
    config = {"catalog": "/x/shop", "checkpoints": "runs", "tracking": {"wandb": {"entity": "ann"}}, "seed": 1}
    assert shared_config(config) == {"catalog": "shop", "seed": 1}


def test_arguments_of_own_code_stay_and_are_told() -> None:
    encoder = {"kind": "python", "target": "shop:Net", "parameters": {"table": "/home/ann/t.json", "size": 3}}
    assert without_places(encoder) == encoder
    assert list(places_left(encoder, key="encoder")) == ["encoder.parameters.table"]
