"""The running average of the weights against the same average computed number by number."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from simtrain.training.ema import WeightAverage


def network(*, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


def move(changing: nn.Module, *, seed: int) -> None:
    """Stands for an optimizer's step: every weight and statistic is somewhere else afterwards."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in [*changing.parameters(), *changing.buffers()]:
            if value.is_floating_point():
                value.add_(torch.randn(value.shape, generator=generator))
            else:
                value.add_(1)


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("decay", [0.9, 0.3])
def test_weights_and_statistics_are_averaged_with_a_decay_that_grows(decay: float) -> None:
    learning = network()
    average = WeightAverage(learning, decay=decay)
    expected = {name: value.double() for name, value in copied(learning).items()}
    for step in range(1, 21):
        move(learning, seed=step)
        average.update(learning, step=step)
        kept = min(decay, (1 + step) / (10 + step))
        for name, value in learning.state_dict().items():
            expected[name] = kept * expected[name] + (1 - kept) * value.double()
    for name, value in average.encoder.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-5)


def test_the_first_steps_soon_forget_what_was_before() -> None:
    learning = network()
    before = learning[0].weight.detach().clone()
    average = WeightAverage(learning, decay=0.9999)
    move(learning, seed=1)
    average.update(learning, step=1)
    torch.testing.assert_close(average.encoder[0].weight, (2 * before + 9 * learning[0].weight.detach()) / 11)


def test_counts_are_taken_over() -> None:
    learning = network()
    average = WeightAverage(learning, decay=0.9)
    learning[1].num_batches_tracked.fill_(7)
    average.update(learning, step=1)
    assert average.encoder[1].num_batches_tracked.item() == 7


def test_masks_are_taken_over() -> None:
    """The mean of two infinities would be no number."""
    learning = nn.Linear(3, 4)
    learning.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    average = WeightAverage(learning, decay=0.9)
    average.update(learning, step=1)
    assert average.encoder.mask.tolist() == [0.0, -torch.inf]


def test_what_does_not_move_stays_bit_for_bit() -> None:
    learning = network()
    average = WeightAverage(learning, decay=0.997)
    before = copied(learning)
    for step in range(1, 200):
        with torch.no_grad():
            learning[0].weight.mul_(1.01)
        average.update(learning, step=step)
    after = average.encoder.state_dict()
    assert [name for name, value in after.items() if not torch.equal(value, before[name])] == ["0.weight"]


def test_the_other_network_is_left_alone() -> None:
    learning = network()
    average = WeightAverage(learning, decay=0.9)
    move(learning, seed=1)
    before = copied(learning)
    average.update(learning, step=1)
    assert all(torch.equal(value, before[name]) for name, value in learning.state_dict().items())
    assert all(parameter.requires_grad for parameter in learning.parameters())


def test_it_always_evaluates() -> None:
    whole = nn.ModuleDict({"averaged": WeightAverage(network(), decay=0.9)}).train()
    assert not any(part.training for part in whole["averaged"].modules())


def test_it_learns_nothing() -> None:
    average = WeightAverage(network(), decay=0.9)
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_it_is_saved_below_the_encoder_s_names() -> None:
    assert set(WeightAverage(network(), decay=0.9).state_dict()) == {
        f"encoder.{name}" for name in network().state_dict()
    }


def test_going_on_from_a_saved_average_is_going_on() -> None:
    learning = network()
    average = WeightAverage(learning, decay=0.9)
    for step in (1, 2):
        move(learning, seed=step)
        average.update(learning, step=step)
    resumed = WeightAverage(network(seed=5), decay=0.9)
    resumed.load_state_dict(average.state_dict())
    move(learning, seed=3)
    for one in (average, resumed):
        one.update(learning, step=3)
    found = resumed.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in average.state_dict().items())


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_data_parallel_training_does_not_wait_for_its_gradients() -> None:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Linear(3, 2)
            self.averaged = WeightAverage(self.encoder, decay=0.9)

        def forward(self, values: Tensor) -> Tensor:
            return self.encoder(values)

    whole = Whole()
    parallel = DistributedDataParallel(whole)
    for step in (1, 2):  # a gradient that was waited for is complained of in the second step
        parallel(torch.ones(4, 3)).sum().backward()
        whole.averaged.update(whole.encoder, step=step)
    assert whole.encoder.weight.grad is not None
    assert whole.averaged.encoder.weight.grad is None
