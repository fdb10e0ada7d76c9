"""`simtrain export` on the command line."""

import json
from pathlib import Path

from small_commands import SMALL_CATALOG, Command, write_config

from simtrain.catalog.table import read_catalog


def test_a_run_whose_checkpoint_is_broken_is_refused(simtrain: Command, tmp_path: Path) -> None:
    write_config(tmp_path / "shop.yaml")
    assert simtrain("prepare", "synthetic:30", "--out", "catalog", *SMALL_CATALOG)[0] == 0
    assert simtrain("fit", "shop.yaml")[0] == 0
    best = tmp_path / "checkpoints/shop/best.ckpt"
    best.write_bytes(best.read_bytes()[:1000])
    status, _, error = simtrain("export", "shop", "--out", "bundle")
    assert status == 2
    assert error.startswith("error: checkpoints/shop/best.ckpt: not a checkpoint of simtrain fit")
    assert not (tmp_path / "bundle").exists()


def test_an_untouched_encoder_is_exported_and_searched(simtrain: Command, tmp_path: Path) -> None:
    assert simtrain("prepare", "synthetic:30", "--out", "catalog", *SMALL_CATALOG)[0] == 0
    status, _, error = simtrain("export", "histogram_hsv_whitened", "--out", "bundle")
    told = "export: histogram_hsv_whitened has no catalogue of its own; name its folder: --catalog FOLDER"
    assert (status, error) == (2, f"error: {told}\n")
    arguments = ("--catalog", "catalog", "--out", "bundle", "--set", "export.onnx=false")
    status, out, error = simtrain("export", "histogram_hsv_whitened", *arguments)
    assert (status, error.splitlines()[-1]) == (0, "writing and checking bundle: encoder, index")
    assert out.startswith("whitening: ")
    assert "verified: reopened; 64 images give the same embeddings, and each finds itself first" in out
    catalog = read_catalog(tmp_path / "catalog")
    picture = catalog.root / str(catalog.rows["path"].iat[5])
    status, out, _ = simtrain("search", "bundle", "--image", str(picture), "-k", "1", "--json")
    assert status == 0
    assert json.loads(out)["neighbours"][0]["id"] == catalog.rows["id"].iat[5]
