"""Runs with a frozen network: a last layer trained on features that were computed once."""

# Shapes: N images, F features, D dimensions.

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from recording_console import RecordingConsole
from small_configs import run_config
from torch import Tensor

from simtrain.builders.encoder import build_encoder
from simtrain.builders.saved_encoder import load_initial_encoder
from simtrain.builders.validation import build_validation
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog
from simtrain.commands.export import export
from simtrain.commands.fit import FitResult, fit
from simtrain.commands.search import search
from simtrain.config import RunConfig
from simtrain.console import SILENT, Console
from simtrain.encoders.base import Encoder
from simtrain.errors import ConfigError
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.frozen_features import refuse_several_processes
from simtrain.runs.run import open_run
from simtrain.runs.tuned_encoder import tuned_encoder
from simtrain.training.epoch_table import read_metrics
from simtrain.training.ranks import Ranks
from simtrain.training.saved_weights import read_module_state

MakeConfig = Callable[..., RunConfig]
FROZEN = {"epochs": 3, "accelerator": "cpu", "freeze_encoder": True}
NETWORK = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}


def run(config: RunConfig, *, resume: bool = False, console: Console = SILENT) -> FitResult:
    return fit(config, resume=resume, console=console)


def stored(folder: Path) -> RunConfig:
    return open_run(folder.name, checkpoints=folder.parent).config


def embedded(encoder: Encoder, config: RunConfig, catalog: Catalog, rows: list[int]) -> Tensor:
    images = open_images(catalog, smallest=encoder.preprocessing.image_size)
    return embed_rows(encoder, images.reader, rows, config=config, console=SILENT)


def map_at_r(encoder: Encoder, config: RunConfig, catalog: Catalog) -> float:
    """By the whole network, image by image."""
    task = build_validation(config, catalog)
    assert task is not None
    return float(task.score(embedded(encoder, config, catalog, task.rows.tolist())).values["map_at_r"].mean())


