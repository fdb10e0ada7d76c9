"""Words against images: figures of tiny shops by hand, and of random ones against loops and other libraries."""

# Shapes: N images, M texts, C classes, D features.

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from tiny_training import catalog_of
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy

from simtrain.catalog.table import Catalog
from simtrain.errors import CatalogError, ConfigError, SimtrainError
from simtrain.evaluation.statistics import cluster_bootstrap_interval
from simtrain.evaluation.text_figures import TextEvaluation, judge_text
from simtrain.evaluation.text_prompts import distinct, embed_prompts, label_prompts, template_columns, texts_of
from simtrain.evaluation.text_retrieval import TextSet
from simtrain.evaluation.text_task import TextScores, text_task

FOLDER = Path("shop")
NORTH, EAST, SOUTH = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


class Dictionary:
    """A text encoder that knows some texts by heart, and says which it was asked for."""

    def __init__(self, known: Mapping[str, Sequence[float]]) -> None:
        self.known = known
        self.asked: list[str] = []

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        self.asked += texts
        return F.normalize(torch.tensor([list(self.known[text]) for text in texts]).reshape(len(texts), -1), dim=1)


class ShortDictionary(Dictionary):
    """One that reads four letters."""

    longest_text = 4

    def truncated(self, texts: Sequence[str]) -> list[int]:
        return [place for place, text in enumerate(texts) if len(text) > self.longest_text]


def random_units(rows: int, *, seed: int) -> Tensor:
    return F.normalize(torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


def judged(
    catalog: Catalog,
    images: Tensor,
    encoder: Dictionary,
    *,
    captions: str | None = None,
    templates: Sequence[str] = (),
    rows: Sequence[int] | None = None,
) -> TextEvaluation:
    picked = np.arange(len(catalog.rows)) if rows is None else np.array(rows)
    task = text_task(catalog, picked, captions=captions, templates=templates)
    assert task is not None
    scores = task.every_score(images, encoder)
    return judge_text(task, scores, encoder, draws=200, confidence=0.9, seed=3)


def caption_scores(catalog: Catalog, images: Tensor, encoder: Dictionary) -> TextScores:
    task = text_task(catalog, np.arange(len(catalog.rows)), captions="{caption}", templates=[])
    assert task is not None
    return task.query_scores(images, encoder)


def means(direction: Any) -> dict[str, float]:
    return {name: interval.mean for name, interval in direction.metrics.items()}


def test_captions_find_the_images_that_share_them() -> None:
    # "red" points between its two images, of which the uncaptioned one comes first and costs it the first rank.
    images = F.normalize(torch.tensor([NORTH, [1.0, 0.2], [1.0, 0.1], EAST]), dim=1)
    catalog = catalog_of(FOLDER, caption=["red", "red", None, "blue"])
    found = judged(catalog, images, Dictionary({"red": [1.0, 0.1], "blue": EAST}), captions="{caption}").captions
    assert found is not None
    text_to_image, image_to_text = found.text_to_image, found.image_to_text
    assert (text_to_image.queries, text_to_image.lone_queries, text_to_image.gallery) == (2, 0, 4)
    assert (image_to_text.queries, image_to_text.lone_queries, image_to_text.gallery) == (3, 1, 2)
    # red: wrong, right, right of R = 2, so precision 1/2 at the second rank; blue: right at once.
    expected = {"recall_at_1": 0.5, "recall_at_5": 1.0, "r_precision": 0.75, "map_at_r": 0.625, "mrr": 0.75}
    assert {name: means(text_to_image)[name] for name in expected} == pytest.approx(expected)
    assert set(means(image_to_text).values()) == {1.0}


@pytest.mark.parametrize("seed", [0, 1])
def test_both_directions_equal_pytorch_metric_learning(seed: int) -> None:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 9, size=60)
    words = {f"caption {code}": random_units(1, seed=100 + code)[0].tolist() for code in range(9)}
    images = random_units(60, seed=seed)
    found = caption_scores(catalog_of(FOLDER, caption=[f"caption {code}" for code in codes]), images, Dictionary(words))
    present = torch.unique(torch.from_numpy(codes))
    texts = torch.tensor([words[f"caption {code}"] for code in present])
    calculator = AccuracyCalculator(
        include=("mean_average_precision_at_r", "r_precision", "precision_at_1"),
        k="max_bin_count",
        knn_func=CustomKNN(LpDistance()),
        device=torch.device("cpu"),
    )
    own = {"mean_average_precision_at_r": "map_at_r", "r_precision": "r_precision", "precision_at_1": "recall_at_1"}
    by_text = calculator.get_accuracy(texts, present, images, torch.from_numpy(codes))
    assert {own[name]: value for name, value in by_text.items()} == pytest.approx(
        {name: found.text_to_image.means()[name] for name in own.values()}
    )
    by_image = calculator.get_accuracy(images, torch.from_numpy(codes), texts, present)
    assert {own[name]: value for name, value in by_image.items()} == pytest.approx(
        {name: found.image_to_text.means()[name] for name in own.values()}
    )


