"""Parameter groups, AdamW and the schedule against the papers' formulas."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from tiny_training import optimizer_settings
from torch import nn

from simtrain.training.optim import FollowSchedule, adamw_with_cosine, parameter_groups, warmup_cosine


class Network(nn.Module):
    """Every kind of parameter there is: filters, matrices, vectors and a scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, 4, kernel_size=3)
        self.normalisation = nn.BatchNorm2d(4)
        self.matrix = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.head = nn.Linear(4, 2)


class Layers(Network):
    """The same with a layer for each of its parts; `head` lies above them."""

    def depth_of(self) -> dict[str, int]:
        layers = {"filters": 0, "normalisation": 0, "matrix": 1, "scale": 2, "head": 3}
        return {name: layers[name.split(".")[0]] for name, _ in self.named_parameters()}


def names_by_group(network: Network, *, new: list[nn.Parameter]) -> dict[str, set[str]]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = parameter_groups(network, encoder=Network(), new=new, settings=optimizer_settings())
    return {str(group["name"]): {names[id(parameter)] for parameter in group["params"]} for group in groups}


def rates_of_a_run(*, steps: int, **settings: float) -> dict[str, list[float]]:
    """The rate of each group in every step of a run, as Lightning drives it: step, then advance."""
    network = Network()
    settings_ = optimizer_settings(**settings)
    groups = parameter_groups(network, encoder=Network(), new=network.head.parameters(), settings=settings_)
    optimizer, schedule = adamw_with_cosine(groups, settings=settings_, steps=steps)
    rates: dict[str, list[float]] = {group["name"]: [] for group in optimizer.param_groups}
    for _ in range(steps):
        for group in optimizer.param_groups:
            rates[group["name"]].append(group["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_biases_normalisation_and_scalars_are_not_decayed() -> None:
    network = Network()
    assert names_by_group(network, new=list(network.head.parameters())) == {
        "encoder_no_decay": {"filters.bias", "normalisation.weight", "normalisation.bias", "matrix.bias", "scale"},
        "encoder_decay": {"filters.weight", "matrix.weight"},
        "head_no_decay": {"head.bias"},
        "head_decay": {"head.weight"},
    }


def test_every_parameter_is_in_one_group() -> None:
    network = Network()
    groups = parameter_groups(network, encoder=Network(), new=network.head.parameters(), settings=optimizer_settings())
    members = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(members) == sorted(id(parameter) for parameter in network.parameters())


def test_there_is_no_group_without_members() -> None:
    assert set(names_by_group(Network(), new=[])) == {"encoder_no_decay", "encoder_decay"}


def test_new_parameters_learn_faster() -> None:
    network = Network()
    settings = optimizer_settings(learning_rate=0.02, head_factor=5.0)
    groups = parameter_groups(network, encoder=Network(), new=network.head.parameters(), settings=settings)
    assert {group["name"]: group["lr"] for group in groups} == {
        "encoder_no_decay": 0.02,
        "encoder_decay": 0.02,
        "head_no_decay": pytest.approx(0.1),
        "head_decay": pytest.approx(0.1),
    }


def test_matrices_and_filters_are_decayed_as_told() -> None:
    groups = parameter_groups(Network(), encoder=Network(), new=[], settings=optimizer_settings(weight_decay=0.3))
    assert {group["name"]: group["weight_decay"] for group in groups} == {"encoder_no_decay": 0.0, "encoder_decay": 0.3}


def test_the_warmup_rises_evenly_to_the_peak() -> None:
    shares = [warmup_cosine(step, steps=50, warmup=9) for step in range(10)]
    np.testing.assert_allclose(shares, np.arange(1, 11) / 10)


def test_the_cosine_falls_from_the_peak_to_zero() -> None:
    shares = [warmup_cosine(step, steps=50, warmup=10) for step in range(10, 51)]
    np.testing.assert_allclose(shares, (1 + np.cos(np.linspace(0, np.pi, 41))) / 2, atol=1e-12)


def test_beyond_the_last_step_it_stays_at_zero() -> None:
    assert warmup_cosine(70, steps=50, warmup=10) == pytest.approx(0)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 1), (2, 2)])
