"""Figures of the encoder before training, on record."""

from pathlib import Path
from typing import Any

import pytest
from recording_console import RecordingConsole
from small_clip_runs import MakeConfig, clip_config, zero_shot

from simtrain.builders import build_encoder, build_text_validation, build_validation
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.runs.zero_shot import zero_shot_figures


@pytest.fixture
def config(make_config: MakeConfig, clip_model: Path) -> RunConfig:
    return clip_config(make_config, clip_model)


def first_figures(config: RunConfig, catalog: Catalog, record: dict[str, Any]) -> tuple[dict[str, float], list[str]]:
    encoder, said = build_encoder(config.encoder, load=True), list[str]()
    task = build_validation(config, catalog)
    figures = zero_shot_figures(
        config,
        open_images(catalog, smallest=encoder.preprocessing.image_size).reader,
        encoder,
        task,
        record,
        texts=build_text_validation(config, catalog, task),
        console=RecordingConsole(on_line=said.append),
    )
    return figures, said


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
    assert first_figures(config, catalog, record) == ({"map_at_r": 0.5}, [])