def test_captions_that_differ_in_case_and_white_space_are_one() -> None:
    texts, places = distinct(["Red  dress", None, "blue", "red dress ", "BLUE"])
    assert (texts, places.tolist()) == (["Red  dress", "blue"], [0, -1, 1, 0, 1])


def test_each_caption_is_embedded_once() -> None:
    encoder = Dictionary({"red": NORTH, "blue": EAST})
    catalog = catalog_of(FOLDER, caption=["red", "blue", "red", "RED"])
    judged(catalog, torch.tensor([NORTH, EAST, NORTH, NORTH]), encoder, captions="{caption}")
    assert encoder.asked == ["blue", "red"]


def test_a_caption_that_is_the_id_of_an_image_still_finds_it() -> None:
    catalog = catalog_of(FOLDER, id=["red", "blue"], caption=["red", "blue"])
    found = caption_scores(catalog, torch.tensor([NORTH, EAST]), Dictionary({"red": NORTH, "blue": EAST}))
    assert found.text_to_image.means()["recall_at_1"] == 1
    assert found.image_to_text.means()["recall_at_1"] == 1


def test_equal_images_come_in_the_order_of_ids_and_equal_texts_in_that_of_the_alphabet() -> None:
    found = TextSet(
        image_embeddings=torch.tensor([NORTH, NORTH, NORTH]),
        image_ids=["c", "a", "b"],
        image_groups=np.array([0, 1, 2]),
        text_embeddings=torch.tensor([NORTH, NORTH, NORTH]),
        texts=["x y", "x", "y"],
        text_groups=np.array([0, 1, 2]),
    )
    assert found.text_to_image().values["mrr"] == pytest.approx([1 / 3, 1, 1 / 2])
    assert found.image_to_text().values["mrr"] == pytest.approx([1 / 2, 1, 1 / 3])


def test_only_the_rows_of_the_task_take_part() -> None:
    catalog = catalog_of(FOLDER, caption=["red", "blue", "red", "green"])
    encoder = Dictionary({"red": NORTH, "green": EAST})
    found = judged(catalog, torch.tensor([NORTH, EAST]), encoder, captions="{caption}", rows=[2, 3]).captions
    assert found is not None
    assert (found.text_to_image.queries, found.text_to_image.gallery) == (2, 2)
    assert means(found.text_to_image)["recall_at_1"] == 1


