"""`simtrain export` on the command line."""

from pathlib import Path

from small_commands import SMALL_CATALOG, Command, write_config


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
