"""Sums of losses and their parts."""

import torch

from simtrain.losses.loss_value import LossValue


def test_another_loss_is_added_with_its_weight_and_told_without() -> None:
    weight = torch.tensor(3.0, requires_grad=True)
    first = LossValue(total=2 * weight, parts={"first": torch.tensor(6.0)}, active_share=torch.tensor(0.5), mined=4)
    both = first.plus("second", weight**2, weight=0.25)
    assert both.total.item() == 2 * 3 + 0.25 * 9
    assert {name: part.item() for name, part in both.parts.items()} == {"first": 6.0, "second": 9.0}
    assert not both.parts["second"].requires_grad
    assert (both.active_share, both.mined) == (first.active_share, 4)
    both.total.backward()
    assert weight.grad is not None
    assert weight.grad.item() == 2 + 0.25 * 2 * 3
    assert set(first.parts) == {"first"}
