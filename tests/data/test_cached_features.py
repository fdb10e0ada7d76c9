"""Features that a frozen network computed once: which of them a batch holds, and the views they are of."""

# Shapes: N training images, M versions of each, F features.

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simtrain.data.batch import Draw
from simtrain.data.cached_features import AugmentedImages, CachedData, CachedImages, CachedViews
from simtrain.data.presets import PRESETS
from simtrain.data.samplers import WHOLE, EpochBatches, shuffled_plan
from simtrain.data.transforms import PartViews, view_seed
from simtrain.encoders.preprocessing import Preprocessing

ROWS = np.array([2, 3, 5, 7, 11, 13])
SQUARE = Preprocessing(
    image_size=16, resize="pad", interpolation="bilinear", mean=(0, 0, 0), std=(1, 1, 1), flip_averaging=False
)


def cached(*, versions: int, views: int, seed: int = 0) -> CachedViews:
    """The feature of version v of row r is the number 100 r + v."""
    numbers = torch.tensor([[100.0 * row + version for version in range(versions)] for row in ROWS])
    labels = np.arange(20) * 2
    return CachedViews(features=numbers[:, :, None], rows=ROWS, labels=labels, views=views, seed=seed)


def draws(rows: list[tuple[int, ...]], *, epoch: int = 0, position: int = 0) -> list[Draw]:
    return [Draw(rows=row, epoch=epoch, position=position + place) for place, row in enumerate(rows)]


def test_a_batch_holds_the_features_labels_and_rows_of_its_draws() -> None:
    batch = cached(versions=1, views=1).__getitems__(draws([(5,), (2,), (5,)]))
    assert batch.views.tolist() == [[[500.0]], [[200.0]], [[500.0]]]
    assert batch.labels.tolist() == [10, 4, 10]
    assert batch.rows.tolist() == [[5], [2], [5]]


def test_two_images_of_a_group_are_two_views() -> None:
    batch = cached(versions=1, views=2).__getitems__(draws([(7, 3), (11, 13)]))
    assert batch.views[..., 0].tolist() == [[700.0, 300.0], [1100.0, 1300.0]]
    assert batch.labels.tolist() == [14, 22]


def test_two_views_of_an_image_are_different_versions_of_it_all_equally_often() -> None:
    views, pairs = cached(versions=3, views=2), Counter[tuple[int, int]]()
    for epoch in range(200):
        batch = views.__getitems__(draws([(2,), (3,), (5,)], epoch=epoch))
        assert batch.rows.tolist() == [[2, 2], [3, 3], [5, 5]]
        versions = (batch.views[..., 0] % 100).long()
        pairs.update(tuple(pair) for pair in versions.tolist())
        assert ((batch.views[..., 0] // 100).long() == batch.rows).all()
    assert set(pairs) == {(one, other) for one in range(3) for other in range(3) if one != other}
    assert min(pairs.values()) > 600 / 6 * 0.6


def test_versions_of_views_are_drawn_equally_often_and_differ_by_seed_and_epoch() -> None:
    found: dict[int, list[float]] = {}
    for seed in (0, 1):
        views = cached(versions=4, views=1, seed=seed)
        found[seed] = [
            float(view)
            for epoch in range(100)
            for view in views.__getitems__(draws([(2,)] * 4, epoch=epoch)).views.flatten()
        ]
    assert found[0] != found[1]
    assert found[0][:4] != found[0][4:8]
    assert min(Counter(found[0]).values()) > 60  # of 100 each


def test_a_batch_is_the_same_whatever_came_before_it() -> None:
    views = cached(versions=4, views=2)
    wanted = draws([(2,), (13,)], epoch=3, position=6)
    first = views.__getitems__(wanted).views
    views.__getitems__(draws([(5,), (7,)], epoch=3, position=8))
    assert torch.equal(views.__getitems__(wanted).views, first)


def test_more_views_than_versions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^features: 1 versions of an image; allowed: 2 views or more$"):
        cached(versions=1, views=2).__getitems__(draws([(2,)]))


def test_loaders_give_the_batches_of_the_plan_and_the_validation_images_in_order() -> None:
    plan = shuffled_plan(ROWS, batch_size=2, seed=4)
    features = torch.arange(10.0).reshape(5, 2, 1)
    data = CachedData(
        training=cached(versions=1, views=1),
        batches=EpochBatches(plan=plan, share=WHOLE),
        validation=CachedImages(features=features),
        validation_size=5,
        evaluation_batch_size=2,
    )
    loader = data.train_dataloader()
    for epoch in range(2):
        assert [batch.rows[:, 0].tolist() for batch in loader] == [[d.rows[0] for d in b] for b in plan(epoch)]
    batches = list(data.val_dataloader())
    assert [batch.positions.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert torch.equal(torch.cat([batch.pixels for batch in batches]), features)


def test_data_without_validation_has_no_validation_batches() -> None:
    data = CachedData(
        training=cached(versions=1, views=1),
        batches=EpochBatches(plan=shuffled_plan(ROWS, batch_size=2, seed=4), share=WHOLE),
        validation=None,
        validation_size=0,
        evaluation_batch_size=2,
    )
    assert data.val_dataloader() == []


class NoisyImages:
    """A picture of noise for each row."""

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        return np.random.default_rng(row).integers(0, 256, size=(40, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("preset", ["color_sensitive", "affine"])
def test_an_augmented_image_is_a_view_of_training(preset: Any) -> None:
    transform = PartViews(PRESETS[preset], image_size=16)
    reader = NoisyImages()
    for version in (1, 2):
        images = AugmentedImages(images=reader, preprocessing=SQUARE, transform=transform, seed=9, version=version)
        seed = view_seed(seed=9, epoch=version, position=6, view=0)
        side = transform.source_side([seed])
        source = transform.source(reader.read(6, at_least=None), preprocessing=SQUARE, side=side)
        expected = transform(source, seed=seed)
        np.testing.assert_array_equal(images.read(6, at_least=None), expected)
        assert not np.array_equal(images.read(7, at_least=None), expected)
