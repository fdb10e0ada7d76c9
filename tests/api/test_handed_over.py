"""Networks, losses and sources that are handed over in Python as objects: trained, resumed, opened again, exported."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_modules import OwnModule
from PIL import Image
from torch import nn

import simtrain
from simtrain.errors import ConfigError, SimtrainError
from simtrain.runs.run import write_run_record

QUIET = simtrain.Console()
SETTINGS = {
    "near_duplicates.find": False,
    "workers": 1,
    "split.val": 0.25,
    "split.test": 0.25,
    "inspection.smallest_side": 8,
}


class Small(nn.Module):
    """A network that its name alone cannot make again."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, width, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(images)
        return out


def pull(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the similarities with the pairs of equal labels."""
    unit = nn.functional.normalize(embeddings, dim=1)
    logits = (unit @ unit.T / 0.2).fill_diagonal_(-1e4)
    same = (labels[:, None] == labels[None]).float().fill_diagonal_(0)
    return -(nn.functional.log_softmax(logits, dim=1) * same).sum() / same.sum()


class Pull(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return pull(embeddings, labels) * self.scale.exp() - self.scale


def rows() -> Iterator[dict[str, Any]]:
    for product in range(16):
        for view in range(4):
            out = io.BytesIO()
            Image.new("RGB", (64, 64 + view), (product * 15, view * 60, 100)).save(out, "PNG")
            yield {"image": out.getvalue(), "product": f"p{product}"}


def wrapped(network: nn.Module) -> Any:
    return simtrain.load_encoder(network, image_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return simtrain.prepare(rows, tmp_path_factory.mktemp("own") / "shop", overrides=SETTINGS, console=QUIET)


def config(folder: Path, **sections: Any) -> dict[str, Any]:
    return {
        "run": "own",
        "checkpoints": str(folder / "checkpoints"),
        "data": {"batch_size": 8, "workers": 0},
        "trainer": {"epochs": 1, "accelerator": "cpu"},
        "evaluation": {"bootstrap_draws": 100},
        "export": {"onnx": False},
        **sections,
    }


@pytest.fixture
def run(catalog: Any, tmp_path: Path) -> Any:
    torch.manual_seed(0)
    return simtrain.fit(
        config(tmp_path), catalog=catalog, encoder=wrapped(Small(6)), objective=Pull(0.1), console=QUIET
    )


def test_the_source_was_called(catalog: Any):
    assert len(catalog.rows) == 64
    assert catalog.report.counts["products"] == 16


def test_the_run_records_what_was_handed_over_and_how_images_are_prepared(run: Any):
    kept = run.config.encoder
    assert (kept.target, kept.instance) == (f"{__name__}:Small", True)
    assert (kept.image_size, kept.mean) == (32, (0.5, 0.5, 0.5))
    assert (run.config.objective.target, run.config.objective.instance) == (f"{__name__}:Pull", True)
    record = json.loads((run.folder / "run.json").read_text())
    assert record["code"]["encoder"]["instance"] is True


def test_the_run_at_hand_is_embedded_compared_and_exported_as_it_is(run: Any, catalog: Any, tmp_path: Path):
    image = catalog.image_path(0)
    vectors = run.encoder().encode([image], console=QUIET)
    assert vectors.shape == (1, 24)
    assert simtrain.evaluate(run, catalog, split="val", console=QUIET).name == "own"
    settings = {
        "robustness_images": 0, "whitening": None, "draws": 1000, "baseline": "pixels", "pictures.map_method": "pca"
    }  # fmt: skip
    compared = simtrain.compare(catalog, ["pixels", run], overrides=settings, console=QUIET)
    assert {each.name for each in compared.encoders} >= {"own", "start_of_own"}
    bundle = run.export(tmp_path / "bundle", console=QUIET)
    np.testing.assert_allclose(bundle.encode([image]), vectors, atol=1e-5)
    opened = simtrain.open_bundle(tmp_path / "bundle", encoder=Small(6))
    assert next(iter(opened.search(image, k=1))).similarity == pytest.approx(1, abs=1e-4)


def test_opened_later_it_is_asked_for_again(run: Any, catalog: Any, tmp_path: Path):
    run.export(tmp_path / "bundle", console=QUIET)
    opened = simtrain.open_run(run.folder)
    for use in (
        opened.encoder,
        lambda: opened.export(tmp_path / "other", console=QUIET),
        lambda: simtrain.evaluate(opened, split="val", allow_code=True, console=QUIET),
        lambda: simtrain.compare(catalog, [opened], allow_code=True, console=QUIET),
        lambda: simtrain.fit(resume=opened, allow_code=True, console=QUIET),
    ):
        with pytest.raises(ConfigError) as caught:
            use()
        assert str(caught.value).startswith(
            f"encoder.target: {run.folder}/config.yaml: an object of {__name__}:Small was handed over in Python"
        )
    with pytest.raises(ConfigError, match=r"manifest\.json: an object of .*:Small was handed over"):
        simtrain.open_bundle(tmp_path / "bundle", allow_code=True)
    held = simtrain.open_run(run.folder, encoder=Small(6), objective=Pull(0.0))
    image = catalog.image_path(0)
    np.testing.assert_array_equal(
        held.encoder().encode([image], console=QUIET), run.encoder().encode([image], console=QUIET)
    )


def test_a_resumed_run_goes_on_with_the_weights_of_the_run_and_not_of_the_objects(run: Any, catalog: Any):
    before = torch.load(run.folder / "last.ckpt", weights_only=True)["state_dict"]
    write_run_record(run.folder, {**run.record, "status": "interrupted", "ended_by": "SIGTERM"})
    resumed = simtrain.fit(resume=run.folder, encoder=Small(6), objective=Pull(5.0), catalog=catalog, console=QUIET)
    assert resumed.record["status"] == "finished"
    assert len(resumed.record["resumed"]) == 1
    after = torch.load(run.folder / "last.ckpt", weights_only=True)["state_dict"]
    torch.testing.assert_close(after["own_loss.scale"], before["own_loss.scale"])
    assert float(before["own_loss.scale"]) != pytest.approx(0.1, abs=1e-6)


def test_another_network_does_not_take_the_runs_weights(run: Any):
    with pytest.raises(SimtrainError, match=r"best\.ckpt"):
        simtrain.open_run(run.folder, encoder=Small(5)).encoder()


def test_a_function_of_a_module_is_recorded_by_its_name_and_settings_of_kind_python_hold(catalog: Any, tmp_path: Path):
    sections = {
        "encoder": {"kind": "python", "image_size": 32, "target": "x:y"},
        "objective": {"kind": "python", "target": "x:y", "images_per_group": 4},
    }
    kept = simtrain.fit(
        config(tmp_path, **sections), catalog=catalog, encoder=Small(4), objective=pull, console=QUIET
    ).config
    assert (kept.objective.target, kept.objective.instance) == (f"{__name__}:pull", False)
    assert (kept.objective.images_per_group, kept.encoder.image_size) == (4, 32)


def test_code_of_a_file_is_not_imported_unasked_and_a_run_opened_with_permission_keeps_it(catalog: Any, tmp_path: Path):
    with OwnModule(tmp_path).importable() as module:
        section = {"kind": "python", "target": module.target("MyEncoder")}
        tree = config(tmp_path, encoder=section, objective={"kind": "triplet"})
        with pytest.raises(SimtrainError) as caught:
            simtrain.fit(tree, catalog=catalog, console=QUIET)
        assert str(caught.value) == (
            f"encoder.target: config names the code {module.target('MyEncoder')}, which is imported only if you allow "
            "it: allow_code=True"
        )
        with pytest.raises(SimtrainError, match=r"allow_code=True$"):
            simtrain.load_encoder(section)
        assert module.name not in sys.modules
        trained = simtrain.fit(tree, catalog=catalog, allow_code=True, console=QUIET)
        image = catalog.image_path(0)
        expected = trained.encoder().encode([image], console=QUIET)
        opened = simtrain.open_run(trained.folder, allow_code=True)
        np.testing.assert_array_equal(opened.encoder().encode([image], console=QUIET), expected)
        with pytest.raises(SimtrainError, match=r"allow_code=True$"):
            simtrain.open_run(trained.folder).encoder()


def test_a_built_in_encoder_is_no_object_of_ones_own(catalog: Any, tmp_path: Path):
    tree = config(tmp_path, objective={"kind": "triplet"})
    with pytest.raises(ConfigError, match=r"^encoder: pixels is no module of your own; write its section instead$"):
        simtrain.fit(tree, catalog=catalog, encoder=simtrain.load_encoder("pixels"), console=QUIET)


def test_a_run_of_another_kind_takes_no_object(tmp_path: Path):
    folder = tmp_path / "checkpoints" / "small"
    folder.mkdir(parents=True)
    tree = config(tmp_path, catalog="shop", encoder={"kind": "resnet"}, objective={"kind": "triplet"})
    (folder / "config.yaml").write_text(json.dumps(tree))
    (folder / "run.json").write_text('{"status": "finished", "data": {"sha256": "a", "catalog": "shop"}}')
    with pytest.raises(ConfigError, match=r"^encoder: an object was handed over, and encoder\.kind is resnet, not py"):
        simtrain.open_run(folder, encoder=Small(4))
