"""Every loss and miner of pytorch-metric-learning by its name."""

# Shapes: N embeddings, D features.

import inspect
import itertools
import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from pytorch_metric_learning import losses, miners
from tiny_training import TinyEncoder, optimizer_settings, training_settings
from torch import Tensor, nn

from simtrain.errors import ConfigError
from simtrain.losses.metric_learning import LibraryClass, MinedLoss, named_loss, triplet_loss
from simtrain.modules.metric_learning import MetricLearningModule, MetricLearningSettings
from simtrain.training.optim import parameter_groups

SIZES: dict[str, Any] = {"classes": 4, "embedding_size": 8, "memory": None}
# What their constructors want cannot be guessed, or they do not work on labels.
REFUSED_LOSSES = {
    "CrossBatchMemory",
    "GenericPairLoss",
    "ManifoldLoss",
    "MultipleLosses",
    "P2SGradLoss",
    "RankedListLoss",
    "SelfSupervisedLoss",
    "VICRegLoss",
}


def random_embeddings(labels: Sequence[int], *, features: int = 8, seed: int = 0) -> Tensor:
    return 3 * torch.randn(len(labels), features, generator=torch.Generator().manual_seed(seed))


def names_of(module: Any, base: type) -> list[str]:
    """The classes that a module of the library offers, its abstract bases left out."""
    classes = {name: value for name, value in vars(module).items() if inspect.isclass(value)}
    return sorted(name for name, value in classes.items() if issubclass(value, base) and not name.startswith("Base"))


LOSSES = names_of(losses, nn.Module)
LIBRARY_MINERS = names_of(miners, nn.Module)


def constructed(cls: type, sizes: dict[str, int]) -> Any:
    """An instance that is given as many of the sizes as it takes, found by trying."""
    for count in range(len(sizes), -1, -1):
        for chosen in itertools.combinations(sizes.items(), count):
            try:
                return cls(**dict(chosen))
            except TypeError:
                continue
    raise AssertionError(f"{cls.__name__} takes none of {list(sizes)}")


def test_a_batch_without_a_positive_pair_is_an_error() -> None:
    loss = triplet_loss(margin=0.2, distance="cosine", miner="all", memory=None)
    with pytest.raises(ValueError, match=r"^labels: 5 images without one positive pair in the batch$"):
        loss(random_embeddings(range(5)), torch.arange(5), excluded=None)


def test_a_batch_without_a_positive_pair_is_an_error_for_named_losses_too() -> None:
    loss = named_loss(loss=LibraryClass(name="ArcFaceLoss", parameters={}), miner=None, **SIZES)
    with pytest.raises(ValueError, match=r"^labels: 4 images without one positive pair in the batch$"):
        loss(random_embeddings(range(4)), torch.arange(4), excluded=None)


def test_the_library_has_as_many_losses_and_miners_as_these_tests_think() -> None:
    assert len(set(LOSSES) - REFUSED_LOSSES) >= 31
    assert len(set(LIBRARY_MINERS) - {"EmbeddingsAlreadyPackagedAsTriplets"}) >= 9


@pytest.mark.parametrize("name", sorted(set(LOSSES) - REFUSED_LOSSES))
def test_every_loss_gives_what_the_library_gives(name: str) -> None:
    labels = torch.arange(8) // 2
    embeddings = random_embeddings(labels.tolist())
    torch.manual_seed(0)
    direct = constructed(getattr(losses, name), {"num_classes": 4, "embedding_size": 8})
    expected = direct(embeddings / embeddings.norm(dim=1, keepdim=True), labels)
    torch.manual_seed(0)
    loss = named_loss(loss=LibraryClass(name=name, parameters={}), miner=None, **SIZES)
    torch.testing.assert_close(loss(embeddings, labels, excluded=None).total, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(LIBRARY_MINERS) - {"EmbeddingsAlreadyPackagedAsTriplets"}))
def test_every_miner_gives_what_the_library_gives(name: str) -> None:
    labels = torch.arange(16) // 4
    embeddings = random_embeddings(labels.tolist())
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    torch.manual_seed(1)
    expected = losses.MultiSimilarityLoss()(unit, labels, getattr(miners, name)()(unit, labels))
    loss = named_loss(
        loss=LibraryClass(name="MultiSimilarityLoss", parameters={}),
        miner=LibraryClass(name=name, parameters={}),
        **SIZES,
    )
    torch.manual_seed(1)
    torch.testing.assert_close(loss(embeddings, labels, excluded=None).total, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("P2SGradLoss", {"descriptors_dim": 8}),
        ("RankedListLoss", {"margin": 0.5, "Tn": 1}),
        ("TripletMarginLoss", {"margin": 0.3, "swap": True}),
        ("SubCenterArcFaceLoss", {"margin": 20, "sub_centers": 2}),
        ("SoftTripleLoss", {"centers_per_class": 3}),
    ],
)
def test_parameters_reach_the_loss(name: str, parameters: dict[str, Any]) -> None:
    labels = torch.arange(8) // 2
    embeddings = random_embeddings(labels.tolist())
    both = {"num_classes": 4, "embedding_size": 8}
    takes = {"P2SGradLoss": {"num_classes": 4}, "SubCenterArcFaceLoss": both, "SoftTripleLoss": both}.get(name, {})
    torch.manual_seed(0)
    direct = getattr(losses, name)(**takes, **parameters)
    torch.manual_seed(2)
    expected = direct(embeddings / embeddings.norm(dim=1, keepdim=True), labels)
    torch.manual_seed(0)
    loss = named_loss(loss=LibraryClass(name=name, parameters=parameters), miner=None, **SIZES)
    torch.manual_seed(2)
    torch.testing.assert_close(loss(embeddings, labels, excluded=None).total, expected, rtol=1e-4, atol=1e-5)