def test_the_shortest_runs_have_a_rate(steps: int, warmup: int) -> None:
    assert 0 < warmup_cosine(0, steps=steps, warmup=warmup) <= 1


def test_the_rate_of_each_step_of_a_run() -> None:
    rates = rates_of_a_run(steps=40, learning_rate=0.1, warmup_fraction=0.25)["encoder_decay"]
    warmup = [0.1 * step / 11 for step in range(1, 11)]
    cosine = [0.1 * (1 + np.cos(np.pi * step / 30)) / 2 for step in range(30)]
    np.testing.assert_allclose(rates, warmup + cosine)


def test_the_last_step_of_a_run_is_small_but_not_zero() -> None:
    rates = rates_of_a_run(steps=100, learning_rate=0.1)["encoder_decay"]
    assert 0 < rates[-1] < 0.001 * 0.1


def test_without_a_warmup_a_run_begins_at_the_peak() -> None:
    assert rates_of_a_run(steps=10, learning_rate=0.1, warmup_fraction=0.0)["encoder_decay"][0] == pytest.approx(0.1)


def test_all_groups_follow_the_same_schedule() -> None:
    rates = rates_of_a_run(steps=20, head_factor=7.0)
    np.testing.assert_allclose(rates["head_decay"], 7 * np.array(rates["encoder_decay"]))
    np.testing.assert_allclose(rates["head_no_decay"], rates["head_decay"])


def test_a_step_is_that_of_the_paper() -> None:
    """AdamW (https://arxiv.org/abs/1711.05101, algorithm 2) for one weight, by hand."""
    weight = nn.Parameter(torch.tensor([[2.0]]))
    network = nn.ParameterList([weight])
    settings = optimizer_settings(learning_rate=0.1, weight_decay=0.5, betas=(0.8, 0.9), warmup_fraction=0.0)
    optimizer, _ = adamw_with_cosine(
        parameter_groups(network, encoder=Network(), new=[], settings=settings), settings=settings, steps=1000
    )
    expected, first, second = 2.0, 0.0, 0.0
    for step, gradient in enumerate([0.3, -1.2, 0.7], start=1):
        weight.grad = torch.tensor([[gradient]])
        optimizer.step()
        first, second = 0.8 * first + 0.2 * gradient, 0.9 * second + 0.1 * gradient**2
        adam = (first / (1 - 0.8**step)) / (np.sqrt(second / (1 - 0.9**step)) + 1e-8)
        expected -= 0.1 * (adam + 0.5 * expected)
        assert weight.item() == pytest.approx(expected, rel=1e-5)


def test_each_layer_learns_slower_than_the_one_above_it() -> None:
    network = Layers()
    settings = optimizer_settings(learning_rate=0.1, head_factor=5.0, weight_decay=0.3, layer_decay=0.5)
    groups = parameter_groups(network, encoder=network, new=network.head.parameters(), settings=settings)
    assert [(group["name"], pytest.approx(group["lr"]), group["weight_decay"]) for group in groups] == [
        ("encoder_layer0_no_decay", 0.025, 0.0),
        ("encoder_layer0_decay", 0.025, 0.3),
        ("encoder_layer1_no_decay", 0.05, 0.0),
        ("encoder_layer1_decay", 0.05, 0.3),
        ("encoder_layer2_no_decay", 0.1, 0.0),
        ("head_no_decay", 0.5, 0.0),
        ("head_decay", 0.5, 0.3),
    ]


def test_layers_hold_their_own_parameters() -> None:
    network = Layers()
    settings = optimizer_settings(layer_decay=0.5)
    groups = parameter_groups(network, encoder=network, new=network.head.parameters(), settings=settings)
    members = {group["name"]: {id(parameter) for parameter in group["params"]} for group in groups}
    assert members["encoder_layer0_decay"] == {id(network.filters.weight)}
    assert members["encoder_layer1_no_decay"] == {id(network.matrix.bias)}
    assert members["encoder_layer2_no_decay"] == {id(network.scale)}
    assert members["head_decay"] == {id(network.head.weight)}


