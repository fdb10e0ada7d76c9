"""Words against images: figures of tiny shops by hand, and of random ones against loops and other libraries."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from small_texts import EAST, FOLDER, NORTH, SOUTH, Dictionary, caption_scores, judged, random_units
from tiny_training import catalog_of
from torchmetrics.functional.classification import multiclass_accuracy

from simtrain.evaluation.text_prompts import label_prompts
from simtrain.evaluation.text_retrieval import TextSet


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