def test_trying_a_loss_out_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    named_loss(
        loss=LibraryClass(name="TripletMarginLoss", parameters={}),
        miner=LibraryClass(name="DistanceWeightedMiner", parameters={}),
        **SIZES,
    )
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"loss": "TripletMarginLos"},
            "loss.name: pytorch-metric-learning has no 'TripletMarginLos'; did you mean 'TripletMarginLoss'?",
        ),
        (
            {"miner": "BatchHardMine"},
            "miner.name: pytorch-metric-learning has no 'BatchHardMine'; did you mean 'BatchHardMiner'?",
        ),
        (
            {"miner": "zzz"},
            f"miner.name: pytorch-metric-learning has no 'zzz'; allowed: {', '.join(LIBRARY_MINERS)}",
        ),
        (
            {"loss_parameters": {"margn": 0.1}},
            "loss.parameters.margn: TripletMarginLoss has no such parameter; did you mean 'margin'?",
        ),
        (
            {"miner": "PairMarginMiner", "miner_parameters": {"zzz": 1}},
            "miner.parameters.zzz: PairMarginMiner has no such parameter; allowed: collect_stats, distance, "
            "neg_margin, pos_margin",
        ),
        (
            {"loss": "RankedListLoss", "loss_parameters": {"margin": 0.5}},
            "loss: RankedListLoss refuses its parameters: RankedListLoss.__init__() missing 1 required "
            "positional argument: 'Tn'",
        ),
        (
            {"loss": "VICRegLoss"},
            "objective: VICRegLoss does not work on labelled embeddings: labels are ref_labels are not supported for "
            "this loss function",
        ),
        (
            {"loss": "ManifoldLoss", "loss_parameters": {"l": 8}},
            "objective: ManifoldLoss does not work on labelled embeddings: labels are ref_labels are not supported for "
            "this loss function",
        ),
        (
            {"miner": "EmbeddingsAlreadyPackagedAsTriplets"},
            "objective: TripletMarginLoss with EmbeddingsAlreadyPackagedAsTriplets does not work on labelled "
            "embeddings: AssertionError",
        ),
    ],
)
def test_a_name_or_parameter_that_does_not_work_is_told(changes: dict[str, Any], message: str) -> None:
    loss = LibraryClass(name=changes.get("loss", "TripletMarginLoss"), parameters=changes.get("loss_parameters", {}))
    miner = None
    if "miner" in changes:
        miner = LibraryClass(name=changes["miner"], parameters=changes.get("miner_parameters", {}))
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        named_loss(loss=loss, miner=miner, **SIZES)


@pytest.mark.parametrize("name", ["BaseMetricLossFunction", "EmbeddingRegularizerMixin", "torch"])
def test_what_is_no_loss_is_not_offered(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^loss.name: pytorch-metric-learning has no '{name}'"):
        named_loss(loss=LibraryClass(name=name, parameters={}), miner=None, **SIZES)


@pytest.mark.parametrize("name", sorted(REFUSED_LOSSES))
def test_a_loss_that_cannot_be_used_is_an_error_before_training(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        named_loss(loss=LibraryClass(name=name, parameters={}), miner=None, **SIZES)


def proxy_module() -> tuple[MetricLearningModule, nn.Parameter]:
    loss: MinedLoss = named_loss(
        loss=LibraryClass(name="ProxyAnchorLoss", parameters={}),
        miner=None,
        classes=3,
        embedding_size=12,
        memory=None,
    )
    module = MetricLearningModule(
        objective=MetricLearningSettings(mined_loss=loss, false_negatives=None),
        encoder=TinyEncoder(),
        head=None,
        settings=training_settings(),
        validation=None,
    )
    return module, module.mined_loss.criterion.loss.proxies


def test_proxies_are_parameters_of_the_module() -> None:
    module, proxies = proxy_module()
    assert any(parameter is proxies for parameter in module.parameters())
    assert proxies.shape == (3, 12)


def test_proxies_learn_with_the_rate_of_heads() -> None:
    module, proxies = proxy_module()
    groups = parameter_groups(
        module, encoder=module.encoder, new=module.new_parameters(), settings=optimizer_settings()
    )
    (group,) = (group for group in groups if any(parameter is proxies for parameter in group["params"]))
    assert (group["name"], group["lr"]) == ("head_decay", pytest.approx(0.1))
