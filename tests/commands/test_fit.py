"""A run from its first file to its last, interrupted and not."""

import importlib.metadata
import json
import math
import os
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from preloaded_processes import Command
from recording_console import RecordingConsole
from small_configs import run_config

from simtrain.builders.encoder import build_encoder
from simtrain.builders.validation import build_validation
from simtrain.catalog.store.reader import source_images
from simtrain.catalog.table import Catalog, read_catalog, write_catalog
from simtrain.commands.evaluate import evaluate
from simtrain.commands.export import export
from simtrain.commands.fit import fit
from simtrain.config import RunConfig, dump_yaml, parse_run_config
from simtrain.console import SILENT, Console
from simtrain.data import training_precision
from simtrain.data.embedding import EmbeddingSettings, embed_images
from simtrain.encoders.cost import ForwardCost
from simtrain.errors import CatalogError, CheckpointError, ConfigError, SimtrainError
from simtrain.evaluation.named_scores import named_scores
from simtrain.files import write_json
from simtrain.losses.loss_value import LossValue
from simtrain.modules.metric_learning import MetricLearningModule
from simtrain.runs.run import BestEpoch, open_run
from simtrain.runs.tuned_encoder import tuned_encoder
from simtrain.training.epoch_table import read_metrics
from simtrain.training.saved_weights import read_module_state

MakeConfig = Callable[..., RunConfig]
ONCE = {"epochs": 1, "accelerator": "cpu"}


def run(config: RunConfig, *, resume: bool = False, console: Console = SILENT) -> Any:
    return fit(config, resume=resume, console=console)


def kill_self_after_epoch(epoch: int, number: signal.Signals) -> RecordingConsole:
    def kill(line: str) -> None:
        if line.startswith(f"epoch {epoch}/"):
            signal.raise_signal(number)

    return RecordingConsole(on_line=kill)


