"""Loaders of a run, and their place in an epoch."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from tiny_training import SIZE, Shop, draw_shop

from simtrain.data.batch import Batch
from simtrain.data.datamodule import position_in_epoch
from simtrain.data.presets import PRESETS
from simtrain.data.transforms import PartViews
from simtrain.data.view_plans import joined_pictures


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return draw_shop(tmp_path_factory.mktemp("shop"))


def trainer(*, ready: int, processed: int, batches: int) -> Any:
    epochs = SimpleNamespace(current=SimpleNamespace(ready=ready, processed=processed))
    loop = SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(processed=batches)))
    return cast(Any, SimpleNamespace(fit_loop=SimpleNamespace(epoch_progress=epochs, epoch_loop=loop)))


def rows(loader: Any) -> list[list[int]]:
    return [batch.rows[:, 0].tolist() for batch in loader]


@pytest.mark.parametrize(
    ("ready", "processed", "batches", "expected"),
    [(1, 0, 0, (0, 0)), (3, 2, 5, (2, 5)), (3, 3, 8, (3, 0))],
    ids=["begun", "within the third epoch", "between two epochs"],
)
def test_the_place_is_where_training_is_and_not_where_loading_is(
    ready: int, processed: int, batches: int, expected: tuple[int, int]
) -> None:
    found = position_in_epoch(trainer(ready=ready, processed=processed, batches=batches))
    assert (found["epoch"], found["batch"]) == expected


def test_without_a_trainer_there_is_no_place(shop: Shop) -> None:
    assert position_in_epoch(None) == {}
    data = shop.data()
    data.load_state_dict({})
    assert len(rows(data.train_dataloader())) == 4


def test_an_epoch_is_gone_on_with_at_its_batch(shop: Shop) -> None:
    whole, rest = shop.data(), shop.data()
    first, second = rows(whole.train_dataloader()), rows(whole.train_dataloader())
    assert sorted(row for batch in first for row in batch) == list(range(16))
    rest.load_state_dict({"epoch": 0, "batch": 2})
    assert rows(rest.train_dataloader()) == first[2:]
    assert rows(rest.train_dataloader()) == second


def test_views_are_made_once_a_batch_is_where_the_network_is(shop: Shop) -> None:
    data, pictures = shop.data(), [[np.full((SIZE, SIZE, 3), 9, dtype=np.uint8)]]
    plan = PartViews(PRESETS["affine"], image_size=SIZE).plan(pictures, [[1, 2]])
    planned = Batch(views=joined_pictures(pictures), labels=torch.zeros(1), rows=torch.zeros(1, 2), plan=plan)
    assert data.on_after_batch_transfer(planned, 0).views.shape == (1, 2, SIZE, SIZE, 3)
    validated = next(iter(data.val_dataloader()))
    assert data.on_after_batch_transfer(validated, 0) is validated


def test_validation_images_come_in_their_order(shop: Shop) -> None:
    positions = [batch.positions.tolist() for batch in shop.data().val_dataloader()]
    assert positions == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert shop.data(validate=False).val_dataloader() == []
