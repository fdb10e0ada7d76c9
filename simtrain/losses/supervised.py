"""The supervised contrastive loss (https://arxiv.org/abs/2004.11362, equation 2)."""

# Shapes: N embeddings, D features.

import torch
from torch import Tensor

from simtrain.losses.false_negatives import PairMask
from simtrain.losses.tiles import log_sum_exp_of_others, unit_rows


def supervised_contrastive_loss(
    embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1, excluded: PairMask | None = None
) -> Tensor:
    """Mean over the anchors of the mean cross-entropy of picking one of the anchor's positives among all other rows.

    An anchor is a row with another row of its label. Computed in float32 at least, in memory that grows with N·D.

    Args:
        embeddings: (N, D) embeddings; need not be of unit length.
        labels: (N,) int64, -1 where unknown: such a row is a negative of every anchor, and no anchor.
        temperature: Divides the cosine similarities; above 0.
        excluded: Pairs of the N rows that are no negatives; rows of one label stay positives. None: all pairs of
            different labels are negatives.

    Returns:
        Scalar. N equal embeddings give log(N - 1).

    Raises:
        ValueError: if no two rows have the same known label, or the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature: got {temperature}; must be above 0")
    classes, group = torch.unique(labels, return_inverse=True)
    sizes = torch.bincount(group, minlength=len(classes))
    anchors = (labels >= 0) & (sizes[group] > 1)
    if not anchors.any():
        raise ValueError(f"labels: {len(labels)} rows, of which no two have the same known label")

    def leave_out(tile: Tensor, first: slice, second: slice) -> None:
        if excluded is not None:
            positives = (labels[first, None] == labels[second]) & (labels[first, None] >= 0)
            tile.masked_fill_(excluded.block(first, second) & ~positives, -torch.inf)

    with torch.autocast(embeddings.device.type, enabled=False):
        unit = unit_rows(embeddings)
        # The mean similarity to the positives is that to their mean: their sum is that of the class less oneself.
        sums = unit.new_zeros(len(classes), unit.shape[1]).index_add(0, group, unit)
        positives = (sums[group[anchors]] - unit[anchors]) / (sizes[group[anchors], None] - 1)
        with_positives = (unit[anchors] * positives).sum(dim=1) / temperature
        among_others = log_sum_exp_of_others(unit, temperature=temperature, leave_out=leave_out)
        return (among_others[anchors] - with_positives).mean()
