"""Runs that begin with SimCLR checkpoints of others: their normalisation goes with them to the search, and is kept."""

import hashlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
import yaml
from PIL import Image
from recording_console import RecordingConsole
from resnet_states import FORMATS, source_state
from small_runs import copied, sweep, train
from tiny_text import make_tiny_text
from torch import Tensor

from simtrain.builders.saved_encoder import encoder_without_weights
from simtrain.catalog.table import Catalog
from simtrain.commands.evaluate import evaluate
from simtrain.commands.export import export
from simtrain.commands.fit import fit
from simtrain.commands.prepare import prepare
from simtrain.commands.search import search
from simtrain.config import PrepareConfig, RunConfig
from simtrain.console import SILENT
from simtrain.encoders.simclr_formats import Source
from simtrain.errors import CheckpointError
from simtrain.runs.initial_encoder import settle_normalisation
from simtrain.runs.run import Run, open_run
from simtrain.runs.tuned_encoder import tuned_encoder
from simtrain.serving.bundle import Bundle
from simtrain.training.saved_weights import read_module_state

MakeConfig = Callable[..., RunConfig]
SIDE = 48  # that of the shop's pictures, so that nothing is resized
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNIT_RANGE = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def weights_file(path: Path, source: Source, *, model: str = "resnet18") -> Path:
    torch.save(FORMATS[source](source_state(model)), path)
    return path


def resnet(weights: Path, **settings: Any) -> dict[str, Any]:
    return {"kind": "resnet", "model": "resnet18", "weights": str(weights), "image_size": SIDE, **settings}


def fit_saying(config: RunConfig, *, resume: bool = False) -> list[str]:
    lines: list[str] = []
    fit(config, resume=resume, console=RecordingConsole(on_line=lines.append))
    return lines


def settled(config: RunConfig) -> tuple[RunConfig, list[str]]:
    """What a run of this configuration would begin with, and what is said of it."""
    lines: list[str] = []
    found, _ = settle_normalisation(
        config, folder_of(config), resume=False, console=RecordingConsole(on_line=lines.append)
    )
    return found, lines


def folder_of(config: RunConfig) -> Path:
    return Path(config.checkpoints) / str(config.run)


def written(folder: Path) -> Any:
    """What `config.yaml` says of the encoder."""
    return yaml.safe_load((folder / "config.yaml").read_text())["encoder"]


def pictures(catalog: Catalog) -> list[Path]:
    return [catalog.root / str(path) for path in catalog.rows["path"][:12]]


@torch.no_grad()
def by_torchvision(
    folder: Path, paths: list[Path], *, mean: tuple[float, ...], std: tuple[float, ...], model: str = "resnet18"
) -> Tensor:
    """(N, F) of unit length: torchvision's own network with the run's best weights, images scaled by hand."""
    network = torchvision.models.get_model(model, weights=None).eval()
    network.fc = torch.nn.Identity()
    prefix = "encoder.network."
    state = read_module_state(folder / "best.ckpt").items()
    network.load_state_dict({name.removeprefix(prefix): value for name, value in state if name.startswith(prefix)})
    images = [np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255 for path in paths]
    normalised = [(image - np.float32(mean)) / np.float32(std) for image in images]
    return F.normalize(network(torch.tensor(np.stack(normalised)).permute(0, 3, 1, 2)), dim=1)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """28 products with 2 pictures each: half of the usual pictures, for networks that are slow without a GPU."""
    config = PrepareConfig.model_validate(
        {"synthetic": {"views": 2, "image_size": SIDE}, "split": {"val": 0.2, "test": 0.2}, "workers": 1}
    )
    return prepare("synthetic:28", out=tmp_path_factory.mktemp("few") / "catalog", config=config).catalog


@pytest.fixture(scope="module")
def google_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights_file(tmp_path_factory.mktemp("google") / "simclr.pth", "google-simclr-v2")


