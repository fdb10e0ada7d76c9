"""Judging encoders by texts: before training, after it, and against the start of a run."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from recording_console import RecordingConsole
from sentence_transformers import SentenceTransformer
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from small_clip_runs import MakeConfig, clip_config, zero_shot

from simtrain.builders.encoder import build_encoder
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog, write_catalog
from simtrain.commands.evaluate import evaluate
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.encoders.base import Encoder
from simtrain.errors import CatalogError, ConfigError, SimtrainError
from simtrain.runs.evaluation import embed_rows

Item = TypeVar("Item")


@pytest.fixture
def config(make_config: MakeConfig, clip_model: Path) -> RunConfig:
    return clip_config(make_config, clip_model)


def with_captions(catalog: Catalog, folder: Path, captions: Sequence[str | None]) -> str:
    """A copy of the catalogue whose captions are these, over and over."""
    folder.mkdir()
    column = [captions[row % len(captions)] for row in range(len(catalog.rows))]
    write_catalog(Catalog(rows=catalog.rows.assign(caption=column), root=catalog.root, folder=folder))
    return str(folder)


def embedded(encoder: Encoder, catalog: Catalog, config: RunConfig) -> NDArray[np.float32]:
    images = open_images(catalog, smallest=encoder.preprocessing.image_size).reader
    rows = catalog.rows_of(["test"]).tolist()
    return embed_rows(encoder, images, rows, config=config, console=SILENT).numpy()


def test_captions_are_judged_as_plain_sentence_transformers_would(
    config: RunConfig, catalog: Catalog, clip_model: Path
) -> None:
    found = zero_shot(config).text
    assert found is not None
    assert found.captions is not None
    told = catalog.rows["caption"].iloc[catalog.rows_of(["test"])].to_numpy()
    texts = sorted(set(told))
    vectors = SentenceTransformer(str(clip_model), device="cpu").encode(texts, normalize_embeddings=True)
    similarities = vectors @ embedded(build_encoder(config.encoder, load=True), catalog, config).T
    for k in (1, 5, 10):
        hits = [text in told[np.argsort(-row)[:k]] for text, row in zip(texts, similarities, strict=True)]
        assert found.captions.text_to_image.metrics[f"recall_at_{k}"].mean == pytest.approx(np.mean(hits))
        nearest = np.argsort(-similarities.T)[:, :k]
        hits = [text in np.array(texts)[row] for text, row in zip(told, nearest, strict=True)]
        assert found.captions.image_to_text.metrics[f"recall_at_{k}"].mean == pytest.approx(np.mean(hits))


def test_classes_are_told_apart_by_the_mean_of_their_prompts(
    config: RunConfig, catalog: Catalog, clip_model: Path
) -> None:
    found = zero_shot(config).text
    assert found is not None
    assert found.labels is not None
    told = catalog.rows["label"].iloc[catalog.rows_of(["test"])].to_numpy()
    names = np.array(sorted(set(told)))
    plain = SentenceTransformer(str(clip_model), device="cpu")
    prompts = [
        plain.encode([template.format(label=name) for name in names], normalize_embeddings=True)
        for template in ("a photo of a {label}", "a product photo of a {label}", "{label}")
    ]
    images = embedded(build_encoder(config.encoder, load=True), catalog, config)
    ensemble = np.mean(prompts, axis=0)
    ensemble /= np.linalg.norm(ensemble, axis=1, keepdims=True)
    guessed = names[(images @ ensemble.T).argmax(axis=1)]
    assert found.labels.zero_shot["accuracy"].mean == pytest.approx(accuracy_score(told, guessed))
    assert found.labels.zero_shot["mean_class_accuracy"].mean == pytest.approx(balanced_accuracy_score(told, guessed))


def test_images_are_embedded_once_for_images_and_texts(config: RunConfig) -> None:
    console = RecordingConsole()
    shutil.rmtree(Path(config.catalog) / "embeddings", ignore_errors=True)  # of other tests
    evaluate(config, run=None, split="test", alpha=None, console=console)
    assert console.descriptions == ["embedding images"]


def test_an_encoder_without_words_has_no_figures_of_texts(make_config: MakeConfig) -> None:
    report = zero_shot(make_config(encoder={"kind": "pixels"}, evaluation={"bootstrap_draws": 100}))
    assert (report.to_dict()["text"], report.to_dict()["kept"], report.not_evaluated) == (None, None, [])


def test_a_column_without_values_is_skipped_and_told(
    make_config: MakeConfig, clip_model: Path, catalog: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = with_captions(catalog, tmp_path / "shop", [None])
    report = zero_shot(clip_config(make_config, clip_model, catalog=shop))
    assert report.text is not None
    assert report.text.captions is None
    assert report.text.labels is not None
    print(report)
    screen = capsys.readouterr().out
    assert "\ncaptions: no image has a value of caption\n" in screen
    assert "classes   text_to_image_map_at_r " in screen


def test_without_any_text_both_are_told(
    make_config: MakeConfig, clip_model: Path, catalog: Catalog, tmp_path: Path
) -> None:
    shop = with_captions(catalog, tmp_path / "shop", [None])
    judged = {"bootstrap_draws": 100, "label_templates": ["a {caption} {label}"]}
    report = zero_shot(clip_config(make_config, clip_model, catalog=shop, evaluation=judged))
    assert report.text is None
    assert report.not_evaluated == [
        "captions: no image has a value of caption",
        "classes: no image has a value of caption + label",
    ]


def test_what_is_not_asked_for_is_not_missed(make_config: MakeConfig, clip_model: Path) -> None:
    judged = {"bootstrap_draws": 100, "label_templates": [], "captions": None}
    report = zero_shot(clip_config(make_config, clip_model, evaluation=judged))
    assert (report.text, report.not_evaluated) == (None, [])


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        (
            {"captions": "{captoin}"},
            CatalogError,
            "evaluation.captions: SHOP/catalog.parquet: no column 'captoin', which the template '{captoin}' needs; "
            "did you mean 'caption'?",
        ),
        (
            {"label_templates": ["a {label}", "a {"]},
            ConfigError,
            "evaluation.label_templates: template 'a {': Single '{' encountered in format string; write a column as "
            "{label}, and a brace that is meant as one twice",
        ),
    ],
)
def test_a_wrong_template_is_told_before_anything_is_opened(
    make_config: MakeConfig, catalog: Catalog, asked: dict[str, Any], error: type[SimtrainError], message: str
) -> None:
    config = clip_config(make_config, Path("/no/such/model"), evaluation=asked)
    with pytest.raises(error) as caught:
        zero_shot(config)
    assert str(caught.value) == message.replace("SHOP", str(catalog.folder))


def test_long_and_missing_captions_are_counted(
    make_config: MakeConfig, clip_model: Path, catalog: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = with_captions(catalog, tmp_path / "shop", ["a red mug", "mug " * 100, None])
    print(zero_shot(clip_config(make_config, clip_model, catalog=shop)))
    without = catalog.rows_of(["test"]) % 3 == 2
    screen = capsys.readouterr().out.splitlines()
    assert "captions: 1 texts are longer than the 77 tokens that the encoder reads and are truncated" in screen
    assert f"captions: {without.sum()} gallery images without a caption count as irrelevant" in screen
