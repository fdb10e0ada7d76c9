"""Relational distillation in whole runs: alone, beside other objectives, interrupted, exported, and its teacher."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recording_console import RecordingConsole
from tiny_clip import make_tiny_clip

from simtrain.builders.encoder import build_encoder
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog, read_catalog, write_catalog
from simtrain.commands.export import export
from simtrain.commands.fit import FitResult, fit
from simtrain.commands.search import search
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.data.embedding_cache import FOLDER
from simtrain.errors import ConfigError
from simtrain.runs.run import open_run
from simtrain.training.epoch_table import read_metrics
from simtrain.training.saved_weights import read_module_state

pytestmark = pytest.mark.slow

MakeConfig = Callable[..., RunConfig]
SIZES = {"teacher_image_sizes": [32, 48]}
DISTILL = {"kind": "distill", **SIZES}
BESIDE_TRIPLET = {"kind": "triplet", "distill": {"weight": 0.5, **SIZES}}


@pytest.fixture(autouse=True)
def nothing_embedded_before(catalog: Catalog) -> None:
    for path in (catalog.folder / FOLDER).glob("*.safetensors"):
        path.unlink()


def run(config: RunConfig, *, resume: bool = False, say: Callable[[str], None] = lambda line: None) -> FitResult:
    return fit(config, resume=resume, console=RecordingConsole(on_line=say))


def lines_of(config: RunConfig, *, resume: bool = False) -> list[str]:
    told: list[str] = []
    run(config, resume=resume, say=told.append)
    return told


def teacher_lines(told: list[str]) -> list[str]:
    return [line for line in told if line.startswith("teacher ")]


def state(folder: Path) -> dict[str, torch.Tensor]:
    return read_module_state(folder / "last.ckpt")


def equal_states(one: Path, other: Path) -> bool:
    first, second = state(one), state(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stop_after_first_epoch(line: str) -> None:
    if line.startswith("epoch 1/"):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("objective", [DISTILL, BESIDE_TRIPLET])
def test_a_run_brings_its_similarities_nearer_to_the_teachers(
    make_config: MakeConfig, objective: dict[str, Any]
) -> None:
    config = make_config(objective=objective, trainer={"epochs": 6, "accelerator": "cpu"}, tracking={"every_steps": 1})
    folder = run(config).folder
    rows = (folder / "steps.csv").read_text().splitlines()
    place = rows[0].split(",").index("loss_relations")
    losses = [float(row.split(",")[place]) for row in rows[1:]]
    assert sum(losses[-5:]) < sum(losses[:5])


@pytest.mark.parametrize("objective", [DISTILL, BESIDE_TRIPLET])
def test_an_interrupted_run_ends_as_a_whole_one_does(make_config: MakeConfig, objective: dict[str, Any]) -> None:
    whole = run(make_config(objective=objective, run="whole")).folder
    config = make_config(objective=objective, run="parts")
    assert run(config, say=stop_after_first_epoch).ended_by == signal.SIGTERM
    told = lines_of(config, resume=True)
    assert teacher_lines(told)[0].endswith("training images and their mirror images: embeddings read from the cache")
    assert equal_states(whole, whole.with_name("parts"))


def test_a_run_that_goes_on_without_kept_embeddings_makes_them_from_its_own_start(
    make_config: MakeConfig, catalog: Catalog
) -> None:
    whole = run(make_config(objective=DISTILL, run="whole")).folder
    config = make_config(objective=DISTILL, run="parts")
    run(config, say=stop_after_first_epoch)
    for path in (catalog.folder / FOLDER).iterdir():
        path.unlink()
    told = lines_of(config, resume=True)
    assert " embedded in " in teacher_lines(told)[0]
    assert equal_states(whole, whole.with_name("parts"))


def test_another_run_finds_the_embeddings_of_the_first(make_config: MakeConfig) -> None:
    first = teacher_lines(lines_of(make_config(objective=DISTILL, run="first")))
    again = teacher_lines(lines_of(make_config(objective=BESIDE_TRIPLET, run="second")))
    assert first[0].startswith("teacher start at 32, 48 px: 84 training images and their mirror images embedded in ")
    assert again == [
        "teacher start at 32, 48 px: 84 training images and their mirror images: embeddings read from the cache"
    ]


@pytest.mark.parametrize("objective", [DISTILL, BESIDE_TRIPLET])
def test_gradient_caching_trains_the_same(make_config: MakeConfig, objective: dict[str, Any]) -> None:
    whole = run(make_config(objective=objective, run="whole")).folder
    parts = run(make_config(objective=objective, run="p", data={"batch_size": 16, "workers": 0, "micro_batch_size": 5}))
    for name, value in state(whole).items():
        if value.is_floating_point():
            torch.testing.assert_close(state(parts.folder)[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("preloaded_processes")
def test_two_processes_train_what_one_trains(make_config: MakeConfig) -> None:
    one = read_metrics(run(make_config(objective=DISTILL, run="one")).folder / "metrics.csv")
    two = {"epochs": 3, "accelerator": "cpu", "devices": 2}
    both = read_metrics(run(make_config(objective=DISTILL, run="two", trainer=two)).folder / "metrics.csv")
    for mine, theirs in zip(one[1:], both[1:], strict=True):
        assert float(mine["train_loss"]) == pytest.approx(float(theirs["train_loss"]), rel=1e-4)


def test_a_catalogue_without_labels_is_enough(make_config: MakeConfig, catalog: Catalog, tmp_path: Path) -> None:
    bare = read_catalog(catalog.folder)
    rows = bare.rows.assign(product=None, label=None, caption=None)
    folder = tmp_path / "bare"
    folder.mkdir()
    write_catalog(Catalog(rows=rows, root=bare.root, folder=folder))
    config = make_config(objective=DISTILL, catalog=str(folder))
    assert run(config).ended_by is None


def test_a_distilled_run_is_exported_and_searched(make_config: MakeConfig, catalog: Catalog, tmp_path: Path) -> None:
    folder = run(make_config(objective=DISTILL, export={"onnx": False})).folder
    bundle = tmp_path / "bundle"
    export(open_run(str(folder), checkpoints=folder.parent), out=bundle, alpha=None, console=SILENT)
    first = catalog.rows[catalog.rows["gallery"]].iloc[0]
    found = search(bundle, image=catalog.root / str(first["path"]), text=None, k=1, plot=None)
    assert found.neighbours[0].id == str(first["id"])


def test_a_teacher_by_name_stands_beside_the_run(make_config: MakeConfig) -> None:
    objective = {"kind": "distill", "teacher": "histogram_hsv", "teacher_neighbours": 1}
    told = lines_of(make_config(objective=objective))
    assert teacher_lines(told)[0].startswith("teacher histogram_hsv at 128, 224, 320 px: ")


def test_the_image_tower_of_a_clip_learns_and_its_texts_stay(make_config: MakeConfig, tmp_path: Path) -> None:
    model = make_tiny_clip(tmp_path / "model")
    config = make_config(objective={"kind": "distill"}, encoder={"kind": "clip", "model": str(model)})
    folder = run(config).folder
    before = build_encoder(config.encoder, load=True).state_dict()
    after = {name.removeprefix("encoder."): value for name, value in state(folder).items()}
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert changed
    assert all("vision" in name or "visual" in name for name in changed)


def test_a_clip_is_seen_at_its_own_size_alone(make_config: MakeConfig, tmp_path: Path) -> None:
    model = make_tiny_clip(tmp_path / "model")
    told = lines_of(make_config(objective={"kind": "distill"}, encoder={"kind": "clip", "model": str(model)}))
    assert teacher_lines(told)[0].startswith("teacher start at 64 px: ")


def test_the_untouched_encoder_is_the_teacher_without_a_layer_that_is_new(make_config: MakeConfig) -> None:
    network = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32, "embedding_size": 8}
    plain = {name: value for name, value in network.items() if name != "embedding_size"}
    run(make_config(objective=DISTILL, encoder=plain, run="plain"))
    told = lines_of(make_config(objective=DISTILL, encoder=network, run="reduced"))
    assert teacher_lines(told)[0].endswith(": embeddings read from the cache")


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (
            {"kind": "distill", "neighbours_across": ["lable"]},
            r"^objective.neighbours_across: \S+ has no column 'lable'; did you mean 'label'\?; it has id, path, ",
        ),
        (
            {"kind": "triplet", "distill": {"neighbours_across": ["vendor"]}},
            r"^objective.distill.neighbours_across: \S+ has no column 'vendor'; it has id, path, ",
        ),
        (
            {"kind": "distill", "teacher": "resnet5"},
            r"^objective.teacher: no encoder 'resnet5'; did you mean 'resnet50'\?; allowed: start, pixels, ",
        ),
    ],
)
def test_what_does_not_exist_is_told_before_anything_is_embedded(
    make_config: MakeConfig, objective: dict[str, Any], message: str
) -> None:
    config, told = make_config(objective=objective), []
    with pytest.raises(ConfigError, match=message):
        run(config, say=told.append)
    assert not any(line.startswith("zero-shot") for line in told)
    assert not (Path(config.checkpoints) / "small").exists()


def test_a_size_that_a_network_cannot_read_is_told(make_config: MakeConfig, tmp_path: Path) -> None:
    model = make_tiny_clip(tmp_path / "model")
    objective = {"kind": "distill", "teacher_image_sizes": [64, 96]}
    config = make_config(objective=objective, encoder={"kind": "clip", "model": str(model)})
    expected = r"^objective.teacher_image_sizes: the teacher 'start' takes 64 pixels, and cannot read 96: "
    with pytest.raises(ConfigError, match=expected):
        run(config)


def test_a_comparison_shares_the_embeddings_of_the_teacher(make_config: MakeConfig, catalog: Catalog) -> None:
    """Files of the teacher at 32 px and of the encoder in a comparison are one."""
    from simtrain.data.embedding_cache import encoder_fingerprint

    config = make_config(objective=DISTILL)
    run(config)
    torch.manual_seed(config.seed)
    encoder = build_encoder(config.encoder, load=True)
    told = open_images(catalog, smallest=32).description
    name = encoder_fingerprint(encoder, images=told)[:24]
    kept = [path.name for path in (catalog.folder / FOLDER).iterdir()]
    assert json.dumps(kept).count(name) == 1


def test_a_coarser_level_is_learned_beside_triplets_and_distillation(make_config: MakeConfig) -> None:
    objective = {**BESIDE_TRIPLET, "levels": [{"column": "label", "weight": 2.0}]}
    config = make_config(objective=objective, trainer={"epochs": 8, "accelerator": "cpu"}, tracking={"every_steps": 1})
    folder = run(config).folder
    rows = [row.split(",") for row in (folder / "steps.csv").read_text().splitlines()]
    place = rows[0].index("loss_level_label")
    losses = [float(row[place]) for row in rows[1:] if row[place]]  # a batch without two products of a label has none
    assert len(losses) >= 20
    assert sum(losses[-10:]) < sum(losses[:10])
    assert "levels:" in (folder / "config.yaml").read_text()
