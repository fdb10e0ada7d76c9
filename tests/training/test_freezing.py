"""What is frozen does not move, and what is not does."""

import pytest
import torch
from torch import Tensor, nn

from simtrain.errors import ConfigError
from simtrain.training.freezing import freeze_matching, hold_batch_norm, hold_frozen_norms, set_trainable

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


class Small(nn.Module):
    """Two stages with a normalisation each, and a last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.ModuleDict(
            {
                "stage1": nn.Sequential(nn.Conv2d(3, 4, kernel_size=3), nn.BatchNorm2d(4)),
                "stage2": nn.Sequential(nn.Conv2d(4, 4, kernel_size=3), nn.BatchNorm2d(4, affine=False)),
            }
        )
        self.reduction = nn.Linear(4, 2)


STAGE1 = {f"network.stage1.{name}" for name in ("0.weight", "0.bias", "1.weight", "1.bias")}
STAGE2 = {f"network.stage2.{name}" for name in ("0.weight", "0.bias")}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], set()),
        (["network.stage1.*"], STAGE1),
        (["network.*.0.bias", "*stage2*"], {"network.stage1.0.bias"} | STAGE2),
        (["reduction.weight"], {"reduction.weight"}),
        (["network.*"], STAGE1 | STAGE2),
    ],
)
def test_patterns_freeze_the_parameters_that_they_name(patterns: list[str], expected: set[str]) -> None:
    encoder = Small()
    assert freeze_matching(encoder, patterns) == expected
    assert {name for name, parameter in encoder.named_parameters() if not parameter.requires_grad} == expected


def test_what_had_no_gradient_before_is_frozen_as_well() -> None:
    encoder = Small()
    encoder.network["stage2"].requires_grad_(False)
    assert freeze_matching(encoder, ["reduction.bias"]) == STAGE2 | {"reduction.bias"}


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("network.stage3.*", "; did you mean 'network.stage2.*'?"),
        ("stage1.*", "; did you mean 'network.stage1.*'?"),
        ("reduction.wieght", "; did you mean 'reduction.weight'?"),
        ("backbone", "; it has network.stage1, network.stage2, reduction.weight, reduction.bias"),
    ],
)
def test_pattern_without_a_parameter_is_told_with_what_there_is(pattern: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        freeze_matching(Small(), ["network.stage1.*", pattern])
    assert str(caught.value) == f"freeze: no parameter of the encoder matches '{pattern}'{hint}"


def test_misspelt_pattern_freezes_nothing() -> None:
    encoder = Small()
    with pytest.raises(ConfigError):
        freeze_matching(encoder, ["network.stage1.*", "network.stage3.*"])
    assert all(parameter.requires_grad for parameter in encoder.parameters())


@pytest.mark.parametrize("patterns", [["*"], ["network.*", "reduction.*"]])
def test_freezing_everything_is_refused(patterns: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        freeze_matching(Small(), patterns)
    assert str(caught.value) == ("freeze: every layer of the encoder is frozen; freeze fewer")


@pytest.mark.parametrize(
    ("patterns", "training"),
    [
        ([], [True, True]),
        (["network.stage1.*"], [False, True]),
        (["network.stage1.1.*"], [False, True]),
        (["network.stage1.0.*"], [True, True]),
        (["network.stage2.*"], [True, False]),  # this one has no parameters of its own
        (["network.stage2.0.weight"], [True, True]),
        (["network.*"], [False, False]),
    ],
)
def test_normalisations_inside_what_is_frozen_are_held(patterns: list[str], training: list[bool]) -> None:
    encoder = Small().train()
    hold_frozen_norms(encoder, frozen=freeze_matching(encoder, patterns))
    norms = [part for part in encoder.modules() if isinstance(part, nn.BatchNorm2d)]
    assert [norm.training for norm in norms] == training


def test_normalisations_are_not_held_for_what_rests_only_now() -> None:
    encoder = Small().train()
    frozen = freeze_matching(encoder, ["network.stage1.*"])
    set_trainable(encoder.parameters(), trainable=False)
    hold_frozen_norms(encoder, frozen=frozen)
    assert encoder.network["stage2"][1].training
