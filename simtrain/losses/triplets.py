"""The triplet margin loss and its miners, without a tensor of all triplets.

The loss is linear in the nearness of the pairs of the triplets that cost anything. Where every anchor has one
triplet, these are listed; where it has many, it is enough to count in how many of them each pair is, which the place
of each negative among the anchor's sorted positives tells (O(N·R·log K) time and O(N·R) memory, not O(N·R·K)).
"""

# Shapes: N anchors, R that they are compared with, D features, T triplets, K positives of an anchor at most, n rows.

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simtrain.losses.loss_value import LossValue
from simtrain.losses.references import AnchorsAndReferences, within_batch
from simtrain.losses.tiles import unit_rows

MinerName = Literal["batch_hard", "semi_hard", "hard_negatives", "all"]
DistanceName = Literal["cosine", "euclidean"]

# Small enough for the cache of a core; large enough to keep an accelerator busy.
_PAIRS_ON_CPU, _PAIRS_ELSEWHERE = 262_144, 16_777_216


def triplet_margin_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = 0.2,
    distance: DistanceName = "cosine",
    miner: MinerName = "batch_hard",
) -> Tensor:
    """Triplet margin loss of one batch (FaceNet, https://arxiv.org/abs/1503.03832, equation 1).

    Args:
        embeddings: (N, D); need not be of unit length.
        labels: (N,) int64, equal where two rows are positives of each other.
        margin: In the unit of the distance; above 0.
        distance: `cosine` similarity, or `euclidean` distance of the unit vectors.
        miner: `batch_hard` (https://arxiv.org/abs/1703.07737, equation 5), `semi_hard` (FaceNet, equation 4),
            `hard_negatives` (every positive pair with the anchor's nearest negative), or `all` triplets.

    Returns:
        Scalar, 0 or more: the mean over the triplets that cost anything; 0 with a graph where none does.

    Raises:
        ValueError: if no two rows have the same label: such a batch has nothing to learn from.

    Example:
        >>> corners = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
        >>> triplet_margin_loss(corners, torch.tensor([0, 0, 1, 1]), margin=0.2).item()  # 0.2 - cos 90 + cos 0
        1.2000000476837158
    """
    if len(torch.unique(labels)) == len(labels):
        raise ValueError(f"labels: {len(labels)} rows, of which no two have the same label")
    compared = within_batch(unit_rows(embeddings), labels, excluded=None)
    value: LossValue = TripletLoss(margin=margin, distance=distance, miner=miner)(compared)
    return value.total