def equal_states(one: Path, other: Path) -> bool:
    first, second = read_module_state(one), read_module_state(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def whole(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the usual run, which no test may change."""
    return run(run_config(catalog, tmp_path_factory.mktemp("whole"))).folder


@pytest.fixture
def finished(whole: Path, make_config: MakeConfig) -> Path:
    """A copy of it where the usual configuration has its run."""
    return Path(shutil.copytree(whole, Path(make_config().checkpoints) / "small"))


def test_a_run_leaves_the_files_of_the_contract(whole: Path) -> None:
    assert sorted(path.name for path in whole.iterdir()) == [
        "best.ckpt",
        "config.yaml",
        "encoder",
        "last.ckpt",
        "metrics.csv",
        "run.json",
        "steps.csv",
    ]


def test_the_stored_configuration_is_the_whole_one(whole: Path, catalog: Catalog) -> None:
    stored = parse_run_config(yaml.safe_load((whole / "config.yaml").read_text()), where="stored")
    assert stored == run_config(catalog, whole.parent)


def test_metrics_begin_with_the_untouched_encoder_and_have_a_row_per_epoch(whole: Path, catalog: Catalog) -> None:
    rows = read_metrics(whole / "metrics.csv")
    record = json.loads((whole / "run.json").read_text())
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    steps = len(catalog.rows_of(["train"])) // 16
    assert [row["step"] for row in rows] == ["0", str(steps), str(2 * steps), str(3 * steps)]
    assert float(rows[0]["val_map_at_r"]) == pytest.approx(record["zero_shot"]["metrics"]["map_at_r"]["mean"], rel=1e-5)
    assert all(float(row["train_loss"]) > 0 and float(row["images_per_second"]) > 0 for row in rows[1:])


def test_the_record_tells_versions_data_and_the_best_epoch(whole: Path, catalog: Catalog) -> None:
    record = json.loads((whole / "run.json").read_text())
    rows = read_metrics(whole / "metrics.csv")
    figures = [float(row["val_map_at_r"]) for row in rows]
    assert record["status"] == "finished"
    assert record["libraries"]["torch"] == importlib.metadata.version("torch")
    assert record["data"]["images"] == len(catalog.rows)
    assert record["best"]["value"] == pytest.approx(max(figures), rel=1e-5)
    assert record["best"]["epoch"] == figures.index(max(figures))


def test_the_same_seed_gives_the_same_weights(make_config: MakeConfig, whole: Path) -> None:
    assert equal_states(whole / "last.ckpt", run(make_config(run="other")).folder / "last.ckpt")


def test_another_seed_gives_other_weights(make_config: MakeConfig, whole: Path) -> None:
    assert not equal_states(whole / "last.ckpt", run(make_config(run="other", seed=1)).folder / "last.ckpt")


def test_loading_processes_do_not_change_the_weights(make_config: MakeConfig, whole: Path) -> None:
    other = run(make_config(run="other", data={"batch_size": 16, "workers": 2})).folder
    assert equal_states(whole / "last.ckpt", other / "last.ckpt")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_and_resumed_is_uninterrupted_bit_for_bit(
    make_config: MakeConfig, whole: Path, number: signal.Signals
) -> None:
    config = make_config(run="parts")
    first = run(config, console=kill_self_after_epoch(1, number))
    assert first.ended_by == number
    assert json.loads((first.folder / "run.json").read_text())["status"] == "interrupted"
    second = run(config, resume=True)
    assert second.ended_by is None
    assert equal_states(whole / "last.ckpt", second.folder / "last.ckpt")
    assert equal_states(whole / "best.ckpt", second.folder / "best.ckpt")
    stays = [{**row, "images_per_second": "", "seconds": ""} for row in read_metrics(whole / "metrics.csv")]
    again = [{**row, "images_per_second": "", "seconds": ""} for row in read_metrics(second.folder / "metrics.csv")]
    assert [row["val_map_at_r"] for row in again] == [row["val_map_at_r"] for row in stays]
    assert [row["step"] for row in again] == [row["step"] for row in stays]


def test_the_choice_of_the_epoch_is_recorded(make_config: MakeConfig) -> None:
    """With a tolerance beyond any difference, the last epoch above the untouched encoder is chosen."""
    settings = {"evaluation": {"monitor_tolerance": 10}, "optimizer": {"learning_rate": 1e-3}}
    result = run(make_config(trainer={"epochs": 6, "accelerator": "cpu"}, **settings))
    values = [float(row["val_map_at_r"]) for row in read_metrics(result.folder / "metrics.csv")]
    assert result.best_epoch == max(epoch for epoch, value in enumerate(values) if value > values[0])
    highest = {"epoch": int(np.argmax(values)), "value": pytest.approx(max(values), abs=1e-5)}
    assert json.loads((result.folder / "run.json").read_text())["best"]["highest"] == highest


def test_the_end_of_a_run_names_the_highest_epoch_where_another_is_chosen() -> None:
    best = BestEpoch(epoch=2, metric="map_at_r", value=0.81, zero_shot=0.7)
    assert str(best) == "best map_at_r on val: 0.810 in epoch 2"
    later = replace(best, epoch=5, value=0.805, highest=0.81, highest_epoch=2)
    told = "map_at_r on val: 0.805 in epoch 5, which val cannot tell from the highest (0.810 in epoch 2)"
    assert str(later) == told


def test_a_resumed_run_stays_in_the_arithmetic_that_was_chosen(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_precision, "has_bf16_instructions", lambda: True)
    monkeypatch.setattr(training_precision, "forward_cost", lambda *_, **__: ForwardCost(operations=10**9, outputs=1))
    console = kill_self_after_epoch(1, signal.SIGINT)
    assert run(make_config(), console=console).ended_by is not None
    told = "trains in bf16, for which this processor has instructions; for float32: --set trainer.precision=32-true"
    assert told in console.lines
    monkeypatch.setattr(training_precision, "has_bf16_instructions", lambda: False)  # resumed elsewhere
    again, new = run(make_config(), resume=True), run(make_config(run="new"))
    assert [json.loads((found.folder / "run.json").read_text())["precision"] for found in (again, new)] == [
        "bf16-mixed", "32-true"
    ]  # fmt: skip
    assert not equal_states(again.folder / "last.ckpt", new.folder / "last.ckpt")


def test_views_made_on_the_device_train_alike_and_are_resumed_alike(make_config: MakeConfig) -> None:
    on_device = {"augmentation": {"device": "trainer"}}
    whole = run(make_config(run="whole", **on_device)).folder
    assert run(make_config(**on_device), console=kill_self_after_epoch(1, signal.SIGINT)).ended_by is not None
    resumed = run(make_config(**on_device), resume=True).folder
    assert equal_states(whole / "last.ckpt", resumed / "last.ckpt")
    by_loader = run(make_config(run="loader", augmentation={"device": "loader"})).folder
    losses = [[float(row["train_loss"]) for row in read_metrics(one / "metrics.csv")[1:]] for one in (whole, by_loader)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]


def test_an_existing_run_is_refused(make_config: MakeConfig, finished: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    expected = f"{finished}: this run exists; continue it with --resume small, or name another with --set run=NAME"
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        run(make_config())
    assert {path.name: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def test_resuming_with_another_configuration_shows_the_difference(make_config: MakeConfig, finished: Path) -> None:
    changed = "optimizer.learning_rate: 0.0003 -> 0.001"
    expected = f"{finished}: the configuration has changed since the run began: {changed}"
    with pytest.raises(
        CheckpointError, match=f"^{re.escape(expected)}; .* --set init_from={re.escape(str(finished))} "
    ):
        run(make_config(optimizer={"learning_rate": 1e-3}), resume=True)


def test_finished_run_is_left_as_it_is(make_config: MakeConfig, finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    console = RecordingConsole()
    assert run(make_config(), resume=True, console=console).folder == finished
    assert console.lines == [
        f"{finished} has finished; there is nothing to resume. For more epochs: simtrain fit --resume {finished} --set "
        "trainer.epochs=6, whose learning rate rises again to where a run of 6 epochs has it\n"
        f"or a new run from its best weights: simtrain fit CONFIG.yaml --set init_from={finished} --set run=NAME"
    ]
    assert {path: path.read_bytes() for path in finished.iterdir() if path.is_file()} == before


def longer(make_config: MakeConfig, epochs: int, **sections: Any) -> RunConfig:
    return make_config(trainer={"epochs": epochs, "accelerator": "cpu"}, **sections)


@pytest.mark.slow
def test_a_finished_run_goes_on_for_more_epochs_by_the_schedule_of_its_new_length(
    make_config: MakeConfig, finished: Path
) -> None:
    before = read_metrics(finished / "metrics.csv")
    again = Path(shutil.copytree(finished, finished.with_name("again")))
    console = RecordingConsole()
    assert run(longer(make_config, 5), resume=True, console=console).folder == finished
    rows = read_metrics(finished / "metrics.csv")
    assert rows[:4] == before
    steps = 5 * int(rows[1]["step"])
    warmup = round(0.1 * steps)
    for row in rows[4:]:  # the rate after an epoch's last step is that of the next one
        share = 0.5 * (1 + math.cos(math.pi * (int(row["step"]) - warmup) / (steps - warmup)))
        assert float(row["learning_rate"]) == pytest.approx(3e-4 * share, rel=1e-4, abs=1e-12)
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert any(
        line.startswith("trainer.epochs: 3 -> 5: after epoch 3 the learning rate goes from 0.0 % to ")
        for line in console.lines
    )
    record = json.loads((finished / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["epochs_raised"] == [{"from": 3, "to": 5, "after": 3}]
    assert yaml.safe_load((finished / "config.yaml").read_text())["trainer"]["epochs"] == 5

    run(longer(make_config, 5, run="again"), resume=True)
    assert equal_states(finished / "last.ckpt", again / "last.ckpt")


def test_fewer_epochs_are_refused(make_config: MakeConfig, finished: Path) -> None:
    expected = f"{finished}: the configuration has changed since the run began: trainer.epochs: 3 -> 2; "
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}"):
        run(longer(make_config, 2), resume=True)


def test_a_run_without_its_last_checkpoint_cannot_be_made_longer(make_config: MakeConfig, finished: Path) -> None:
    (finished / "last.ckpt").unlink()
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(finished))}: last.ckpt is not there any more, "):
        run(longer(make_config, 5), resume=True)


def test_resuming_a_run_that_is_not_there_names_the_ones_that_are(make_config: MakeConfig, finished: Path) -> None:
    finished.rename(finished.with_name("mugs"))
    with pytest.raises(CheckpointError, match=r"^mgs: no such run in .*; did you mean 'mugs'\?$"):
        run(make_config(run="mgs"), resume=True)


def test_a_group_of_one_image_is_an_error_that_leaves_nothing(
    make_config: MakeConfig, catalog: Catalog, tmp_path: Path
) -> None:
    rows = catalog.rows.copy()
    first = int(rows.index[rows["split"] == "train"][0])
    rows.loc[first, "product"] = "lonely-mug"
    write_catalog(Catalog(rows=rows, root=catalog.root, folder=_made(tmp_path / "lonely")))
    objective = {"kind": "triplet", "single_image_groups": "error"}
    config = make_config(catalog=str(tmp_path / "lonely"), objective=objective)
    expected = (
        f"{tmp_path / 'lonely'}: product 'lonely-mug' has 1 image; triplet needs 2: "
        "add images, or set objective.single_image_groups=drop"
    )
    with pytest.raises(CatalogError, match=f"^{re.escape(expected)}$"):
        run(config)
    assert not Path(config.checkpoints).exists()


def test_groups_of_one_image_are_dropped_and_told(make_config: MakeConfig, catalog: Catalog, tmp_path: Path) -> None:
    rows = catalog.rows.copy()
    rows.loc[int(rows.index[rows["split"] == "train"][0]), "product"] = "lonely-mug"
    write_catalog(Catalog(rows=rows, root=catalog.root, folder=_made(tmp_path / "lonely")))
    console = RecordingConsole()
    assert run(make_config(catalog=str(tmp_path / "lonely"), trainer=ONCE), console=console).ended_by is None
    (told,) = [line for line in console.lines if "one image" in line]
    assert told.endswith("one image, such as 'lonely-mug', and takes no part in training")


@pytest.mark.parametrize(
    "objective",
    [
        {"kind": "simclr"},
        {"kind": "simclr", "positive": "product", "projection_head": {"hidden_size": 32, "output_size": 16}},
        {"kind": "metric_learning", "loss": {"name": "ProxyAnchorLoss"}},
        {"kind": "metric_learning", "loss": {"name": "MultiSimilarityLoss"}, "miner": {"name": "MultiSimilarityMiner"}},
    ],
)
def test_every_objective_trains_and_its_encoder_opens_again(make_config: MakeConfig, objective: dict[str, Any]) -> None:
    config = make_config(objective=objective, data={"batch_size": 12, "workers": 0}, trainer=ONCE)
    result = run(config)
    assert tuned_encoder(config, result.folder, alpha=None).embedding_size == 256


def test_flat_images_without_any_label_train_label_free(
    make_config: MakeConfig, catalog: Catalog, tmp_path: Path
) -> None:
    rows = catalog.rows.assign(product=None, label=None)
    write_catalog(Catalog(rows=rows, root=catalog.root, folder=_made(tmp_path / "flat")))
    lines: list[str] = []
    config = make_config(catalog=str(tmp_path / "flat"), objective={"kind": "simclr"}, trainer=ONCE)
    result = run(config, console=RecordingConsole(on_line=lines.append))
    assert result.best is None
    assert lines[:2] == [
        "images: from the source's files (the catalogue has no image store)",
        "no validation: the catalogue has neither products nor labels; the last epoch will count as the best; to judge "
        "by whether a changed picture finds itself: --set relevance=picture",
    ]
    assert equal_states(result.folder / "best.ckpt", result.folder / "last.ckpt")


def test_flat_images_are_validated_by_changed_pictures(
    make_config: MakeConfig, catalog: Catalog, tmp_path: Path
) -> None:
    rows = catalog.rows.assign(product=None, label=None)
    write_catalog(Catalog(rows=rows, root=catalog.root, folder=_made(tmp_path / "flat")))
    objective = {"kind": "simclr"}
    config = make_config(catalog=str(tmp_path / "flat"), objective=objective, relevance="picture", trainer=ONCE)
    result = run(config)
    assert result.zero_shot is not None
    assert result.best is not None
    opened = open_run(str(result.folder), checkpoints=result.folder.parent)
    assert opened.record["zero_shot"]["gallery"] == int((rows["split"] == "val").sum())
    assert opened.record["data"]["images"] == len(rows)
    again = evaluate(opened.config, run=opened, split="val", alpha=None, console=SILENT)
    assert again.evaluation.metrics["map_at_r"].mean == pytest.approx(result.best)
    bundle = export(opened, out=tmp_path / "bundle", alpha=None, console=SILENT)
    assert bundle.items == int(rows["gallery"].sum())
    assert "neither products nor labels" in str(bundle.calibration.reason)


def test_limited_batches_train(make_config: MakeConfig) -> None:
    result = run(make_config(data={"batch_size": 4, "workers": 0, "limit_batch_to": "label"}, trainer=ONCE))
    assert result.ended_by is None


def test_batches_that_no_category_can_fill_are_refused(make_config: MakeConfig, catalog: Catalog) -> None:
    train = catalog.rows[catalog.rows["split"] == "train"]
    largest = train.groupby("label")["product"].nunique().max()
    expected = (
        f"{catalog.folder}: data.limit_batch_to: the largest 'label' has {largest} groups; a batch holds 8: "
        "set a smaller data.batch_size"
    )
    with pytest.raises(CatalogError, match=f"^{re.escape(expected)}$"):
        run(make_config(data={"batch_size": 16, "workers": 0, "limit_batch_to": "label"}))


def test_ctrl_c_reaches_the_loading_processes_without_harm(make_config: MakeConfig) -> None:
    """A terminal sends Ctrl-C to every process of the group: the real command, in a session of its own."""
    config = make_config(data={"batch_size": 16, "workers": 2}, trainer={"epochs": 500, "accelerator": "cpu"})
    path = Path(config.checkpoints).parent / "run.yaml"
    path.write_text(dump_yaml(config))
    process = Command("fit", str(path), own_session=True)
    next(line for line in process.stdout if line.startswith("epoch 2/"))
    os.killpg(process.pid, signal.SIGINT)
    shown, told = process.communicate()
    assert process.status == 130
    assert "Traceback" not in told
    assert "interrupted; resume with: simtrain fit --resume" in shown
    record = json.loads((Path(config.checkpoints) / "small" / "run.json").read_text())
    assert record["status"] == "interrupted"


def test_a_broken_checkpoint_is_told_on_resume(make_config: MakeConfig, finished: Path) -> None:
    (finished / "last.ckpt").write_text("not a checkpoint")
    record = json.loads((finished / "run.json").read_text())
    write_json(finished / "run.json", {**record, "status": "interrupted"})
    with pytest.raises(CheckpointError, match=r"last\.ckpt: not a checkpoint of simtrain fit \(\w+\)$"):
        run(make_config(), resume=True)


def without(tree: dict[str, Any], *keys: str) -> None:
    """Remove what the last of nested keys names; an underscore names the first key there is."""
    for key in keys[:-1]:
        tree = tree[next(iter(tree)) if key == "_" else key]
    del tree[next(iter(tree)) if keys[-1] == "_" else keys[-1]]


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (("pytorch-lightning_version",), "KeyError: 'pytorch-lightning_version'"),
        (("state_dict",), "KeyError: 'state_dict'"),
        (("state_dict", "_"), "RuntimeError: Error(s) in loading state_dict for MetricLearningModule:"),
        (("optimizer_states",), "KeyError: "),
        (("CatalogData", "epoch"), "KeyError: 'epoch'"),
        (("loops", "fit_loop"), "KeyError: 'fit_loop'"),
    ],
)
def test_a_checkpoint_that_lacks_a_part_is_named_on_resume(
    make_config: MakeConfig, finished: Path, missing: tuple[str, ...], reason: str
) -> None:
    path = finished / "last.ckpt"
    content = torch.load(path, weights_only=True)
    without(content, *missing)
    torch.save(content, path)
    record = json.loads((finished / "run.json").read_text())
    write_json(finished / "run.json", {**record, "status": "interrupted"})
    with pytest.raises(CheckpointError) as caught:
        run(make_config(), resume=True)
    told = str(caught.value)
    assert told.startswith(f"{path}: damaged: {reason}")
    assert told.endswith(
        f"; begin a new run, for example from its best weights: simtrain fit CONFIG.yaml --set init_from={finished} "
        "--set run=NAME"
    )
    assert len(told.splitlines()) == 1


def test_a_loss_that_is_no_number_ends_the_run(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        MetricLearningModule, "loss", lambda module, seen: LossValue(total=seen.embeddings.sum() * torch.nan)
    )
    expected = "training diverged: the loss is nan in step 1 of epoch 1, though every embedding is finite (batch: "
    config = make_config()
    with pytest.raises(SimtrainError, match=f"^{re.escape(expected)}"):
        run(config)
    assert (Path(config.checkpoints) / "small" / "last.ckpt").exists()


def test_a_resumed_run_needs_no_pretrained_weights(make_config: MakeConfig, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    encoder = {"kind": "timm", "model": "test_efficientnet", "weights": str(weights), "image_size": 32}
    torch.save(build_encoder(make_config().encoder, load=False).network.state_dict(), weights)
    config = make_config(encoder=encoder, trainer={**ONCE, "epochs": 2})
    run(config, console=kill_self_after_epoch(1, signal.SIGTERM))
    weights.unlink()
    assert run(config, resume=True).ended_by is None


def test_an_encoder_without_weights_has_nothing_to_train(make_config: MakeConfig) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^encoder.kind: 'pixels' has no weights to train; evaluate it with simtrain evaluate CONFIG.yaml$",
    ):
        run(make_config(encoder={"kind": "pixels"}))


def test_the_steps_can_be_limited_within_an_epoch(make_config: MakeConfig) -> None:
    folder = run(make_config(trainer={"epochs": 9, "max_steps": 6, "accelerator": "cpu"})).folder
    assert read_metrics(folder / "metrics.csv")[-1]["step"] == "6"


def test_the_last_steps_are_validated_even_within_an_epoch(make_config: MakeConfig, catalog: Catalog) -> None:
    config = make_config(trainer={"epochs": 9, "max_steps": 6, "accelerator": "cpu"})
    folder = run(config).folder
    task = build_validation(config, catalog)
    state = read_module_state(folder / "last.ckpt")
    encoder = build_encoder(config.encoder, load=False)
    encoder.load_state_dict({name.removeprefix("encoder."): tensor for name, tensor in state.items()})
    assert task is not None
    rows, cpu = task.rows.tolist(), torch.device("cpu")
    vectors = embed_images(
        encoder,
        source_images(catalog),
        rows,
        settings=EmbeddingSettings(batch_size=64, workers=0, device=cpu),
        console=SILENT,
    )
    row, means = read_metrics(folder / "metrics.csv")[-1], named_scores(task, vectors).means()
    assert float(row["val_map_at_r"]) == pytest.approx(means["map_at_r"], rel=1e-5)
    assert float(row["val_mrr"]) == pytest.approx(means["mrr"], rel=1e-5)


def test_an_image_that_vanished_is_named(make_config: MakeConfig, catalog: Catalog, tmp_path: Path) -> None:
    rows = read_catalog(catalog.folder).rows
    train = int(rows.index[rows["split"] == "train"][0])
    rows.loc[train, "path"] = "mug/gone.jpg"
    write_catalog(Catalog(rows=rows, root=catalog.root, folder=_made(tmp_path / "gone")))
    with pytest.raises(CatalogError, match=r"mug/gone\.jpg: no such image"):
        run(make_config(catalog=str(tmp_path / "gone")))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