@pytest.fixture(scope="module")
def first_google_run(catalog: Catalog, google_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(catalog, tmp_path_factory.mktemp("google_run"), encoder=resnet(google_weights))


@pytest.fixture
def google_run(first_google_run: Run, tmp_path: Path) -> Run:
    return copied(first_google_run, tmp_path / "copied")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "model", "used", "line"),
    [
        (
            *("google-simclr-v2", "resnet18", UNIT_RANGE),
            "weights: Google SimCLRv2 resnet18, images from 0 to 1, projection head of 7 tensors left out",
        ),
        (
            *("lightning-bolts", "resnet18", IMAGENET),
            "weights: lightning-bolts SimCLR resnet18, ImageNet normalisation, projection head of 8 tensors left out",
        ),
        (
            *("google-simclr-v1", "resnet50", UNIT_RANGE),
            "weights: Google SimCLR resnet50, images from 0 to 1",
        ),
        (
            *("lightning-bolts", "resnet50", IMAGENET),
            "weights: lightning-bolts SimCLR resnet50, ImageNet normalisation, projection head of 8 tensors left out",
        ),
    ],
)
def test_a_bundle_embeds_as_torchvision_does_with_the_weights_own_normalisation(
    make_config: MakeConfig, catalog: Catalog, tmp_path: Path, source: Source, model: str, used: Any, line: str
):
    weights = weights_file(tmp_path / "weights.ckpt", source, model=model)
    config = make_config(
        encoder={**resnet(weights), "model": model},
        objective={"kind": "simclr", "positive": "product"},
        optimizer={"learning_rate": 1e-3},
        trainer={"epochs": 1, "accelerator": "cpu"},
        export={"onnx": False},
    )
    assert fit_saying(config)[0] == line
    folder = folder_of(config)
    weights.unlink()
    export(open_run(str(folder), checkpoints=tmp_path), out=tmp_path / "bundle", alpha=None, console=SILENT)
    bundle = Bundle.open(tmp_path / "bundle")
    paths = pictures(catalog)
    mean, std = used
    expected = by_torchvision(folder, paths, mean=mean, std=std, model=model)
    pixels = torch.tensor(np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths]))
    found = bundle.load_encoder(encoder_without_weights).embed_pixels(pixels)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    other_mean, other_std = IMAGENET if used == UNIT_RANGE else UNIT_RANGE
    wrong = by_torchvision(folder, paths, mean=other_mean, std=other_std, model=model)
    assert (found - wrong).abs().max() > 1e-3
    answer = search(tmp_path / "bundle", image=paths[0], text=None, k=3, plot=None)
    assert answer.neighbours[0].path == Path(str(catalog.rows["path"][0]))
    rows = [list(bundle.items["path"]).index(found.path.as_posix()) for found in answer.neighbours]
    index_vectors = torch.tensor(bundle.index.vectors(np.array(rows)))
    similarities = [found.similarity for found in answer.neighbours]
    assert similarities == pytest.approx((index_vectors @ expected[0]).tolist(), abs=1e-5)


def test_what_was_read_is_recorded(first_google_run: Run, google_weights: Path):
    assert first_google_run.record["encoder_weights"] == {
        "file": str(google_weights),
        "sha256": hashlib.sha256(google_weights.read_bytes()).hexdigest(),
        "normalisation": "unit_range",
        "source": "google-simclr-v2",
        "architecture": "resnet18",
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
        "normalisation_is_assumed": False,
        "projection_head": 7,
        "dropped": {"classifier": 2},
        "not_built": [],
    }


def test_a_run_without_a_weights_file_records_none(make_config: MakeConfig):
    config = make_config(trainer={"epochs": 1, "accelerator": "cpu"})
    fit_saying(config)
    assert json.loads((folder_of(config) / "run.json").read_text())["encoder_weights"] is None


def test_figures_before_training_are_those_of_evaluate_and_of_the_mix_without_tuning(google_run: Run):
    """One reads the file, one a configuration that leaves the normalisation to it, one the run's folder."""
    config = google_run.config
    left_open = config.encoder.model_copy(update={"normalisation": None})
    untouched = evaluate(
        config.model_copy(update={"encoder": left_open}), run=None, split="val", alpha=None, console=SILENT
    )
    expected = google_run.record["zero_shot"]["metrics"]["map_at_r"]["mean"]
    assert untouched.evaluation.to_dict()["metrics"]["map_at_r"]["mean"] == expected
    start = sweep(google_run, metric="map_at_r").mixes[0]
    assert start.alpha == 0
    assert start.image["map_at_r"].mean == pytest.approx(expected, abs=1e-6)


def test_tuned_encoder_is_normalised_as_it_was_trained(google_run: Run):
    found = tuned_encoder(google_run.config, google_run.folder, alpha=None).preprocessing
    assert (found.mean, found.std) == UNIT_RANGE


