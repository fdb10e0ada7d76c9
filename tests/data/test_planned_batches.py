"""Draws of planned batches, and the batches that earlier versions made."""

import hashlib

import numpy as np
import pytest

from simtrain.data.batch import Draw
from simtrain.data.planned_batches import EpochPlan, PlannedBatches
from simtrain.data.samplers import grouped_plan, paired_plan

ROWS = np.array([[[5, 6], [7, 8]], [[9, 10], [11, 12]]])


def test_draws_number_the_samples_of_an_epoch_through() -> None:
    assert list(PlannedBatches(ROWS, epoch=4)) == [
        [Draw(rows=(5, 6), epoch=4, position=0), Draw(rows=(7, 8), epoch=4, position=1)],
        [Draw(rows=(9, 10), epoch=4, position=2), Draw(rows=(11, 12), epoch=4, position=3)],
    ]


def test_batches_are_taken_from_either_end_and_in_slices() -> None:
    batches = PlannedBatches(ROWS, epoch=0)
    assert len(batches) == 2
    assert batches[-1] == batches[1] == batches[1:][0]


def test_a_batch_beyond_the_last_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        PlannedBatches(ROWS, epoch=0)[2]


def test_a_plan_gives_the_rows_of_its_epoch() -> None:
    plan = EpochPlan(batches=2, samples=2, rows=lambda epoch: ROWS + epoch)
    assert [draw.rows for draw in plan(3)[0]] == [(8, 9), (10, 11)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("paired", "9ce32d2d66d44954"), ("grouped", "b57a0245350fe611")],
)
def test_batches_are_those_that_were_drawn_one_by_one(kind: str, expected: str) -> None:
    sizes = np.random.default_rng(7).integers(1, 9, size=60)
    ends = np.cumsum(sizes)
    groups = {group: np.arange(end - size, end) for group, (size, end) in enumerate(zip(sizes, ends, strict=True))}
    within = {group: group % 3 for group in groups}
    if kind == "paired":
        plan = paired_plan(groups, pairs_per_batch=7, within=None, seed=3)
    else:
        plan = grouped_plan(groups, groups_per_batch=4, images_per_group=3, within=within, seed=3)
    drawn = [[list(draw.rows) for batch in plan(epoch) for draw in batch] for epoch in range(3)]
    assert hashlib.sha256(str(drawn).encode()).hexdigest()[:16] == expected
