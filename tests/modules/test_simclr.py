"""SimCLR within a training step."""

import pytest
import torch
from tiny_modules import simclr, total
from tiny_training import (
    noise_batch,
)

from simtrain.data.batch import Batch

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
]


def test_simclr_is_low_where_the_views_of_a_sample_agree() -> None:
    module = simclr().eval()
    batch = noise_batch(samples=4, views=1)
    agreeing = Batch(views=batch.views.expand(-1, 2, -1, -1, -1), labels=batch.labels, rows=batch.rows)
    mismatched = Batch(
        views=torch.cat([batch.views, batch.views.roll(1, dims=0)], dim=1), labels=batch.labels, rows=batch.rows
    )
    assert total(module, agreeing) < total(module, mismatched)
