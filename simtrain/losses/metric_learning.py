"""Losses on labelled embeddings: triplet margin loss, or any loss and miner of pytorch-metric-learning."""

# Shapes: N embeddings, D features.

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from simtrain.errors import ConfigError, first_line
from simtrain.losses.false_negatives import PairMask
from simtrain.losses.library import LibraryLoss, check_memory, library_loss, library_miner
from simtrain.losses.loss_value import LossValue
from simtrain.losses.memory import CrossBatchMemory
from simtrain.losses.references import with_held, within_batch
from simtrain.losses.tiles import unit_rows
from simtrain.losses.triplets import DistanceName, MinerName, TripletLoss


class MinedLoss(nn.Module):
    """A loss on the tuples that a miner picks, in float32 on unit vectors.

    Args:
        criterion: Loss of `AnchorsAndReferences`, its own mining included, that gives a `LossValue`.
        memory: Embeddings of earlier batches as further references, which the batch enters afterwards; None: none.
    """

    def __init__(self, *, criterion: nn.Module, memory: CrossBatchMemory | None) -> None:
        super().__init__()
        self.criterion = criterion
        self.memory = memory
        self._has_found_a_pair = False

    def forward(self, embeddings: Tensor, labels: Tensor, *, excluded: PairMask | None) -> LossValue:
        """Compare the embeddings of a batch.

        Args:
            embeddings: (N, D) embeddings; need not be of unit length.
            labels: (N,) int64, equal where two embeddings are positives of each other.
            excluded: Pairs of the N embeddings that are no negatives; None: all pairs of different labels are
                negatives.

        Raises:
            ValueError: in the first batch, if no two labels are equal, which would be a loss of 0 that teaches nothing.
                A later one is not looked at, for which a host would wait for its GPU; `mined` tells.
        """
        if not self._has_found_a_pair and len(torch.unique(labels)) == len(labels):
            raise ValueError(f"labels: {len(labels)} images without one positive pair in the batch")
        self._has_found_a_pair = True
        with torch.autocast(embeddings.device.type, enabled=False):
            unit = unit_rows(embeddings)
            if self.memory is None:
                compared = within_batch(unit, labels, excluded=excluded)
            else:
                compared = with_held(unit, labels, held=self.memory.held(), excluded=excluded)
            value: LossValue = self.criterion(compared)
        if self.memory is not None and self.training:
            rows = excluded.rows if excluded is not None else None
            self.memory.store(unit, labels, rows, valid=torch.isfinite(value.total))
        return value


def triplet_loss(
    *, margin: float, distance: DistanceName, miner: MinerName, memory: CrossBatchMemory | None
) -> MinedLoss:
    """Triplet margin loss (FaceNet, https://arxiv.org/abs/1503.03832, equation 1, with the chosen distance).

    Each mined triplet costs max(0, margin - similarity(anchor, positive) + similarity(anchor, negative)); the mean is
    over the triplets that cost anything.

    Args:
        margin: Margin in the unit of the distance; above 0.
        distance: `cosine` similarity, or `euclidean` distance of unit vectors (which the sign of the cost follows).
        miner: `batch_hard` (https://arxiv.org/abs/1703.07737, equation 5), `semi_hard` (FaceNet, equation 4),
            `hard_negatives` (every positive pair with the anchor's nearest negative), `all` triplets.
        memory: Embeddings of earlier batches as further references, or None.
    """
    return MinedLoss(criterion=TripletLoss(margin=margin, distance=distance, miner=miner), memory=memory)


@dataclass(frozen=True, kw_only=True)
class LibraryClass:
    """A class of pytorch-metric-learning and the arguments of its constructor.

    Attributes:
        name: Name of the class.
        parameters: Name of an argument -> value.
    """

    name: str
    parameters: Mapping[str, Any]


def named_loss(
    *,
    loss: LibraryClass,
    miner: LibraryClass | None,
    classes: int,
    embedding_size: int,
    memory: CrossBatchMemory | None,
) -> MinedLoss:
    """Any loss and miner of pytorch-metric-learning.

    Args:
        loss: Class in `pytorch_metric_learning.losses`.
        miner: Class in `pytorch_metric_learning.miners`, or None.
        classes: Number of training groups, for losses with proxies.
        embedding_size: Length of the embeddings that the loss receives, D, for losses with proxies.
        memory: Embeddings of earlier batches as further references, or None.

    Raises:
        ConfigError: for a name or a parameter that the library does not have, with the ones it has, and for a loss or
            miner that does not work on labelled embeddings, or not with a memory.
    """
    sizes = {"num_classes": classes, "embedding_size": embedding_size}
    made_miner = library_miner(miner.name, miner.parameters) if miner is not None else None
    made_loss = library_loss(loss.name, loss.parameters, sizes=sizes)
    if memory is not None:
        check_memory(loss.name)
    criterion = LibraryLoss(loss=made_loss, miner=made_miner)
    name = loss.name if miner is None else f"{loss.name} with {miner.name}"
    _try_out(criterion, embedding_size=embedding_size, name=name, with_memory=memory is not None)
    return MinedLoss(criterion=criterion, memory=memory)


def _try_out(criterion: LibraryLoss, *, embedding_size: int, name: str, with_memory: bool) -> None:
    """Find out on two pairs, before any training, what the library notices in its first two steps only.

    On a copy: some losses remember what they have seen.
    """
    embeddings = torch.randn(4, embedding_size, generator=torch.Generator().manual_seed(0))
    memory = CrossBatchMemory(size=4, embedding_size=embedding_size, start_step=0) if with_memory else None
    tried = MinedLoss(criterion=copy.deepcopy(criterion), memory=memory)
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            for _ in range(2):
                seen = embeddings.clone().requires_grad_()
                total = tried(seen, torch.tensor([0, 0, 1, 1]), excluded=None).total
                if total.requires_grad:
                    total.backward()
    except Exception as error:  # the library raises whatever its code trips over
        what = "labelled embeddings with a memory" if with_memory else "labelled embeddings"
        raise ConfigError(f"objective: {name} does not work on {what}: {first_line(error)}") from error
