"""Modules of each objective, with heads, proxies and losses as configured."""

import re
from typing import Any

import pytest
import torch
from small_configs import NAMED, PAIRS, SIMCLR, TRIPLET, config_of
from tiny_training import TinyEncoder

from simtrain.builders.objective import build_module
from simtrain.builders.training_inputs import TrainingInputs
from simtrain.config import RunConfig
from simtrain.errors import ConfigError
from simtrain.modules.metric_learning import MetricLearningModule
from simtrain.modules.simclr import SimCLRModule


def module_of(config: RunConfig, *, groups: int = 3, embedding_size: int | None = None) -> Any:
    inputs = TrainingInputs(groups=groups, duplicate_groups=torch.full((8,), -1), reference=None)
    return build_module(config, encoder=TinyEncoder(embedding_size=embedding_size), inputs=inputs, validation=None)


@pytest.mark.parametrize(
    ("objective", "kind"),
    [(SIMCLR, SimCLRModule), (PAIRS, SimCLRModule), (TRIPLET, MetricLearningModule), (NAMED, MetricLearningModule)],
)
def test_each_objective_has_its_module(objective: dict[str, Any], kind: type) -> None:
    assert isinstance(module_of(config_of(objective)), kind)


def test_a_projection_head_has_the_configured_sizes() -> None:
    module = module_of(config_of({**SIMCLR, "projection_head": {"hidden_size": 9, "output_size": 5}}))
    assert [tuple(weight.shape) for weight in (module.head[0].weight, module.head[2].weight)] == [(9, 12), (5, 9)]


@pytest.mark.parametrize(("head", "embedding_size", "expected"), [(None, None, 12), (None, 7, 7), (5, None, 5)])
def test_proxies_have_the_size_that_the_loss_sees(head: int | None, embedding_size: int | None, expected: int) -> None:
    objective = {
        "kind": "metric_learning",
        "loss": {"name": "ProxyAnchorLoss"},
        "projection_head": None if head is None else {"output_size": head},
    }
    module = module_of(config_of(objective), groups=3, embedding_size=embedding_size)
    assert module.mined_loss.criterion.loss.proxies.shape == (3, expected)


def test_parameters_of_loss_and_miner_are_passed_on() -> None:
    objective = {
        "kind": "metric_learning",
        "loss": {"name": "MultiSimilarityLoss", "parameters": {"alpha": 3.0}},
        "miner": {"name": "MultiSimilarityMiner", "parameters": {"epsilon": 0.3}},
    }
    loss = module_of(config_of(objective)).mined_loss.criterion
    assert (loss.loss.alpha, loss.miner.epsilon) == (3.0, 0.3)


def test_a_misspelt_loss_is_told() -> None:
    message = (
        "objective.loss.name: pytorch-metric-learning has no 'MultiSimilarityLos'; did you mean 'MultiSimilarityLoss'?"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        module_of(config_of({"kind": "metric_learning", "loss": {"name": "MultiSimilarityLos"}}))


@pytest.mark.parametrize("objective", [SIMCLR, TRIPLET, NAMED])
def test_head_only_epochs_need_something_new(objective: dict[str, Any]) -> None:
    message = (
        "trainer.head_only_epochs: got 2, but no layer is new; set it to 0, or add an objective.projection_head or "
        "encoder.embedding_size"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        module_of(config_of(objective, trainer={"head_only_epochs": 2}))


@pytest.mark.parametrize(
    ("objective", "embedding_size"),
    [
        ({**SIMCLR, "projection_head": {}}, None),
        (TRIPLET, 7),
        ({"kind": "metric_learning", "loss": {"name": "ProxyAnchorLoss"}}, None),
    ],
)
def test_head_only_epochs_can_train_heads_last_layers_and_proxies(
    objective: dict[str, Any], embedding_size: int | None
) -> None:
    config = config_of(objective, trainer={"head_only_epochs": 2})
    assert module_of(config, embedding_size=embedding_size).new_parameters()