def test_zero_shot_equals_torchmetrics() -> None:
    generator = np.random.default_rng(5)
    codes = generator.integers(0, 4, size=80) * generator.integers(0, 2, size=80)  # class 0 is the largest
    labels = np.array(["bag", "dress", "hat", "shoe"])[codes]
    first, second = random_units(4, seed=1), random_units(4, seed=2)
    words = {f"a {name}": first[place].tolist() for place, name in enumerate(["bag", "dress", "hat", "shoe"])}
    words |= {f"{name}!": second[place].tolist() for place, name in enumerate(["bag", "dress", "hat", "shoe"])}
    images = F.normalize(3 * random_units(80, seed=3) + (first + second)[codes], dim=1)
    found = judged(
        catalog_of(FOLDER, label=labels), images, Dictionary(words), templates=["a {label}", "{label}!"]
    ).labels
    assert found is not None
    logits, target = images @ (first + second).T / torch.linalg.vector_norm(first + second, dim=1), torch.tensor(codes)
    micro, macro = (multiclass_accuracy(logits, target, num_classes=4, average=of).item() for of in ("micro", "macro"))
    assert 0.3 < macro < micro < 1 or 0.3 < micro < macro < 1
    assert found.zero_shot["accuracy"].mean == pytest.approx(micro)
    assert found.zero_shot["mean_class_accuracy"].mean == pytest.approx(macro)
    assert found.zero_shot["accuracy"] == found.image_to_text.metrics["recall_at_1"]
    assert means(found.image_to_text)["recall_at_5"] == 1


def test_prompts_are_averaged_on_the_sphere() -> None:
    catalog = catalog_of(FOLDER, label=["hat"])
    prompts = label_prompts(catalog, np.array([0]), ["a {label}", "{label}"])
    assert prompts.texts == (("a hat", "hat"),)
    embedded = embed_prompts(prompts, Dictionary({"a hat": [0.0, 9.0], "hat": [2.0, 0.0]}))
    torch.testing.assert_close(embedded, torch.full((1, 2), 0.5**0.5))  # in the middle, whatever their lengths


def test_images_without_a_class_can_be_found_but_are_not_classified() -> None:
    catalog = catalog_of(FOLDER, label=["hat", None, " ", float("nan"), "bag", "Hat"])
    prompts = label_prompts(catalog, np.arange(6), ["{label}"])
    assert prompts.classes.tolist() == [1, -1, -1, -1, 0, 1]
    images = torch.tensor([NORTH, NORTH, EAST, SOUTH, EAST, NORTH])
    found = judged(catalog, images, Dictionary({"hat": NORTH, "bag": EAST}), templates=["{label}"]).labels
    assert found is not None
    assert (found.text_to_image.queries, found.text_to_image.gallery) == (2, 6)
    assert (found.image_to_text.queries, found.image_to_text.lone_queries) == (3, 3)
    assert found.zero_shot["accuracy"].mean == 1


def test_a_class_may_be_of_several_columns() -> None:
    catalog = catalog_of(FOLDER, label=["hat", "bag", "hat"], colour=["red", "red", None])
    prompts = label_prompts(catalog, np.arange(3), ["{colour} {label}", "a {label}, {colour}"])
    assert prompts.columns == ("colour", "label")
    assert prompts.texts == (("red bag", "a bag, red"), ("red hat", "a hat, red"))
    assert prompts.classes.tolist() == [1, 0, -1]


def test_numbers_are_written_as_people_do() -> None:
    catalog = catalog_of(FOLDER, size=[38.0, float("nan"), 40.5])
    assert texts_of(catalog, np.arange(3), "size {size}") == ["size 38", None, "size 40.5"]


def test_a_column_with_a_dot_and_doubled_braces_are_taken_as_they_are() -> None:
    catalog = catalog_of(FOLDER, **{"a.b": ["x"]})
    assert texts_of(catalog, np.array([0]), "{{{a.b}}}") == ["{x}"]
    assert template_columns("{b} {a} {b}") == ("b", "a")


def test_intervals_draw_products_and_a_text_of_one_product_with_it() -> None:
    # Products p and q; the picture of no product is a cluster of its own; the caption "both" is of two products.
    catalog = catalog_of(FOLDER, product=["p", "p", "q", "q", None], caption=["one", "two", "both", "three", "both"])
    images = random_units(5, seed=7)
    encoder = Dictionary(
        {text: random_units(1, seed=place)[0] for place, text in enumerate(["one", "two", "both", "three"])}
    )
    found = judged(catalog, images, encoder, captions="{caption}").captions
    assert found is not None
    words = caption_scores(catalog, images, encoder)
    for direction, scores, clusters in (
        (found.image_to_text, words.image_to_text, [0, 0, 1, 1, 2]),
        (found.text_to_image, words.text_to_image, [3, 0, 1, 0]),  # both, one, three, two
    ):
        for name, values in scores.values.items():
            expected = cluster_bootstrap_interval(values, np.array(clusters), draws=200, confidence=0.9, seed=3)
            assert direction.metrics[name] == expected


