"""Suspected label errors: planted ones are found, right ones are not, and the score is arithmetic."""

import re
from dataclasses import replace
from math import exp
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simtrain.evaluation.label_errors import LabelledSet, LabelSuspect, LabelSuspects, suspected_labels

NAMES = ("chair", "table", "lamp", "sofa", "bed", "shelf")


def kinds_on_a_sphere(*, per_kind: int, photos: int, seed: int) -> tuple[Tensor, list[int], list[int]]:
    """Unit embeddings (N, 16) around one centre for each name, kinds and products; a product's photos are close."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(len(NAMES), 16))
    kinds, products, rows = [], [], []
    for kind, centre in enumerate(centres):
        for product in range(per_kind):
            of_product = centre + generator.normal(size=16) * 0.6
            for _ in range(photos):
                rows.append(of_product + generator.normal(size=16) * 0.05)
                kinds.append(kind)
                products.append(kind * per_kind + product)
    vectors = torch.tensor(np.array(rows), dtype=torch.float32)
    return torch.nn.functional.normalize(vectors, dim=1), kinds, products


def labelled(embeddings: Tensor, labels: list[int], products: list[int] | None = None) -> LabelledSet:
    return LabelledSet(
        embeddings=embeddings,
        ids=[f"{row:05}" for row in range(len(labels))],
        labels=np.array(labels, dtype=np.int64),
        products=np.array(range(len(labels)) if products is None else products, dtype=np.int64),
        names=NAMES,
    )


def judged(items: LabelledSet, *, neighbours: int = 8, most: int = 1000) -> LabelSuspects:
    return suspected_labels(items, neighbours=neighbours, temperature=0.07, most=most)


def test_planted_wrong_labels_come_first() -> None:
    embeddings, kinds, products = kinds_on_a_sphere(per_kind=60, photos=1, seed=0)
    planted = np.random.default_rng(1).choice(len(kinds), size=18, replace=False).tolist()
    labels = [(kind + 1 + row % 4) % 6 if row in planted else kind for row, kind in enumerate(kinds)]
    found = judged(labelled(embeddings, labels, products), most=18)
    assert {suspect.row for suspect in found.suspects} == set(planted)
    assert all(suspect.suggested == NAMES[kinds[suspect.row]] for suspect in found.suspects)
    assert all(suspect.label == NAMES[labels[suspect.row]] for suspect in found.suspects)
    assert (found.judged, found.unjudged) == (360, 0)


def test_a_wrong_product_is_found_although_its_photos_agree_with_each_other() -> None:
    embeddings, kinds, products = kinds_on_a_sphere(per_kind=12, photos=6, seed=2)
    labels = [(kind + 2) % 6 if product == 30 else kind for kind, product in zip(kinds, products, strict=True)]
    wrong = {row for row, product in enumerate(products) if product == 30}
    told_apart = judged(labelled(embeddings, labels, products), neighbours=5)
    assert {suspect.row for suspect in told_apart.suspects[:6]} == wrong
    taken_as_singles = judged(labelled(embeddings, labels), neighbours=5)
    assert not wrong & {suspect.row for suspect in taken_as_singles.suspects}


def test_right_labels_are_not_suspected() -> None:
    embeddings, kinds, products = kinds_on_a_sphere(per_kind=30, photos=2, seed=3)
    assert judged(labelled(embeddings, kinds, products)).found == 0


def directions(*degrees: float) -> Tensor:
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1).float()


def test_the_score_is_the_difference_of_the_votes_times_how_unusual_it_is() -> None:
    # The last one, a chair, is near two tables (10 and 20 degrees off) and one chair (30 degrees off).
    items = labelled(directions(0, 10, 180, 190, 150, 50, 20), [1, 1, 0, 0, 0, 0, 0])
    votes = [exp(float(np.cos(np.deg2rad(off))) / 0.5) for off in (10, 20, 30)]
    share = (votes[0] + votes[1]) / sum(votes)
    # Of the five chairs, that at 50 degrees has votes for tables too (40 and 50 degrees off; the last one 30).
    others = [exp(float(np.cos(np.deg2rad(off))) / 0.5) for off in (40, 50, 30)]
    usual = (share + (others[0] + others[1]) / sum(others)) / 5
    found = suspected_labels(items, neighbours=3, temperature=0.5, most=5)
    [suspect] = [one for one in found.suspects if one.row == 6]
    assert suspect == LabelSuspect(
        row=6,
        label="chair",
        suggested="table",
        score=pytest.approx((share - (1 - share)) * 0.05 / (0.05 + usual)),
        neighbours=(1, 0),
    )


def test_labels_that_are_mixed_up_all_the_time_are_suspected_less() -> None:
    """Tables and shelves of one look, with one lamp among them."""
    generator = np.random.default_rng(5)
    spots = np.array([[1.0, 0, 0]] * 60 + [[0, 1.0, 0]] * 20) + generator.normal(size=(80, 3)) * 0.05
    labels = [int(code) for code in generator.permutation([1] * 40 + [5] * 20)] + [2] * 20
    labels[0] = 2
    found = judged(labelled(torch.nn.functional.normalize(torch.tensor(spots), dim=1).float(), labels))
    assert found.suspects[0].row == 0
    shelves = [suspect for suspect in found.suspects if suspect.label == "shelf"]
    assert len(shelves) > 5
    assert shelves[0].score < found.suspects[0].score / 2


# Three lamps, among three tables each that are 3, 1 and 1 degrees apart; and two lamps that confirm each other.
AMONG_TABLES = labelled(directions(0, 3, 6, 60, 61, 62, 120, 121, 122, 9, 63, 123, 200, 202), [1] * 9 + [2] * 5)


def test_equal_scores_come_by_closeness_and_then_by_row() -> None:
    found = judged(AMONG_TABLES, neighbours=3)
    assert [suspect.row for suspect in found.suspects[:3]] == [10, 11, 9]
    assert len({round(suspect.score, 6) for suspect in found.suspects[:3]}) == 1


def test_a_label_that_no_other_product_carries_is_not_judged() -> None:
    embeddings = directions(0, 1, 2, 3, 4, 5)
    found = judged(labelled(embeddings, [1, 1, 1, 0, 0, -1], [0, 1, 2, 3, 3, 4]), neighbours=3)
    assert found == LabelSuspects(suspects=(), found=0, judged=3, unjudged=3)


def test_nothing_labelled_is_nothing_judged() -> None:
    found = judged(labelled(torch.eye(3), [-1, -1, -1]))
    assert found.to_dict() == {"suspects": [], "found": 0, "judged": 0, "unjudged": 3}


def test_fewer_images_than_neighbours_will_do_and_chunks_do_not_matter() -> None:
    embeddings, kinds, products = kinds_on_a_sphere(per_kind=3, photos=1, seed=4)
    items = labelled(embeddings, [(kinds[0] + 1) % 6, *kinds[1:]], products)
    whole = suspected_labels(items, neighbours=50, temperature=0.07, most=100)
    assert suspected_labels(items, neighbours=50, temperature=0.07, most=100, chunk_elements=1) == whole
    assert whole.suspects[0].row == 0


def test_a_product_with_many_near_photos_has_one_vote_and_does_not_hide_the_others() -> None:
    # A chair, 200 photos of one table beside it, and three chairs further off: two of the three votes are for chairs.
    embeddings = directions(0, *np.linspace(1, 2, 200).tolist(), 10, 11, 12)
    items = labelled(embeddings, [0, *[1] * 200, 0, 0, 0], [0, *[1] * 200, 2, 3, 4])
    assert 0 not in {suspect.row for suspect in judged(items, neighbours=3).suspects}


def test_suspects_are_counted_beyond_the_number_wanted() -> None:
    found = judged(AMONG_TABLES, neighbours=3, most=1)
    assert (len(found.suspects), found.found) == (1, len(judged(AMONG_TABLES, neighbours=3).suspects))
    assert found.to_dict()["suspects"] == [
        {"row": 10, "label": "lamp", "suggested": "table", "score": found.suspects[0].score, "neighbours": [5, 4, 3]}
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.zeros(2, dtype=np.int64)}, "labels has shape (2,), but ids has 3"),
        ({"products": np.zeros(4, dtype=np.int64)}, "products has shape (4,), but ids has 3"),
        ({"labels": np.array([0, 6, 0])}, "labels has code 6, but names has 6 names"),
        ({"ids": ["a", "b", "a"]}, "query_ids has 'a' more than once; allowed: unique ids"),
    ],
)
def test_wrong_input_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        judged(replace(labelled(torch.eye(3), [0, 0, 1]), **changes))


@pytest.mark.parametrize(("neighbours", "temperature"), [(0, 0.07), (5, 0.0), (5, float("nan"))])
def test_wrong_settings_are_named(neighbours: int, temperature: float) -> None:
    allowed = "1 or more neighbours, and a temperature above 0"
    message = f"neighbours is {neighbours} and temperature {temperature}; allowed: {allowed}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        suspected_labels(labelled(torch.eye(3), [0, 0, 1]), neighbours=neighbours, temperature=temperature, most=1)