@pytest.fixture(scope="module")
def frozen(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the usual run with a frozen network, which no test may change."""
    return run(run_config(catalog, tmp_path_factory.mktemp("frozen"), trainer=FROZEN)).folder


def test_only_the_last_layer_learns(frozen: Path) -> None:
    before = load_initial_encoder(stored(frozen).encoder, frozen).state_dict()
    after = read_module_state(frozen / "last.ckpt")
    changed = [name for name in before if not torch.equal(before[name], after[f"encoder.{name}"])]
    assert changed == ["reduction.weight"]
    assert torch.equal(before["reduction.weight"], torch.eye(len(before["reduction.weight"])))


def test_before_the_first_step_the_embedding_is_the_untouched_one(
    frozen: Path, make_config: MakeConfig, catalog: Catalog
) -> None:
    config = make_config(trainer=FROZEN)
    torch.manual_seed(config.seed)
    start = load_initial_encoder(stored(frozen).encoder, frozen).eval()
    rows = catalog.rows_of(["val"]).tolist()
    bare = embedded(start.pretrained_encoder().eval(), config, catalog, rows)
    torch.testing.assert_close(embedded(start, config, catalog, rows), bare)
    found = float(read_metrics(frozen / "metrics.csv")[0]["val_map_at_r"])
    assert found == pytest.approx(map_at_r(start, config, catalog), rel=1e-5)


@pytest.mark.parametrize("flip_averaging", [False, True])
def test_figures_of_an_epoch_are_those_of_the_whole_network(
    make_config: MakeConfig, catalog: Catalog, flip_averaging: bool
) -> None:
    encoder = {**NETWORK, "flip_averaging": flip_averaging}
    result = run(make_config(trainer={**FROZEN, "ema_decay": 0.5}, encoder=encoder, optimizer={"learning_rate": 0.01}))
    config = stored(result.folder)
    rows = read_metrics(result.folder / "metrics.csv")
    assert len({row["val_map_at_r"] for row in rows}) > 1
    best = tuned_encoder(config, result.folder, alpha=1.0)
    assert result.best == pytest.approx(map_at_r(best, config, catalog), abs=1e-6)


def test_the_loss_falls_when_a_layer_is_trained_for_long(make_config: MakeConfig) -> None:
    folder = run(make_config(trainer={**FROZEN, "epochs": 8}, optimizer={"learning_rate": 0.05})).folder
    losses = [float(row["train_loss"]) for row in read_metrics(folder / "metrics.csv")[1:]]
    assert losses[-1] < 0.7 * losses[0]


def test_interrupted_and_resumed_is_uninterrupted_bit_for_bit(make_config: MakeConfig) -> None:
    trainer = {**FROZEN, "frozen_views": 3}
    whole = run(make_config(run="whole", trainer=trainer)).folder

    def kill(line: str) -> None:
        if line.startswith("epoch 1/"):
            signal.raise_signal(signal.SIGTERM)

    config = make_config(run="parts", trainer=trainer)
    assert run(config, console=RecordingConsole(on_line=kill)).ended_by == signal.SIGTERM
    parts = run(config, resume=True).folder
    first, second = (read_module_state(folder / "last.ckpt") for folder in (whole, parts))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_stored_configuration_tells_the_size_of_the_layer(frozen: Path, make_config: MakeConfig) -> None:
    features = build_encoder(make_config().encoder, load=False).embedding_size
    assert yaml.safe_load((frozen / "config.yaml").read_text())["encoder"]["embedding_size"] == features


def test_a_layer_that_reduces_starts_at_the_principal_axes(make_config: MakeConfig, catalog: Catalog) -> None:
    config = make_config(trainer=FROZEN, encoder={**NETWORK, "embedding_size": 8})
    folder = run(config).folder
    start = load_initial_encoder(stored(folder).encoder, folder).eval()
    features = embedded(start.pretrained_encoder().eval(), config, catalog, catalog.rows_of(["train"]).tolist())
    weight = start.state_dict()["reduction.weight"]
    left, values, right = torch.linalg.svd(features, full_matrices=False)
    best = (left[:, :8] * values[:8]) @ right[:8]  # of rank 8, nearest to the features
    torch.testing.assert_close(features @ weight.T @ weight, best, atol=1e-4, rtol=0)


def test_features_are_computed_once_for_all_runs(make_config: MakeConfig) -> None:
    encoder, trainer = {**NETWORK, "resize": "squash"}, {**FROZEN, "frozen_views": 2}  # of no other test
    consoles = {name: RecordingConsole() for name in ("one", "other")}
    for name, console in consoles.items():
        run(make_config(run=name, trainer=trainer, encoder=encoder), console=console)
    assert consoles["one"].descriptions.count("embedding images") == 4  # images, views, validation, zero-shot
    assert consoles["other"].descriptions.count("embedding images") == 1  # zero-shot


@pytest.mark.parametrize(
    "objective",
    [
        {"kind": "simclr"},
        {"kind": "simclr", "positive": "product", "projection_head": {"hidden_size": 16, "output_size": 8}},
        {"kind": "metric_learning", "loss": {"name": "ProxyAnchorLoss"}},
        {"kind": "triplet", "memory": {"size": 32}},
        {"kind": "triplet", "keep": {"weight_distance": 1.0}},
    ],
)
def test_every_objective_trains_the_layer(make_config: MakeConfig, objective: dict[str, Any]) -> None:
    result = run(make_config(trainer={**FROZEN, "epochs": 1, "frozen_views": 2}, objective=objective))
    before = load_initial_encoder(stored(result.folder).encoder, result.folder).state_dict()
    after = read_module_state(result.folder / "last.ckpt")
    changed = [name for name in before if not torch.equal(before[name], after[f"encoder.{name}"])]
    assert changed == ["reduction.weight"]


def test_a_run_is_exported_and_searched_like_any_other(
    make_config: MakeConfig, catalog: Catalog, tmp_path: Path
) -> None:
    config = make_config(trainer=FROZEN, optimizer={"learning_rate": 0.01})
    folder = run(config).folder
    made = open_run(folder.name, checkpoints=folder.parent)
    export(made, out=tmp_path / "bundle", alpha=1.0, console=SILENT)
    row = int(catalog.rows_of(["test"])[0])
    image = catalog.image_path(row)
    found = search(tmp_path / "bundle", image=image, text=None, k=3, plot=None).neighbours
    assert found[0].id == str(catalog.rows["id"].iloc[row])
    assert found[0].similarity == pytest.approx(1.0, abs=1e-5)


def test_several_launched_processes_are_refused() -> None:
    message = "trainer.freeze_encoder: a frozen network is trained by one process, and 2 were launched; launch one"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        refuse_several_processes(Ranks(rank=0, size=2, local_rank=0, local_size=2))
    refuse_several_processes(None)
    refuse_several_processes(Ranks(rank=0, size=1, local_rank=0, local_size=1))


@pytest.mark.parametrize("flip_averaging", [False, True])
def test_the_layer_of_features_is_the_embedding_of_pixels(make_config: MakeConfig, flip_averaging: bool) -> None:
    settings = {**NETWORK, "embedding_size": 8, "flip_averaging": flip_averaging}
    encoder = build_encoder(make_config(encoder=settings).encoder, load=True).eval()
    plain = encoder.pretrained_encoder().with_preprocessing(
        build_encoder(make_config().encoder, load=False).preprocessing
    )
    pixels = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    passes = [pixels, pixels.flip(2)] if flip_averaging else [pixels]
    features = torch.stack([plain.embed_pixels(one) for one in passes], dim=1)
    torch.testing.assert_close(encoder.embed_features(features), encoder.embed_pixels(pixels))
