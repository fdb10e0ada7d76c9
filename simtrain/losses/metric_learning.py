"""The door to pytorch-metric-learning: its losses and miners, made from a name and parameters."""

# Shapes: N embeddings, D features.

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners
from torch import Tensor, nn

from simtrain.config import nearest
from simtrain.errors import ConfigError

MinerName = Literal["batch_hard", "semi_hard", "hard_negatives", "all"]


class MinedLoss(nn.Module):
    """A loss of pytorch-metric-learning on the tuples that a miner picks, in float32 on unit vectors.

    Args:
        loss: Called with embeddings, labels and the mined indices.
        miner: Called with embeddings and labels; None leaves the choice to the loss.
    """

    def __init__(self, *, loss: nn.Module, miner: Callable[[Tensor, Tensor], Any] | None) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(N, D) embeddings and (N,) labels -> scalar.

        Raises:
            ValueError: if no two labels are equal, which would be a loss of 0 that teaches nothing.
        """
        if len(torch.unique(labels)) == len(labels):
            raise ValueError(f"labels: {len(labels)} images without one positive pair in the batch")
        with torch.autocast(embeddings.device.type, enabled=False):
            unit = F.normalize(embeddings.float(), dim=1)
            mined = None
            if self.miner is not None:
                with torch.no_grad():
                    mined = self.miner(unit.detach(), labels)
            value: Tensor = self.loss(unit, labels, mined)
            return value


def triplet_loss(*, margin: float, distance: Literal["cosine", "euclidean"], miner: MinerName) -> MinedLoss:
    """Triplet margin loss (FaceNet, https://arxiv.org/abs/1503.03832, equation 1, with the chosen distance).

    Each mined triplet costs max(0, margin - similarity(anchor, positive) + similarity(anchor, negative)); the mean is
    over the triplets that cost anything.

    Args:
        margin: In the unit of the distance; above 0.
        distance: `cosine` similarity, or `euclidean` distance of unit vectors (which the sign of the cost follows).
        miner: `batch_hard` (https://arxiv.org/abs/1703.07737, equation 5), `semi_hard` (FaceNet, equation 4),
            `hard_negatives` (every positive pair with the anchor's nearest negative), `all` triplets.
    """
    measure = distances.CosineSimilarity() if distance == "cosine" else distances.LpDistance(normalize_embeddings=True)
    chosen: Callable[[Tensor, Tensor], Any] | None
    match miner:
        case "batch_hard":
            chosen = miners.BatchHardMiner(distance=measure)
        case "semi_hard":
            chosen = miners.TripletMarginMiner(margin=margin, type_of_triplets="semihard", distance=measure)
        case "hard_negatives":
            chosen = miners.BatchEasyHardMiner(pos_strategy="all", neg_strategy="hard", distance=measure)
        case "all":
            chosen = None
    return MinedLoss(loss=losses.TripletMarginLoss(margin=margin, distance=measure), miner=chosen)


def named_loss(
    *,
    loss: str,
    loss_parameters: Mapping[str, Any],
    miner: str | None,
    miner_parameters: Mapping[str, Any],
    classes: int,
    embedding_size: int,
) -> MinedLoss:
    """Any loss and miner of pytorch-metric-learning.

    Args:
        loss: Class in `pytorch_metric_learning.losses`.
        loss_parameters: Arguments of its constructor.
        miner: Class in `pytorch_metric_learning.miners`, or None.
        miner_parameters: Arguments of its constructor.
        classes: Number of training groups, for losses with proxies.
        embedding_size: D that the loss sees, for losses with proxies.

    Raises:
        ConfigError: for a name or a parameter that the library does not have, with the ones it has, and for a loss or
            miner that does not work on labelled embeddings.
    """
    sizes = {"num_classes": classes, "embedding_size": embedding_size}
    made_miner = None
    if miner is not None:
        made_miner = _make(miners, miner, miner_parameters, sizes={}, where="objective.miner")
    made_loss = _make(losses, loss, loss_parameters, sizes=sizes, where="objective.loss")
    made = MinedLoss(loss=made_loss, miner=made_miner)
    _try_out(made, embedding_size=embedding_size, name=loss if miner is None else f"{loss} with {miner}")
    return made


def _try_out(made: MinedLoss, *, embedding_size: int, name: str) -> None:
    """Find out on two pairs, before any training, what the library notices in its first step only.

    On a copy: some losses remember what they have seen.
    """
    embeddings = torch.randn(4, embedding_size, generator=torch.Generator().manual_seed(0))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            copy.deepcopy(made)(embeddings, torch.tensor([0, 0, 1, 1]))
    except Exception as error:  # the library raises whatever its code trips over
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"objective: {name} does not work on labelled embeddings: {reason}") from error


def _make(module: Any, name: str, parameters: Mapping[str, Any], *, sizes: Mapping[str, int], where: str) -> Any:
    parts = {
        key: value for key, value in vars(module).items() if inspect.isclass(value) and issubclass(value, nn.Module)
    }
    known = {key: value for key, value in parts.items() if not key.startswith("Base")}
    if name not in known:
        near = nearest(name, known) or f"; allowed: {', '.join(sorted(known))}"
        raise ConfigError(f"{where}.name: pytorch-metric-learning has no '{name}'{near}")
    wanted = _constructor_parameters(known[name])
    for key in parameters:
        if key not in wanted:
            near = nearest(key, wanted) or f"; allowed: {', '.join(sorted(wanted))}"
            raise ConfigError(f"{where}.parameters.{key}: {name} has no such parameter{near}")
    filled = {key: value for key, value in sizes.items() if key in wanted}
    try:
        return known[name](**{**filled, **parameters})
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"{where}: {name} refuses its parameters: {str(error).splitlines()[0]}") from error


def _constructor_parameters(cls: type) -> set[str]:
    """Names that the constructor takes, its bases' included where it passes **kwargs on."""
    names: set[str] = set()
    for base in cls.__mro__:
        if base in (nn.Module, object):
            break
        constructor = vars(base).get("__init__")
        if constructor is None:
            continue
        parameters = list(inspect.signature(constructor).parameters.values())[1:]
        names |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return names
