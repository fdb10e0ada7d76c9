"""Parts of a batch, one after another, that teach what the whole does."""

import pytest
import torch
from tiny_training import TinyEncoder, noise_batch, simclr_settings, training_settings

from simtrain.modules.simclr import SimCLRModule


@pytest.mark.parametrize("micro", [1, 3, 8])
def test_parts_of_a_batch_give_the_gradients_of_the_whole(micro: int) -> None:
    gradients = []
    for size in (None, micro):
        torch.manual_seed(5)
        module = SimCLRModule(
            objective=simclr_settings(),
            encoder=TinyEncoder(seed=1),
            head=None,
            settings=training_settings(freeze_batch_norm=True, micro_batch_size=size),
            validation=None,
        ).train()
        module.loss(module.gather_batch(noise_batch(samples=5, views=2))).total.backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in module.encoder.parameters()]))
    assert (gradients[1] - gradients[0]).norm() < 1e-5 * gradients[0].norm()


def test_parts_draw_the_same_dropout_twice() -> None:
    """The gradient of a network with dropout belongs to the loss that was computed."""
    module = SimCLRModule(
        objective=simclr_settings(),
        encoder=TinyEncoder(seed=1, dropout=0.5),
        head=None,
        settings=training_settings(freeze_batch_norm=True, micro_batch_size=4),
        validation=None,
    ).train()
    weight, batch = module.encoder.network[4].bias, noise_batch(samples=4, views=2)

    def loss() -> torch.Tensor:
        torch.manual_seed(7)
        return module.loss(module.gather_batch(batch)).total

    loss().backward()
    slope = weight.grad[0].item()
    with torch.no_grad():
        weight[0] += 1e-2
        above = loss().item()
        weight[0] -= 2e-2
        below = loss().item()
    assert (above - below) / 2e-2 == pytest.approx(slope, rel=2e-2)
