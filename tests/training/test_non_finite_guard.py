"""Runs end before a loss or a gradient that is not finite reaches the weights, with the images named."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typing_extensions import override
from watched_points import PointModule, Points, batch_hard, fit_points

from simtrain.builders.objective import SETTING_NAMES
from simtrain.training.non_finite_guard import FailedStep, NonFiniteError, NonFiniteGuard, non_finite_message

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]


@pytest.fixture(autouse=True)
def silent_lightning() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


def message(embeddings: Tensor, *, loss: float = float("nan"), rows: list[int] | None = None) -> str:
    rows = rows if rows is not None else [4, 5, 6, 4, 5, 6]
    failed = FailedStep(loss=loss, embeddings=embeddings, rows=rows, step=12, epoch=3)
    return non_finite_message(failed, item_id=lambda row: f"i{row}", names=SETTING_NAMES)


def test_the_images_whose_embeddings_are_not_finite_are_named() -> None:
    embeddings = torch.ones(6, 2)
    embeddings[1, 0], embeddings[4, 1] = float("nan"), float("inf")
    assert message(embeddings) == (
        "training diverged: the loss is nan in step 12 of epoch 3, because embeddings are not finite: i5\n"
        "look at these images; if nothing is wrong with them, set a smaller optimizer.learning_rate"
    )


def test_a_loss_of_finite_embeddings_names_the_batch() -> None:
    assert message(torch.ones(6, 2), loss=float("inf")) == (
        "training diverged: the loss is inf in step 12 of epoch 3, though every embedding is finite "
        "(batch: i4, i5, i6)\n"
        "set a smaller optimizer.learning_rate, or a larger objective.temperature where there is one"
    )


def test_spoilt_weights_are_told_from_spoilt_images() -> None:
    assert message(torch.full((6, 2), float("nan"))) == (
        "training diverged: the loss is nan in step 12 of epoch 3, and no embedding is finite (batch: i4, i5, i6)\n"
        "the weights themselves are spoilt: set a smaller optimizer.learning_rate, or trainer.precision: 32-true"
    )


def test_of_many_images_eight_are_named_and_the_others_counted() -> None:
    told = message(torch.ones(40, 2), rows=[*range(20), *range(20)])
    assert "(batch: i0, i1, i2, i3, i4, i5, i6, i7 and 12 more)" in told


class SpoilsAGradient(PointModule):
    @override
    def on_after_backward(self) -> None:
        if self.global_step == 2:
            assert self.network[2].bias.grad is not None
            self.network[2].bias.grad[0] = float("nan")


def test_a_gradient_that_is_no_number_never_reaches_the_weights(tmp_path: Path) -> None:
    module = SpoilsAGradient(batch_hard, learning_rate=0.1)
    points = Points(groups=2, per_group=2, blur=0.5, batches=5)
    watcher = NonFiniteGuard(item_id=lambda row: f"i{row}", names=SETTING_NAMES)
    with pytest.raises(NonFiniteError) as raised:
        fit_points(module, points, tmp_path, callbacks=[watcher])
    assert str(raised.value) == (
        "training diverged: the gradient of network.2.bias is not finite in step 3 of epoch 1 (batch: i0, i1, i2, i3)\n"
        "set a smaller optimizer.learning_rate, or trainer.precision: 32-true"
    )
    assert all(torch.isfinite(weights).all() for weights in module.parameters())
