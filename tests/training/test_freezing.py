"""What is frozen does not move, and what is not does."""

import pytest
import torch
from torch import Tensor, nn

from simtrain.training.freezing import hold_batch_norm, set_trainable

KINDS = [
    (nn.BatchNorm1d, (6, 4)),
    (nn.BatchNorm2d, (6, 4, 3, 3)),
    (nn.BatchNorm3d, (6, 4, 2, 2, 2)),
    (nn.SyncBatchNorm, (6, 4)),
]


def shifted(shape: tuple[int, ...]) -> Tensor:
    return 3 + torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_running_statistics_are_held(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    network = nn.Sequential(kind(4)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    hold_batch_norm(network)
    network(shifted(shape))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_running_statistics_move_when_they_are_not_held() -> None:
    network = nn.Sequential(nn.BatchNorm2d(4)).train()
    network(shifted((6, 4, 3, 3)))
    torch.testing.assert_close(network[0].running_mean, 0.1 * shifted((6, 4, 3, 3)).mean(dim=(0, 2, 3)))


def test_a_held_normalisation_uses_its_running_statistics() -> None:
    network = nn.Sequential(nn.BatchNorm1d(4, eps=0.0)).train()
    network[0].running_mean.fill_(1.0)
    network[0].running_var.fill_(4.0)
    hold_batch_norm(network)
    values = shifted((6, 4))
    torch.testing.assert_close(network(values), (values - 1) / 2)


def test_the_weights_of_a_held_normalisation_still_learn() -> None:
    network = nn.Sequential(nn.BatchNorm1d(4)).train()
    hold_batch_norm(network)
    network(shifted((6, 4))).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_other_layers_stay_in_training_mode() -> None:
    network = nn.Sequential(nn.Dropout(), nn.LayerNorm(4), nn.BatchNorm1d(4)).train()
    hold_batch_norm(network)
    assert [layer.training for layer in network] == [True, True, False]


def test_a_frozen_parameter_gets_no_gradient() -> None:
    layer = nn.Linear(3, 2)
    set_trainable([layer.weight], trainable=False)
    layer(torch.ones(1, 3)).sum().backward()
    assert layer.weight.grad is None
    assert layer.bias.grad is not None


def test_freezing_forgets_the_gradient_that_was_there() -> None:
    layer = nn.Linear(3, 2)
    layer(torch.ones(1, 3)).sum().backward()
    set_trainable(layer.parameters(), trainable=False)
    assert layer.weight.grad is None


def test_a_thawed_parameter_gets_a_gradient_again() -> None:
    layer = nn.Linear(3, 2)
    set_trainable(layer.parameters(), trainable=False)
    set_trainable(layer.parameters(), trainable=True)
    layer(torch.ones(1, 3)).sum().backward()
    assert layer.weight.grad is not None


def test_a_frozen_parameter_is_neither_moved_by_momentum_nor_decayed() -> None:
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, weight_decay=0.5)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    before = layer.weight.clone()
    set_trainable(layer.parameters(), trainable=False)
    optimizer.step()
    assert torch.equal(layer.weight, before)
