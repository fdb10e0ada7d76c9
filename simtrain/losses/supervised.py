"""The supervised contrastive loss (https://arxiv.org/abs/2004.11362, equation 2)."""

# Shapes: N embeddings, D features.

import torch
from torch import Tensor

from simtrain.losses.false_negatives import PairMask
from simtrain.losses.tiles import log_sum_exp_of_others, unit_rows


def supervised_contrastive_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    temperature: float = 0.1,
    excluded: PairMask | None = None,
    unpaired: Tensor | None = None,
) -> Tensor:
    """Mean over the anchors of the mean cross-entropy of picking one of the anchor's positives among all other rows.

    An anchor is a row that is paired with another row of its label. Computed in float32 at least, in memory that grows
    with N·D.

    Args:
        embeddings: (N, D) embeddings; need not be of unit length.
        labels: (N,) int64, -1 where unknown: such a row is a negative of every anchor, and no anchor.
        temperature: Divides the cosine similarities; above 0.
        excluded: Pairs of the N rows that are no negatives; rows of one label stay positives. None: all pairs of
            different labels are negatives.
        unpaired: (N,) int64: two rows with the same number, 0 or more, are neither positives nor negatives of each
            other, such as images of one product where labels are categories. None: all rows are paired.

    Returns:
        Scalar. N equal embeddings give log(N - 1).

    Raises:
        ValueError: if no two paired rows have the same known label, or the temperature is not above 0.
    """
    loss, anchors = supervised_contrastive_loss_or_zero(
        embeddings, labels, temperature=temperature, excluded=excluded, unpaired=unpaired
    )
    if int(anchors) == 0:
        pair = "" if unpaired is None else " and are paired"
        raise ValueError(f"labels: {len(labels)} rows, of which no two have the same known label{pair}")
    return loss


def supervised_contrastive_loss_or_zero(
    embeddings: Tensor,
    labels: Tensor,
    *,
    temperature: float = 0.1,
    excluded: PairMask | None = None,
    unpaired: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`supervised_contrastive_loss`, and over how many anchors it is the mean, both scalars.

    Where no two paired rows have the same known label there are 0 anchors, and loss and gradient are 0. No host waits
    for its GPU to know that.
    """
    if not temperature > 0:
        raise ValueError(f"temperature: got {temperature}; must be above 0")
    classes, shared, positives = _groups(labels, unpaired)
    anchors = (labels >= 0) & (positives > 0)
    count = torch.count_nonzero(anchors)

    def leave_out(tile: Tensor, first: slice, second: slice) -> None:
        if excluded is not None:
            alike = (labels[first, None] == labels[second]) & (labels[first, None] >= 0)
            tile.masked_fill_(excluded.block(first, second) & ~alike, -torch.inf)
        if unpaired is not None:
            tile.masked_fill_((unpaired[first, None] == unpaired[second]) & (unpaired[second] >= 0), -torch.inf)

    with torch.autocast(embeddings.device.type, enabled=False):
        unit = unit_rows(embeddings)
        # The mean similarity to the positives is that to their mean: the sum of the class less that of the unpaired.
        mean = (_sums(unit, classes) - _sums(unit, shared)) / positives.clamp(min=1)[:, None]
        with_positives = (unit * mean).sum(dim=1) / temperature
        among_others = log_sum_exp_of_others(unit, temperature=temperature, leave_out=leave_out)
        costs = (among_others - with_positives).masked_fill(~anchors, 0.0)
        return costs.sum() / count.clamp(min=1), count


def _groups(labels: Tensor, unpaired: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """(N,) numbers of a row's label, of the rows of its label that it is not paired with, and the count of positives.

    A row is not paired with itself.
    """
    own = torch.arange(len(labels), device=labels.device)
    if unpaired is not None:
        own = torch.where(unpaired >= 0, unpaired, own + unpaired.max() + 1)
    classes = _numbered(labels)
    shared = _numbered(classes * len(labels) + _numbered(own))
    return classes, shared, _sizes(classes) - _sizes(shared)


# What follows makes as many groups as there are rows, most of them empty: a GPU's host would wait for their number.


def _numbered(values: Tensor) -> Tensor:
    """(N,) place of each value among the different ones, from 0, as `torch.unique` numbers them."""
    ordered, order = values.sort()
    begins = torch.cat([torch.zeros_like(ordered[:1]), (ordered[1:] != ordered[:-1]).long()])
    return torch.empty_like(values).scatter(0, order, begins.cumsum(0))


def _sizes(groups: Tensor) -> Tensor:
    """(N,) number of rows in each row's group."""
    return torch.zeros_like(groups).scatter_add(0, groups, torch.ones_like(groups))[groups]


def _sums(unit: Tensor, groups: Tensor) -> Tensor:
    """(N, D): of each row the sum over the rows of its group."""
    return torch.zeros_like(unit).index_add(0, groups, unit)[groups]
