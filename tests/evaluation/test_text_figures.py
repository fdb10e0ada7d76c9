"""Figures of texts with intervals over products."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from small_texts import EAST, FOLDER, NORTH, SOUTH, Dictionary, caption_scores, judged, random_units
from tiny_training import catalog_of

from simtrain.evaluation.statistics import BootstrapSettings, cluster_bootstrap_interval


class ShortDictionary(Dictionary):
    """One that reads four letters."""

    longest_text = 4

    def truncated(self, texts: Sequence[str]) -> list[int]:
        return [place for place, text in enumerate(texts) if len(text) > self.longest_text]


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
            expected = cluster_bootstrap_interval(
                values, np.array(clusters), bootstrap=BootstrapSettings(draws=200, confidence=0.9, seed=3)
            )
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
