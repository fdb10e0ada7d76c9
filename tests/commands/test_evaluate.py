"""Evaluating a run: on its own catalogue, with its own seed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from recording_console import RecordingConsole
from small_runs import change_splits

from simtrain.catalog.table import Catalog, write_catalog
from simtrain.commands.evaluate import evaluate
from simtrain.commands.export import export
from simtrain.commands.fit import fit
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.errors import CatalogError, CheckpointError
from simtrain.runs.run import Run, open_run, read_run_catalog

MakeConfig = Callable[..., RunConfig]


@pytest.mark.parametrize("spelling", ["{}", "{}/", "{}/../{name}", "./{name}"])
def test_catalogue_that_changed_is_known_under_every_spelling(
    trained: Run, own_catalog: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    change_splits(own_catalog)
    monkeypatch.chdir(own_catalog.parent)
    named = spelling.format(own_catalog, name=own_catalog.name)
    config = trained.config.model_copy(update={"catalog": named})
    with pytest.raises(CheckpointError, match="has changed since this run was trained"):
        evaluate(config, run=replace(trained, config=config), split="val", alpha=None, console=SILENT)


def test_catalogue_that_has_moved_is_asked_for(trained: Run, own_catalog: Path) -> None:
    own_catalog.rename(own_catalog.with_name("moved"))
    with pytest.raises(CatalogError, match=r"; if it has moved, name its folder with --set catalog=FOLDER$"):
        evaluate(trained.config, run=trained, split="val", alpha=None, console=SILENT)


def test_run_that_was_interrupted_is_told(trained: Run) -> None:
    console = RecordingConsole()
    interrupted = replace(trained, record={**trained.record, "status": "interrupted"})
    evaluate(trained.config, run=interrupted, split="val", alpha=None, console=console)
    assert [line for line in console.lines if " was interrupted; its best weights so far, of epoch " in line]


def test_a_run_is_not_judged_on_a_catalogue_that_changed(trained: Run, own_catalog: Path) -> None:
    change_splits(own_catalog)
    with pytest.raises(CheckpointError, match="has changed since this run was trained"):
        evaluate(trained.config, run=trained, split="test", alpha=None, console=SILENT)


def test_another_catalogue_by_name_is_a_choice(trained: Run, catalog: Catalog) -> None:
    run = open_run(str(trained.folder), checkpoints=Path(), overrides=[f"catalog={catalog.folder}"])
    assert evaluate(run.config, run=run, split="test", alpha=None, console=SILENT).evaluation.queries > 0


def test_a_run_is_not_judged_on_another_fold(trained: Run) -> None:
    with pytest.raises(CheckpointError) as told:
        read_run_catalog(replace(trained, own_fold=1))
    assert str(told.value) == (
        f"{trained.folder}: trained with fold 1: its training images are among the queries of the catalogue's own "
        "splits; leave the setting 'fold' out"
    )


def test_pictures_alone_are_judged_by_changed_copies_of_them(
    make_config: MakeConfig, catalog: Catalog, tmp_path: Path
) -> None:
    rows = catalog.rows.assign(product=None, label=None)
    (tmp_path / "flat").mkdir()
    write_catalog(Catalog(rows=rows, root=catalog.root, folder=tmp_path / "flat"))
    config = make_config(catalog=str(tmp_path / "flat"), encoder={"kind": "histogram"})
    console = RecordingConsole()
    report = evaluate(config, run=None, split="test", alpha=None, console=console)
    assert console.lines[0] == (
        "the catalogue has neither products nor labels: encoders are judged by whether a changed copy of a picture "
        "finds it"
    )
    assert report.evaluation.queries == report.evaluation.gallery == int((rows["split"] == "test").sum())
    assert report.relevance_description == "the picture that the query is a changed copy of"
    assert report.data["images"] == len(rows)
    assert 0 < report.evaluation.metrics["recall_at_1"].mean < 1
    with pytest.raises(CatalogError, match="relevance column 'label' is empty"):
        evaluate(
            make_config(catalog=config.catalog, relevance="label"), run=None, split="test", alpha=None, console=SILENT
        )


def test_zero_shot_figures_of_new_layers_are_the_same_each_time_and_in_fit(make_config: MakeConfig) -> None:
    encoder = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32, "embedding_size": 8}
    config = make_config(encoder=encoder, trainer={"epochs": 1, "accelerator": "cpu"})
    first, second = (evaluate(config, run=None, split="val", alpha=None, console=SILENT).to_dict() for _ in range(2))
    folder = fit(config, resume=False, console=SILENT).folder
    record = open_run(str(folder), checkpoints=folder.parent).record
    assert first == second
    assert record["zero_shot"]["metrics"] == first["metrics"]


def test_what_one_command_has_embedded_the_next_one_finds(trained: Run, tmp_path: Path) -> None:
    export(trained, out=tmp_path / "bundle", alpha=None, console=SILENT)
    console = RecordingConsole()
    found = evaluate(trained.config, run=trained, split="test", alpha=None, console=console)
    assert console.descriptions == []
    assert found.to_dict()["embedding"] == {"precision": "32"}


def test_an_evaluation_says_in_which_arithmetic_it_is(trained: Run) -> None:
    section = trained.config.evaluation.model_copy(update={"precision": "bf16"})
    config = trained.config.model_copy(update={"evaluation": section})
    first, console = evaluate(config, run=None, split="val", alpha=None, console=SILENT), RecordingConsole()
    again = evaluate(config, run=None, split="val", alpha=None, console=console)
    assert console.descriptions == []
    for found in (first, again):
        assert found.to_dict()["embedding"]["precision"] == "bf16"
        assert 0.9 < found.to_dict()["embedding"]["lowest_cosine_with_float32"] < 1
        assert str(found.arithmetic) in str(found).splitlines()