@pytest.mark.slow
def test_interrupted_and_resumed_without_the_file_is_uninterrupted_bit_for_bit(
    make_config: MakeConfig, google_weights: Path, tmp_path: Path
):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(google_weights.read_bytes())
    trainer = {"epochs": 2, "accelerator": "cpu"}
    configs = {name: make_config(run=name, encoder=resnet(weights), trainer=trainer) for name in ("whole", "parts")}
    fit_saying(configs["whole"])

    def interrupt(line: str) -> None:
        if line.startswith("epoch 1/"):
            signal.raise_signal(signal.SIGTERM)

    first = fit(configs["parts"], resume=False, console=RecordingConsole(on_line=interrupt))
    assert first.ended_by == signal.SIGTERM
    weights.unlink()
    fit_saying(configs["parts"], resume=True)
    whole, parts = (read_module_state(folder_of(config) / "last.ckpt") for config in configs.values())
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    assert written(first.folder)["normalisation"] == "unit_range"


def test_a_resumed_run_refuses_another_normalisation(google_run: Run):
    config = google_run.config
    other = config.model_copy(update={"encoder": config.encoder.model_copy(update={"normalisation": "imagenet"})})
    settings = {"run": google_run.folder.name, "checkpoints": str(google_run.folder.parent)}
    with pytest.raises(CheckpointError) as caught:
        fit_saying(other.model_copy(update=settings), resume=True)
    assert str(caught.value).startswith(
        f"{google_run.folder}: the configuration has changed since the run began: "
        'encoder.normalisation: "unit_range" -> "imagenet"; '
    )


@pytest.mark.slow
def test_another_run_s_weights_bring_its_normalisation(make_config: MakeConfig, google_run: Run, catalog: Catalog):
    config = make_config(
        encoder=resnet(Path("gone.pth")),
        init_from=str(google_run.folder),
        trainer={"epochs": 1, "accelerator": "cpu", "max_steps": 1},
    )
    fit_saying(config)
    assert written(folder_of(config))["normalisation"] == "unit_range"
    run = open_run(str(folder_of(config)), checkpoints=Path())
    expected = evaluate(google_run.config, run=google_run, split="val", alpha=None, console=SILENT)
    found = run.record["zero_shot"]["metrics"]
    assert found == expected.evaluation.to_dict()["metrics"]


def test_weights_of_a_run_or_a_bundle_are_normalised_as_its_record_says(
    make_config: MakeConfig, google_run: Run, tmp_path: Path
):
    export(google_run, out=tmp_path / "bundle", alpha=None, console=SILENT)
    folder = google_run.folder
    for path in (
        folder / "best.ckpt",
        folder / "encoder/weights.safetensors",
        tmp_path / "bundle/encoder/model.safetensors",
    ):
        found, lines = settled(make_config(encoder=resnet(path)))
        assert found.encoder.normalisation == "unit_range"
        assert lines == ["weights: simtrain resnet18, images from 0 to 1"]


def test_weights_of_a_run_that_were_taken_out_of_its_folder_are_assumed(
    make_config: MakeConfig, google_run: Run, tmp_path: Path
):
    moved = (google_run.folder / "best.ckpt").rename(tmp_path / "moved.ckpt")
    found, lines = settled(make_config(encoder=resnet(moved)))
    assert found.encoder.normalisation == "imagenet"
    assert lines[0].startswith("weights: simtrain resnet18, ImageNet normalisation (assumed, ")


@pytest.mark.slow
def test_two_towers_keep_the_normalisation_of_their_images(
    make_config: MakeConfig, catalog: Catalog, google_weights: Path, tmp_path: Path
):
    words = make_tiny_text(tmp_path / "words")
    encoder = {"kind": "two_towers", "image": resnet(google_weights), "text": str(words)}
    run = train(catalog, tmp_path / "checkpoints", encoder=encoder)
    assert written(run.folder)["image"]["normalisation"] == "unit_range"
    assert run.record["encoder_weights"]["source"] == "google-simclr-v2"
    found = tuned_encoder(run.config, run.folder, alpha=None).preprocessing
    assert (found.mean, found.std) == UNIT_RANGE
    _, lines = settled(make_config(encoder=resnet(run.folder / "best.ckpt")))
    assert lines == ["weights: simtrain resnet18, images from 0 to 1"]
