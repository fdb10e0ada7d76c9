"""Mixes of two states of one network, and the statistics of what lies between."""

import math

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from simtrain.errors import CheckpointError
from simtrain.training.weight_interpolation import estimate_statistics, mixed_weights, moved_norms


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Small(nn.Module):
    """A convolution, a BatchNorm that learns, dropout, and a BatchNorm that is held."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.learned = nn.BatchNorm2d(4, momentum=0.3)
        self.dropout = nn.Dropout(0.5)
        self.held = nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        return self.held(self.dropout(self.learned(self.convolution(images))))


def two_states() -> tuple[Small, dict[str, Tensor], dict[str, Tensor]]:
    """A network, and its states before and after its weights and one of its BatchNorms have moved."""
    network = Small()
    with torch.no_grad():
        network.convolution.weight.copy_(noise(4, 3, 3, 3, seed=1))
        network.held.running_mean.fill_(0.25)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network.convolution.weight.add_(noise(4, 3, 3, 3, seed=2))
        network.learned.running_mean.add_(1.0)
        network.learned.running_var.mul_(2.0)
        network.learned.num_batches_tracked.fill_(7)
    return network, start, dict(network.state_dict())


def test_a_mix_is_the_weighted_mean():
    start, tuned = {"weight": noise(5, 3, seed=1)}, {"weight": noise(5, 3, seed=2)}
    found = mixed_weights(start, tuned, alpha=0.3)
    expected = 0.7 * start["weight"].double() + 0.3 * tuned["weight"].double()
    torch.testing.assert_close(found["weight"].double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_ends_are_bit_for_bit_what_they_were(alpha: float):
    _, start, tuned = two_states()
    found, expected = mixed_weights(start, tuned, alpha=alpha), tuned if alpha else start
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert found.keys() == expected.keys()


def test_a_mix_is_a_copy():
    start, tuned = {"weight": torch.zeros(2)}, {"weight": torch.ones(2)}
    for alpha in (0.0, 0.5, 1.0):
        mixed_weights(start, tuned, alpha=alpha)["weight"].fill_(9.0)
    assert (start["weight"].tolist(), tuned["weight"].tolist()) == ([0, 0], [1, 1])


def test_what_did_not_move_stays_bit_for_bit():
    same = noise(10_000, seed=3) * 10 ** noise(10_000, seed=4)
    for alpha in (0.1, 0.3, 0.7):
        assert torch.equal(mixed_weights({"a": same}, {"a": same.clone()}, alpha=alpha)["a"], same)


def test_an_infinite_mask_stays():
    mask = torch.tensor([0.0, -math.inf])
    assert torch.equal(mixed_weights({"mask": mask}, {"mask": mask.clone()}, alpha=0.4)["mask"], mask)


def test_counts_are_those_of_the_tuned():
    _, start, tuned = two_states()
    assert mixed_weights(start, tuned, alpha=0.2)["learned.num_batches_tracked"].item() == 7


def test_halves_are_mixed_in_float32():
    start, tuned = torch.tensor([1.0], dtype=torch.float16), torch.tensor([1.0009765625], dtype=torch.float16)
    found = mixed_weights({"a": start}, {"a": tuned}, alpha=0.5)["a"]
    assert (found.dtype, found.item()) == (torch.float32, 1.00048828125)  # which float16 has no number for


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan])
def test_alpha_out_of_range_is_refused(alpha: float):
    with pytest.raises(ValueError, match=rf"^alpha is {alpha}; allowed: 0 to 1$"):
        mixed_weights({}, {}, alpha=alpha)


@pytest.mark.parametrize(
    ("start", "tuned", "reason"),
    [
        ({"a": torch.ones(2)}, {}, "only the start has 'a'"),
        ({}, {"b": torch.ones(2), "c": torch.ones(2)}, "only the tuned one has 'b' (and 1 more)"),
        (
            {"a": torch.ones(2)},
            {"a": torch.ones(3)},
            "'a' has shape (2,) in the start and (3,) in the tuned one",
        ),
        (
            {"a": torch.ones(2)},
            {"a": torch.ones(2, dtype=torch.int64)},
            "'a' is torch.float32 in the start and torch.int64 in the tuned one",
        ),
    ],
)
def test_two_networks_of_another_make_are_refused(start: dict[str, Tensor], tuned: dict[str, Tensor], reason: str):
    for alpha in (0.0, 0.5, 1.0):
        with pytest.raises(CheckpointError) as caught:
            mixed_weights(start, tuned, alpha=alpha)
        assert str(caught.value) == f"initial and fine-tuned encoder differ: {reason}"


def test_moved_norms_are_those_whose_statistics_differ():
    network, start, tuned = two_states()
    assert moved_norms(network, start, tuned) == ["learned"]
    assert moved_norms(network, start, start) == []


def test_a_norm_that_is_the_whole_network_is_found():
    network = nn.BatchNorm1d(2)
    tuned = {**network.state_dict(), "running_var": torch.full((2,), 3.0)}
    assert moved_norms(network, network.state_dict(), tuned) == [""]


def test_statistics_are_averages_over_the_batches():
    network, _, _ = two_states()
    batches = [noise(6, 3, 8, 8, seed=seed) + seed for seed in range(3)]
    with torch.no_grad():
        seen = [network.convolution(batch) for batch in batches]
    found = estimate_statistics(network, ["learned"], batches, see=network)
    means = [activations.mean(dim=(0, 2, 3)) for activations in seen]
    variances = [activations.transpose(0, 1).flatten(1).var(dim=1, unbiased=True) for activations in seen]
    torch.testing.assert_close(found["learned.running_mean"], torch.stack(means).mean(dim=0))
    torch.testing.assert_close(found["learned.running_var"], torch.stack(variances).mean(dim=0))
    assert set(found) == {"learned.running_mean", "learned.running_var"}


def test_statistics_of_a_whole_network_agree_with_torch():
    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", pretrained=False, num_classes=0)
    batches = [noise(4, 3, 32, 32, seed=seed) for seed in range(3)]
    norms = [name for name, part in network.named_modules() if isinstance(part, nn.BatchNorm2d)]
    found = estimate_statistics(network, norms, batches, see=network)
    update_bn(batches, network)
    expected = network.state_dict()
    assert len(found) == 2 * len(norms) > 0
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name])


def test_the_network_has_the_statistics_afterwards_and_is_else_as_it_was():
    network, _, tuned = two_states()
    before = {name: value.clone() for name, value in tuned.items()}
    found = estimate_statistics(network.train(), ["learned"], [noise(6, 3, 8, 8, seed=1)], see=network)
    after = network.state_dict()
    assert all(torch.equal(after[name], found.get(name, before[name])) for name in before)
    assert network.learned.momentum == 0.3
    assert not any(part.training for part in network.modules())


def test_dropout_does_not_disturb_statistics():
    network, _, _ = two_states()
    sequence = nn.Sequential(nn.Dropout(0.5), network.learned)
    images = noise(6, 4, 8, 8, seed=1)
    found = estimate_statistics(sequence, ["1"], [images], see=sequence)
    torch.testing.assert_close(found["1.running_mean"], images.mean(dim=(0, 2, 3)))


def test_a_pass_that_fails_leaves_the_norms_in_evaluation_mode():
    network, _, _ = two_states()

    def fail(_images: Tensor) -> None:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match=r"^no memory$"):
        estimate_statistics(network, ["learned"], [noise(2, 3, 8, 8, seed=1)], see=fail)
    assert (network.learned.training, network.learned.momentum) == (False, 0.3)


def test_no_batches_are_refused():
    network, _, _ = two_states()
    with pytest.raises(ValueError, match=r"^batches is empty; allowed: 1 or more$"):
        estimate_statistics(network, ["learned"], [], see=network)
