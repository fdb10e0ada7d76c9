"""The texts of a task, read once: what is there, its scores against brute force, and its values query by query."""

# Shapes: N images, M texts, D features.

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.metrics import top_k_accuracy_score
from tiny_training import catalog_of
from torch import Tensor

from simtrain.errors import CatalogError, ConfigError
from simtrain.evaluation.text_task import TextTasks, text_tasks

FOLDER = Path("shop")
ALL = np.arange(40)


class Hashed:
    """A text encoder that draws a vector for each text, and counts how many it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        self.asked += texts
        seeds = [sum(ord(letter) * 31**place for place, letter in enumerate(text)) % 2**31 for text in texts]
        drawn = [torch.randn(6, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return F.normalize(torch.stack(drawn), dim=1)


def images_and_codes() -> tuple[Tensor, NDArray[np.int64]]:
    codes = np.random.default_rng(1).integers(0, 12, size=40)
    codes[:12] = np.arange(12)
    return F.normalize(torch.randn(40, 6, generator=torch.Generator().manual_seed(2)), dim=1), codes


def captioned(codes: NDArray[np.int64]) -> TextTasks:
    catalog = catalog_of(FOLDER, caption=[f"mug {code:02}" for code in codes], label=["mug"] * len(codes))
    task = text_tasks(catalog, ALL, captions="{caption}", templates=["a {label}"])
    assert task is not None
    return task


def test_recalls_of_captions_equal_brute_force() -> None:
    images, codes = images_and_codes()
    encoder = Hashed()
    found = captioned(codes).query_scores(images, encoder).means()
    texts = Hashed().embed_texts([f"mug {code:02}" for code in range(12)])
    similarities = (texts @ images.T).numpy()
    for k in (1, 5, 10):
        hits = [(codes[np.argsort(-row)[:k]] == code).any() for code, row in enumerate(similarities)]
        assert found[f"text_to_image_recall_at_{k}"] == pytest.approx(np.mean(hits))
        right = top_k_accuracy_score(codes, similarities.T, k=k, labels=np.arange(12))
        assert found[f"image_to_text_recall_at_{k}"] == pytest.approx(right)


def test_precision_of_captions_equals_brute_force() -> None:
    images, codes = images_and_codes()
    texts = Hashed().embed_texts([f"mug {code:02}" for code in range(12)])
    expected = []
    for code, row in enumerate((texts @ images.T).numpy()):
        right = codes[np.argsort(-row)] == code
        count = right.sum()
        expected.append(sum(right[: place + 1].mean() for place in range(count) if right[place]) / count)
    assert captioned(codes).query_scores(images, Hashed()).means()["text_to_image_map_at_r"] == pytest.approx(
        np.mean(expected)
    )


def test_scores_have_the_names_that_a_run_can_be_monitored_by() -> None:
    images, codes = images_and_codes()
    assert list(captioned(codes).query_scores(images, Hashed()).means()) == [
        "text_to_image_map_at_r",
        "text_to_image_recall_at_1",
        "text_to_image_recall_at_5",
        "text_to_image_recall_at_10",
        "image_to_text_recall_at_1",
        "image_to_text_recall_at_5",
        "image_to_text_recall_at_10",
    ]


def test_scores_are_the_means_of_the_values_per_query() -> None:
    images, codes = images_and_codes()
    task = captioned(codes)
    values = task.query_scores(images, Hashed()).values()
    assert [len(values[name]) for name in ("text_to_image_recall_at_1", "image_to_text_recall_at_1")] == [12, 40]
    assert task.query_scores(images, Hashed()).means() == {
        name: pytest.approx(found.mean()) for name, found in values.items()
    }


def test_each_different_text_is_embedded_once_each_time() -> None:
    images, codes = images_and_codes()
    task, encoder = captioned(codes), Hashed()
    task.query_scores(images, encoder).means()
    assert encoder.asked == [f"mug {code:02}" for code in range(12)]
    task.query_scores(images, encoder).means()
    assert len(encoder.asked) == 24


def test_classes_are_scored_where_there_are_no_captions() -> None:
    images, codes = images_and_codes()
    catalog = catalog_of(FOLDER, label=[f"mug {code:02}" for code in codes])
    task = text_tasks(catalog, ALL, captions="{caption}", templates=["{label}"])
    assert task is not None
    assert task.captions is None
    assert task.query_scores(images, Hashed()).means() == captioned(codes).query_scores(images, Hashed()).means()


@pytest.mark.parametrize(("captions", "templates"), [("{caption}", ["{label}", "a {label}"]), (None, [])])
def test_without_a_text_there_is_no_task(captions: str | None, templates: list[str]) -> None:
    catalog = catalog_of(FOLDER, product=["p", "q"])
    assert text_tasks(catalog, np.arange(2), captions=captions, templates=templates) is None


def test_texts_of_other_rows_do_not_count() -> None:
    catalog = catalog_of(FOLDER, caption=["red", None], label=["mug", "mug"])
    task = text_tasks(catalog, np.array([1]), captions="{caption}", templates=["{label}"])
    assert task is not None
    assert task.captions is None


def test_a_text_of_one_product_is_drawn_with_it() -> None:
    # "both" is of two products; the last image is of none.
    catalog = catalog_of(FOLDER, product=["p", "q", "q", None], caption=["both", "both", "one", "alone"])
    task = text_tasks(catalog, np.arange(4), captions="{caption}", templates=[])
    assert task is not None
    found = task.query_scores(images_and_codes()[0][:4], Hashed()).clusters()
    alone, both, one = found["text_to_image_recall_at_5"].tolist()
    assert found["image_to_text_recall_at_5"].tolist() == [0, 1, 1, alone]
    assert one == 1
    assert both not in {0, 1, alone}


@pytest.mark.parametrize(
    ("captions", "templates", "message"),
    [
        (
            "{captoin}",
            [],
            "captions: shop/catalog.parquet: no column 'captoin', which the template '{captoin}' needs; "
            "did you mean 'caption'?",
        ),
        (
            None,
            ["a {label}", "{lable}"],
            "label_templates: shop/catalog.parquet: no column 'lable', which the template '{lable}' needs; "
            "did you mean 'label'?",
        ),
    ],
)
def test_a_misspelt_column_is_told_even_where_nothing_is_filled_in(
    captions: str | None, templates: list[str], message: str
) -> None:
    catalog = catalog_of(FOLDER, product=["p", "q"])
    with pytest.raises(CatalogError, match=f"^{re.escape(message)}$"):
        text_tasks(catalog, np.arange(2), captions=captions, templates=templates)


def test_a_broken_template_is_told_even_where_nothing_is_filled_in() -> None:
    catalog = catalog_of(FOLDER, product=["p", "q"])
    with pytest.raises(ConfigError, match=r"^label_templates: template 'photo': has no column; write"):
        text_tasks(catalog, np.arange(2), captions=None, templates=["{label}", "photo"])