class TripletLoss(nn.Module):
    """max(0, margin - nearness(anchor, positive) + nearness(anchor, negative)), averaged over the triplets that cost.

    Nearness is the cosine similarity, or the Euclidean distance of the unit vectors with its sign changed.

    Args:
        margin: Margin in the unit of the distance; above 0.
        distance: `cosine` or `euclidean`.
        miner: Name of the miner, which chooses the triplets; an anchor whose nearest negative is excluded has its next
            one.
    """

    def __init__(self, *, margin: float, distance: DistanceName, miner: MinerName) -> None:
        super().__init__()
        self._margin = margin
        self._distance: DistanceName = distance
        self._miner: MinerName = miner

    def forward(self, compared: AnchorsAndReferences) -> LossValue:
        """The loss, 0 with a graph where nothing was mined."""
        return self._of_hardest(compared) if self._miner == "batch_hard" else self._of_counted(compared)

    def _of_hardest(self, compared: AnchorsAndReferences) -> LossValue:
        found = []
        with torch.no_grad():
            for rows in _row_blocks(compared):
                near = self._nearness(compared.embeddings[rows], compared.references)
                found.append(torch.stack(_hardest(near, compared.positives(rows), compared.negatives(rows))))
            is_mined, positives, negatives = torch.cat(found, dim=1)
        near_positive = self._pair_nearness(compared.embeddings, compared.references[positives])
        near_negative = self._pair_nearness(compared.embeddings, compared.references[negatives])
        costs = F.relu(self._margin - near_positive + near_negative).masked_fill(is_mined == 0, 0.0)
        active, mined = torch.count_nonzero(costs.detach()), is_mined.sum()
        return LossValue(total=costs.sum() / active.clamp(min=1), active_share=active / mined.clamp(min=1), mined=mined)

    def _of_counted(self, compared: AnchorsAndReferences) -> LossValue:
        near = self._nearness(compared.embeddings, compared.references)
        balances, counts = [], []
        with torch.no_grad():
            for rows in _row_blocks(compared):
                positives, negatives = compared.positives(rows), compared.negatives(rows)
                balances.append(self._balance(near[rows], positives, negatives))
                others = negatives.any(dim=1) if self._miner == "hard_negatives" else negatives.sum(dim=1)
                counts.append((positives.sum(dim=1) * others).sum())
            balance = torch.cat(balances)
            active = balance.clamp(min=0).sum(dim=1).long().sum()
            # A semi-hard triplet costs something by its definition.
            mined = active if self._miner == "semi_hard" else torch.stack(counts).sum()
        cost = active.to(near.dtype) * self._margin + (balance * near).sum(dim=1).sum()
        return LossValue(total=cost / active.clamp(min=1), active_share=active / mined.clamp(min=1), mined=mined)

    def _balance(self, near: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        if self._miner == "hard_negatives":
            return _count_with_nearest_negative(near, positives, negatives, margin=self._margin)
        semi_hard = self._miner == "semi_hard"
        return _count_pairs(near, positives, negatives, margin=self._margin, farther_than_positive=semi_hard)

    def _nearness(self, first: Tensor, second: Tensor) -> Tensor:
        if self._distance == "cosine":
            return torch.mm(first, second.T)
        distances: Tensor = torch.cdist(first, second)
        return -distances

    def _pair_nearness(self, first: Tensor, second: Tensor) -> Tensor:
        if self._distance == "cosine":
            return (first * second).sum(dim=1)
        distances: Tensor = torch.linalg.vector_norm(first - second, dim=1)
        return -distances


def _row_blocks(compared: AnchorsAndReferences) -> Iterator[slice]:
    anchors = len(compared.embeddings)
    pairs = _PAIRS_ON_CPU if compared.embeddings.device.type == "cpu" else _PAIRS_ELSEWHERE
    step = max(1, pairs // len(compared.references))
    for start in range(0, anchors, step):
        yield slice(start, min(start + step, anchors))


def _hardest(near: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(n,) 1 for an anchor with a positive and a negative, else 0; its farthest positive; its nearest negative."""
    least, farthest = near.masked_fill(~positives, torch.inf).min(dim=1)
    most, nearest = near.masked_fill(~negatives, -torch.inf).max(dim=1)
    return ((least != torch.inf) & (most != -torch.inf)).long(), farthest, nearest


def _count_with_nearest_negative(near: Tensor, positives: Tensor, negatives: Tensor, *, margin: float) -> Tensor:
    """What `_count_pairs` gives, of the triplets of every positive pair with the anchor's nearest negative."""
    most, nearest = near.masked_fill(~negatives, -torch.inf).max(dim=1)
    costly = (positives & (margin - near + most[:, None] > 0)).to(near.dtype)
    return (-costly).scatter_add_(1, nearest[:, None], costly.sum(dim=1, keepdim=True))


def _count_pairs(
    near: Tensor,
    positives: Tensor,
    negatives: Tensor,
    *,
    margin: float,
    farther_than_positive: bool,
) -> Tensor:
    """In how many triplets that cost anything each pair is the negative one, less those it is the positive of.

    Args:
        near: (n, R) nearness.
        positives: (n, R) bool.
        negatives: (n, R) bool.
        margin: Above which a triplet costs nothing.
        farther_than_positive: Whether only negatives farther than the positive count (semi-hard).

    Returns:
        (n, R) whole numbers; those above 0 add up to the triplets that cost anything.
    """
    # On a GPU to sort all of a row costs less than to wait for the largest number of positives.
    most = int(positives.sum(dim=1).max()) if near.device.type == "cpu" else near.shape[1]
    to_positive, which = near.masked_fill(~positives, torch.inf).topk(most, dim=1, largest=False)  # ascending (n, K)
    # A negative costs something with each positive that is less than the margin nearer than it: so many.
    enough = torch.searchsorted(to_positive - margin, near, right=False)
    of_positive = _at_or_after(enough, negatives.to(near.dtype), most)
    if farther_than_positive:
        nearer = torch.searchsorted(to_positive, near, right=True)
        of_positive -= _at_or_after(nearer, negatives.to(near.dtype), most)
        enough -= nearer
    balance = (enough * negatives).to(near.dtype)
    return balance.scatter_add_(1, which, -of_positive)


def _at_or_after(counts: Tensor, negatives: Tensor, most: int) -> Tensor:
    """(n, K): of each row's negatives, how many count the positive at each place, as those of a higher count do."""
    histogram = negatives.new_zeros(len(counts), most + 1)
    histogram.scatter_add_(1, counts, negatives)
    return histogram.flip(1).cumsum(dim=1).flip(1)[:, 1:]