@pytest.mark.parametrize(("kind", "expected"), [(Dictionary, None), (ShortDictionary, 2)])
def test_texts_that_are_cut_are_counted_where_the_encoder_says_so(kind: type[Dictionary], expected: int | None) -> None:
    catalog = catalog_of(FOLDER, caption=["red", "crimson", "crimson", "scarlet"])
    images = torch.tensor([NORTH, EAST, EAST, SOUTH])
    found = judged(catalog, images, kind({"red": NORTH, "crimson": EAST, "scarlet": SOUTH}), captions="{caption}")
    assert found.captions is not None
    assert found.captions.truncated == expected


def test_what_was_not_judged_and_what_cannot_be_told_is_null_in_json() -> None:
    catalog = catalog_of(FOLDER, label=["hat", "hat"], product=["p", "p"])
    images = torch.tensor([NORTH, EAST])
    found = judged(catalog, images, Dictionary({"hat": NORTH}), templates=["{label}"]).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["captions"], found["confidence"]) == (None, 0.9)
    assert found["labels"]["templates"] == ["{label}"]
    assert found["labels"]["zero_shot"]["accuracy"] == {"mean": 1.0, "low": None, "high": None}
    assert found["labels"]["text_to_image"]["queries"] == 1


BRACES = "write a column as {label}, and a brace that is meant as one twice"


@pytest.mark.parametrize(
    ("templates", "error", "message"),
    [
        (
            ["a {lable}"],
            CatalogError,
            "shop/catalog.parquet: no column 'lable', which the template 'a {lable}' needs; did you mean 'label'?",
        ),
        (
            ["a {x}"],
            CatalogError,
            "shop/catalog.parquet: no column 'x', which the template 'a {x}' needs; it has id, path, split, product, "
            "label, caption, query, gallery, duplicate_group, weights",
        ),
        (
            ["{weights}"],
            CatalogError,
            "shop/catalog.parquet: the values of 'weights' cannot be written in a text; take text or numbers",
        ),
        (
            ["a {label}", "{id} {label}"],
            ConfigError,
            "templates 'a {label}' and '{id} {label}' are over different columns; prompts are averaged for each class, "
            "so give all of them the same columns",
        ),
        (["a photo"], ConfigError, f"template 'a photo': no column in it; {BRACES}"),
        (["a {label"], ConfigError, f"template 'a {{label': expected '}}' before end of string; {BRACES}"),
        (["a {}"], ConfigError, f"template 'a {{}}': '{{}}' with more or less than a name; {BRACES}"),
        (["{label:>9}"], ConfigError, f"template '{{label:>9}}': '{{label}}' with more or less than a name; {BRACES}"),
        (["{label!r}"], ConfigError, f"template '{{label!r}}': '{{label}}' with more or less than a name; {BRACES}"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_told(
    templates: Sequence[str], error: type[SimtrainError], message: str
) -> None:
    catalog = catalog_of(FOLDER, label=["hat", "bag"], weights=[[1, 2], [3]])
    with pytest.raises(error, match=f"^evaluation.label_templates: {re.escape(message)}$"):
        judged(catalog, torch.tensor([NORTH, EAST]), Dictionary({}), templates=templates)


def test_a_template_that_no_image_fills_in_is_told() -> None:
    catalog = catalog_of(FOLDER, label=["hat", "bag"])
    message = (
        "shop/catalog.parquet: none of 2 images has a value of product + label, which the template "
        "'a {product} {label}' needs"
    )
    with pytest.raises(CatalogError, match=f"^{re.escape(message)}$"):
        texts_of(catalog, np.arange(2), "a {product} {label}")
