"""What a run can be told to do with its weights, its batches and its losses."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recording_console import RecordingConsole
from safetensors.torch import load_file

from simtrain.catalog.store.reader import source_images
from simtrain.catalog.table import Catalog, write_catalog
from simtrain.commands.evaluate import evaluate
from simtrain.commands.export import export
from simtrain.commands.fit import fit
from simtrain.config import RunConfig
from simtrain.console import SILENT, Console
from simtrain.data.embedding import EmbeddingSettings, embed_images
from simtrain.errors import CatalogError, CheckpointError, ConfigError
from simtrain.runs.run import open_run
from simtrain.runs.tuned_encoder import tuned_encoder
from simtrain.training.epoch_table import read_metrics
from simtrain.training.saved_weights import read_module_state

MakeConfig = Callable[..., RunConfig]
VIT = {"kind": "timm", "model": "test_vit", "weights": "none", "image_size": 32}


def run(config: RunConfig, *, resume: bool = False, console: Console = SILENT) -> Any:
    return fit(config, resume=resume, console=console)


def trainer(**more: Any) -> dict[str, Any]:
    return {"epochs": 2, "accelerator": "cpu", **more}


def test_the_averaged_weights_are_judged_and_exported(make_config: MakeConfig, catalog: Catalog) -> None:
    config = make_config(trainer=trainer(ema_decay=0.8))
    result = run(config)
    shutil.copy(result.folder / "last.ckpt", result.folder / "best.ckpt")  # whichever was better
    state = read_module_state(result.folder / "last.ckpt")
    encoder = tuned_encoder(config, result.folder, alpha=None)
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, state[f"averaged.encoder.{name}"])
    assert any(not torch.equal(state[f"encoder.{name}"], value) for name, value in encoder.state_dict().items())
    judged = evaluate(
        config, run=open_run(str(result.folder), checkpoints=Path()), split="val", alpha=None, console=SILENT
    )
    last = read_metrics(result.folder / "metrics.csv")[-1]
    assert judged.evaluation.metrics["map_at_r"].mean == pytest.approx(float(last["val_map_at_r"]), rel=1e-5)


def test_low_rank_factors_learn_and_are_added_to_the_weights(make_config: MakeConfig, catalog: Catalog) -> None:
    plain = make_config(encoder=VIT)
    config = make_config(encoder={**VIT, "lora": {"rank": 2}}, optimizer={"learning_rate": 1e-2}, trainer=trainer())

    def stop(line: str) -> None:
        if line.startswith("epoch 1/"):
            signal.raise_signal(signal.SIGTERM)

    assert run(config, console=RecordingConsole(on_line=stop)).ended_by == signal.SIGTERM
    result = run(config, resume=True)
    before, after = (read_module_state(result.folder / name) for name in ("best.ckpt", "last.ckpt"))
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert all("lora_" in name for name in moved)
    merged = tuned_encoder(config, result.folder, alpha=None)
    assert set(merged.state_dict()) == set(tuned_shape(plain).state_dict())
    out = result.folder.parent / "bundle"
    opened = open_run(str(result.folder), checkpoints=Path())
    assert export(opened, out=out, alpha=None, console=SILENT).checked > 0


def tuned_shape(config: RunConfig) -> torch.nn.Module:
    from simtrain.builders.encoder import build_encoder

    return build_encoder(config.encoder, load=False)


def test_frozen_parameters_stay_as_they_are(make_config: MakeConfig) -> None:
    config = make_config(trainer=trainer(freeze=["network.conv_stem.*", "network.blocks.0.*"], head_only_epochs=0))
    folder = run(config).folder
    first = untouched(config)
    last = read_module_state(folder / "last.ckpt")
    for name, value in first.items():
        frozen = name.startswith(("network.conv_stem.", "network.blocks.0."))
        if name in dict(tuned_shape(config).named_parameters()):
            assert torch.equal(last[f"encoder.{name}"], value) is frozen, name


def untouched(config: RunConfig) -> dict[str, torch.Tensor]:
    """Random weights as a run of that seed begins with."""
    import pytorch_lightning as pl

    from simtrain.builders.encoder import build_encoder

    pl.seed_everything(config.seed, workers=True, verbose=False)
    return {name: value.clone() for name, value in build_encoder(config.encoder, load=True).state_dict().items()}


def test_a_pattern_that_fits_nothing_is_told_before_anything_is_written(make_config: MakeConfig) -> None:
    config = make_config(trainer=trainer(freeze=["network.blocs.0.*"]))
    with pytest.raises(ConfigError, match=r"^trainer\.freeze: no parameter of the encoder matches 'network\.blocs"):
        run(config)
    assert not Path(config.checkpoints).exists()


def test_a_run_can_begin_with_the_weights_of_another(make_config: MakeConfig, catalog: Catalog) -> None:
    first = run(make_config(run="first", trainer=trainer(ema_decay=0.5)))
    lines: list[str] = []
    config = make_config(run="second", init_from="first", trainer=trainer(max_steps=1))
    second = run(config, console=RecordingConsole(on_line=lines.append))
    assert second.zero_shot == pytest.approx(first.best, rel=1e-6)
    assert any(line.startswith("before training (first) on val") for line in lines)


def test_a_run_that_is_not_there_cannot_be_begun_with(make_config: MakeConfig) -> None:
    run(make_config(run="first", trainer=trainer(max_steps=1)))
    with pytest.raises(CheckpointError, match=r"^frist: no such run in .*; did you mean 'first'\?$"):
        run(make_config(run="second", init_from="frist"))


def test_another_encoder_cannot_be_begun_with(make_config: MakeConfig) -> None:
    run(make_config(run="first", trainer=trainer(max_steps=1)))
    with pytest.raises(CheckpointError, match=r"^init_from: .*first has another encoder: "):
        run(make_config(run="second", init_from="first", encoder=VIT))


def test_statistics_that_learn_refuse_to_pass_twice(make_config: MakeConfig) -> None:
    expected = (
        r"^data\.micro_batch_size: passes images through the network twice, and BatchNorm's statistics would "
        r"count twice; "
        r"set trainer\.freeze_batch_norm=true$"
    )
    with pytest.raises(ConfigError, match=expected):
        run(make_config(data={"batch_size": 16, "micro_batch_size": 4}, trainer=trainer(freeze_batch_norm=False)))


def test_likely_copies_are_compared_under_the_untouched_encoder(make_config: MakeConfig, catalog: Catalog) -> None:
    config = make_config(
        objective={"kind": "simclr", "false_negatives": {"max_similarity": 0.9}}, trainer=trainer(epochs=1)
    )
    folder = run(config).folder
    kept = load_file(folder / "untouched_embeddings.safetensors")["embeddings"].float()
    train = catalog.rows_of(["train"])
    encoder = tuned_shape(config)
    encoder.load_state_dict(untouched(config))
    cpu, images = torch.device("cpu"), source_images(catalog)
    found = embed_images(
        encoder,
        images,
        train.tolist(),
        settings=EmbeddingSettings(batch_size=64, workers=0, device=cpu),
        console=SILENT,
    )
    torch.testing.assert_close(kept[torch.from_numpy(train)], found, atol=1e-3, rtol=0)
    others = np.setdiff1d(np.arange(len(catalog.rows)), train)
    assert not kept[torch.from_numpy(others)].any()


def test_simclr_can_draw_labels_together_too(make_config: MakeConfig) -> None:
    config = make_config(objective={"kind": "simclr", "label_weight": 0.3}, trainer=trainer(epochs=1))
    rows = (run(config).folder / "steps.csv").read_text().splitlines()
    names, first = rows[0].split(","), rows[1].split(",")
    step = dict(zip(names, map(float, first), strict=True))
    assert step["loss"] == pytest.approx(step["loss_nt_xent"] + 0.3 * step["loss_supervised"], rel=1e-4)


def test_labels_that_are_not_there_are_told(make_config: MakeConfig, catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    write_catalog(Catalog(rows=catalog.rows.assign(label=None), root=catalog.root, folder=tmp_path / "bare"))
    expected = (
        r"bare: 'label' is empty in split 'train', and objective\.label_weight needs it; set objective\.label_colu"
    )
    with pytest.raises(CatalogError, match=expected):
        run(make_config(catalog=str(tmp_path / "bare"), objective={"kind": "simclr", "label_weight": 0.3}))
