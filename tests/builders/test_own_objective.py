"""Losses of the user's own code: classes, functions, what they are tried on, each mistake."""

from pathlib import Path
from typing import Any

import pytest
import torch
from own_modules import OwnModule
from small_configs import config_of
from torch import nn

from simtrain.builders.own_objective import build_own_loss
from simtrain.config import NamedCode
from simtrain.errors import ConfigError, error_path
from simtrain.modules.own_objective import OwnLoss
from simtrain.own_code import CodeNotAllowedError, code_allowed, whose_code

CONTENT = """
import torch
from torch import nn

class Proxies(nn.Module):
    def __init__(self, num_classes, embedding_size, scale=1.0):
        super().__init__()
        self.proxies = nn.Parameter(torch.ones(num_classes, embedding_size) * scale)
        self.seen = 0
    def forward(self, embeddings, labels):
        self.seen += 1
        return (embeddings - self.proxies[labels]).square().mean()

class Plain:
    def __init__(self, factor):
        self.factor = factor
    def __call__(self, embeddings, labels):
        return embeddings.square().mean() * self.factor

def spread(embeddings, labels, weight=1.0):
    return weight * embeddings.var()

def each(embeddings, labels):
    return embeddings.square().mean(dim=1)

def number(embeddings, labels):
    return 0.0

def broken(embeddings, labels):
    return embeddings.sum() * float("nan")

def detached(embeddings, labels):
    return embeddings.detach().sum()

def one(embeddings):
    return embeddings.sum()

def failing(embeddings, labels):
    raise KeyError("no such label")

class Silent:
    pass

def shapes(embeddings, labels):
    seen.append((tuple(embeddings.shape), labels.tolist()))
    return embeddings.sum()

seen = []
"""


@pytest.fixture
def module(tmp_path: Path):
    with OwnModule(tmp_path, CONTENT).importable() as made:
        yield made


def build(module: OwnModule, name: str, *, size: int = 6, **settings: Any) -> OwnLoss:
    objective = config_of({"kind": "python", "target": module.target(name), **settings}, batch_size=12).objective
    assert isinstance(objective, NamedCode)
    with code_allowed(True), error_path("objective"):
        return build_own_loss(objective, objective.needs, classes=5, size=size)  # type: ignore[attr-defined] # a section


def test_a_class_is_made_of_its_parameters_and_of_the_sizes_that_it_wants(module: OwnModule):
    loss = build(module, "Proxies", parameters={"scale": 2.0})
    assert isinstance(loss, nn.Module)
    assert loss.proxies.shape == (5, 6)
    assert float(loss.proxies[0, 0].detach()) == 2.0
    assert loss.seen == 0  # it was tried out on a copy


def test_parameters_go_before_the_sizes_that_are_filled_in(module: OwnModule):
    loss = build(module, "Proxies", parameters={"num_classes": 9})
    assert isinstance(loss, nn.Module)
    assert loss.proxies.shape == (9, 6)


def test_an_object_that_can_be_called_and_a_function_with_arguments(module: OwnModule):
    embeddings, labels = torch.arange(12.0).reshape(4, 3), torch.tensor([0, 0, 1, 1])
    assert float(build(module, "Plain", parameters={"factor": 3})(embeddings, labels)) == pytest.approx(
        3 * sum(x * x for x in range(12)) / 12
    )
    mean = sum(range(12)) / 12
    variance = sum((x - mean) ** 2 for x in range(12)) / 11
    assert float(build(module, "spread", parameters={"weight": 2})(embeddings, labels)) == pytest.approx(2 * variance)


def test_it_is_tried_on_a_batch_as_its_settings_make_it(module: OwnModule):
    import sys

    build(module, "shapes", images_per_group=3)
    build(module, "shapes", positive="augmentation", views=2)
    build(module, "shapes", views=2)
    assert sys.modules[module.name].seen == [
        ((6, 6), [0, 0, 0, 1, 1, 1]),
        ((6, 6), [0, 1, 2, 0, 1, 2]),
        ((8, 6), [0, 0, 1, 1, 0, 0, 1, 1]),
    ]


def test_nothing_is_imported_without_permission(tmp_path: Path):
    with OwnModule(tmp_path).importable() as made:
        objective = config_of({"kind": "python", "target": made.target("MyLoss")}).objective
        assert isinstance(objective, NamedCode)
        with pytest.raises(CodeNotAllowedError):
            build_own_loss(objective, objective.needs, classes=5, size=6)  # type: ignore[attr-defined] # a section
        assert not made.was_imported


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("each", "objective.target: m:each: (4, 6) embeddings and (4,) labels gave a tensor of shape (4,); allowed: a "
         "scalar tensor"),
        ("number", "objective.target: m:number: (4, 6) embeddings and (4,) labels gave float; allowed: a scalar "
         "tensor"),
        ("broken", "objective.target: m:broken: a small batch gave nan; allowed: a finite number"),
        ("detached", "objective.target: m:detached: its value carries no gradient to the embeddings (torch.no_grad, "
         "detach or numpy inside?)"),
        ("one", "objective.parameters: m:one(embeddings): too many positional arguments"),
        ("Plain", "objective.parameters: m:Plain(factor): missing a required argument: 'factor'"),
        ("Silent", "objective.target: m:Silent is not callable: Silent; allowed: a function or class whose objects are "
         "called with embeddings and labels"),
        ("seen", "objective.target: m:seen is not callable: list; allowed: a function or class whose objects are "
         "called with embeddings and labels"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_with_the_key(module: OwnModule, name: str, message: str):
    with pytest.raises(ConfigError) as caught:
        build(module, name)
    assert str(caught.value).replace(module.name, "m") == message


def test_what_the_loss_raises_itself_is_left_as_it_is(module: OwnModule):
    with pytest.raises(KeyError) as caught:
        build(module, "failing")
    assert whose_code(caught.value) == module.target("failing")


def test_views_of_one_image_need_more_than_one():
    with pytest.raises(ConfigError, match=r"objective: views: 1: with positive: augmentation the views of an image"):
        config_of({"kind": "python", "target": "m:loss", "positive": "augmentation"})