def test_layers_that_learn_alike_are_not_told_apart() -> None:
    network = Layers()
    new = list(network.head.parameters())
    asked = parameter_groups(network, encoder=network, new=new, settings=optimizer_settings(layer_decay=1.0))
    assert asked == parameter_groups(network, encoder=None, new=new, settings=optimizer_settings())


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_what_never_learns_is_in_no_group(layer_decay: float) -> None:
    network = Layers()
    network.filters.requires_grad_(False)
    network.head.bias.requires_grad_(False)
    settings = optimizer_settings(layer_decay=layer_decay)
    groups = parameter_groups(network, encoder=network, new=network.head.parameters(), settings=settings)
    members = {id(parameter) for group in groups for parameter in group["params"]}
    assert members == {id(parameter) for parameter in network.parameters() if parameter.requires_grad}


def test_frozen_top_layers_do_not_speed_up_the_ones_below() -> None:
    network = Layers()
    network.scale.requires_grad_(False)
    settings = optimizer_settings(learning_rate=0.1, layer_decay=0.5)
    groups = parameter_groups(network, encoder=network, new=network.head.parameters(), settings=settings)
    assert {group["name"]: group["lr"] for group in groups}["encoder_layer1_decay"] == pytest.approx(0.05)


def test_on_the_cpu_nothing_is_fused() -> None:
    settings = optimizer_settings()
    optimizer, _ = adamw_with_cosine(
        parameter_groups(Network(), encoder=Network(), new=[], settings=settings), settings=settings, steps=9
    )
    assert {group["fused"] for group in optimizer.param_groups} == {None}


def test_gradients_of_a_fused_optimizer_are_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning refuses to with a fused optimizer as torch makes it, whatever the precision."""
    monkeypatch.setattr("simtrain.training.optim._on_gpu", lambda _: True)  # the CPU has fused kernels too
    weight = nn.Parameter(torch.zeros(1, 2))
    settings = optimizer_settings()
    groups = parameter_groups(nn.ParameterList([weight]), encoder=Network(), new=[], settings=settings)
    optimizer, _ = adamw_with_cosine(groups, settings=settings, steps=9)
    assert optimizer.param_groups[0]["fused"]
    weight.grad = torch.tensor([[3.0, 4.0]])
    MixedPrecision("bf16-mixed", device="cpu").clip_gradients(optimizer, clip_val=1.0)
    torch.testing.assert_close(weight.grad, torch.tensor([[0.6, 0.8]]))


class OnGpu(nn.Parameter):
    """A parameter that says that it lies on a GPU: the CPU has fused kernels too."""

    is_cuda = True


@pytest.mark.parametrize(("kinds", "fused"), [((OnGpu, OnGpu), True), ((OnGpu, nn.Parameter), None)])
def test_where_all_parameters_lie_on_a_gpu_the_optimizer_is_fused(
    kinds: tuple[type[nn.Parameter], ...], fused: bool | None
) -> None:
    settings = optimizer_settings()
    parameters = nn.ParameterList([kind(torch.ones(2, 2)) for kind in kinds])
    groups = parameter_groups(parameters, encoder=Network(), new=[], settings=settings)
    optimizer, _ = adamw_with_cosine(groups, settings=settings, steps=9)
    assert {group["fused"] for group in optimizer.param_groups} == {fused}


def test_a_schedule_that_was_made_longer_gives_its_own_rate_at_once() -> None:
    settings = optimizer_settings()
    network = Network()
    groups = parameter_groups(network, encoder=network, new=[network.head.weight], settings=settings)
    optimizer, schedule = adamw_with_cosine(groups, settings=settings, steps=100)
    schedule.last_epoch = 40  # as a checkpoint of a run of 40 steps restores it, whose rate has fallen to 0
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    trainer: Any = SimpleNamespace(lr_scheduler_configs=[SimpleNamespace(scheduler=schedule)])
    FollowSchedule().on_train_start(trainer, cast(pl.LightningModule, None))
    share = warmup_cosine(40, steps=100, warmup=round(settings.warmup_fraction * 100))
    assert [group["lr"] for group in optimizer.param_groups] == [base * share for base in schedule.base_lrs]
    assert len(set(schedule.base_lrs)) == 2
