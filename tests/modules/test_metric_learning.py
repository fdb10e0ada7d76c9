"""Losses on labels within a training step."""

import pytest
import torch
from tiny_modules import total, triplet
from tiny_training import (
    noise_batch,
)

from simtrain.data.batch import Batch

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
]


def test_metric_learning_goes_by_the_labels() -> None:
    module = triplet().eval()
    alike = noise_batch(samples=4, views=1)
    alike.views[1], alike.views[3] = alike.views[0], alike.views[2]
    crossed = Batch(views=alike.views, labels=torch.tensor([0, 1, 0, 1]), rows=alike.rows)
    assert total(module, alike) < total(module, crossed)
