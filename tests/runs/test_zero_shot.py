"""Figures of the encoder before training, on record."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recording_console import RecordingConsole
from small_clip_runs import MakeConfig, clip_config, zero_shot

from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.runs.preparation import prepare_run
from simtrain.runs.zero_shot import zero_shot_metrics
from simtrain.training.ranks import SINGLE_PROCESS


@pytest.fixture
def config(make_config: MakeConfig, clip_model: Path) -> RunConfig:
    return clip_config(make_config, clip_model)


def first_figures(config: RunConfig, catalog: Catalog, record: dict[str, Any]) -> tuple[dict[str, float], list[str]]:
    said = list[str]()
    console = RecordingConsole(on_line=said.append)
    session = prepare_run(config, SINGLE_PROCESS, resume=False, console=console)
    assert session.catalog.folder == catalog.folder
    return zero_shot_metrics(replace(session, record=record)), said


def test_the_untouched_encoders_texts_go_on_record(config: RunConfig, catalog: Catalog) -> None:
    record: dict[str, Any] = {}
    figures, said = first_figures(config, catalog, record)
    judged = zero_shot(config, split="val").text
    assert judged is not None
    assert record["zero_shot"]["text"] == judged.to_dict()
    recall = record["zero_shot"]["text"]["captions"]["text_to_image"]["metrics"]["recall_at_5"]["mean"]
    assert figures["text_to_image_recall_at_5"] == recall
    assert said[0].endswith(f"  text_to_image_recall_at_5 {recall:.3f}")
    again, nothing = first_figures(config, catalog, record)
    assert (again, nothing) == (figures, [])


def test_a_record_from_before_there_were_texts_is_read(config: RunConfig, catalog: Catalog) -> None:
    record = {"zero_shot": {"split": "val", "metrics": {"map_at_r": {"mean": 0.5, "low": None, "high": None}}}}
    assert first_figures(config, catalog, record) == ({"map_at_r": 0.5, "balanced": 0.5}, [])


@pytest.mark.parametrize(("kind", "told"), [("few queries", 0), ("single group", 0), ("lone queries", 1)])
def test_a_small_split_is_told_once(make_config: MakeConfig, catalog: Catalog, kind: str, told: int) -> None:
    _, said = first_figures(make_config(), catalog, {"conflicts": [{"kind": kind}]})
    assert sum(line.startswith("val is small") for line in said) == told


def test_distractors_are_on_record_and_told(make_config: MakeConfig, catalog: Catalog) -> None:
    record: dict[str, Any] = {}
    evaluation = {"bootstrap_draws": 100, "distractors": "train"}
    _, said = first_figures(make_config(evaluation=evaluation), catalog, record)
    val, test = (len(catalog.rows_of([split])) for split in ("val", "test"))
    assert (record["zero_shot"]["gallery"], record["zero_shot"]["distractors"]) == (max(val, test), max(0, test - val))
    assert record["zero_shot"]["queries"] <= val
    assert any(f"{test} images, {test - val} of them distractors from train" in line for line in said)
