"""NT-Xent, the loss of SimCLR (https://arxiv.org/abs/2002.05709, equation 1), and its decoupled form."""

# Shapes: B pairs, N = 2·B views, D features.

import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.losses.false_negatives import PairMask
from simtrain.losses.tiles import log_sum_exp_of_others, unit_rows


def nt_xent_loss(
    embeddings: Tensor, *, temperature: float = 0.1, decoupled: bool = False, excluded: PairMask | None = None
) -> Tensor:
    """Mean cross-entropy of picking each view's partner among the other N - 1 views.

    Computed in float32 at least, whatever the input's precision: a bfloat16 similarity is off by up to 0.004, divided
    by the temperature. Memory grows with N·D, not with N².

    Args:
        embeddings: (N, D) embeddings; rows i and i + B are the views of one pair; need not be of unit length.
        temperature: Divides the cosine similarities; above 0.
        decoupled: Leave the partner out of the denominator (https://arxiv.org/abs/2110.06848, equations 5 and 6). A
            view without any negative is then only drawn to its partner.
        excluded: Pairs of the N rows that are no negatives; a view's partner stays its positive. None: all other views
            are negatives.

    Returns:
        Scalar; 0 or more unless decoupled. Equal embeddings everywhere give log(N - 1), decoupled log(N - 2).

    Raises:
        ValueError: if N is odd or below 4 (one pair has no negatives), or the temperature is not above 0.

    Example:
        >>> loss = nt_xent_loss(torch.ones(4, 8), temperature=0.5)
        >>> round(loss.item(), 4)  # log 3
        1.0986
    """
    views = len(embeddings)
    if views % 2 or views < 4:
        raise ValueError(f"embeddings: got {views} rows; NT-Xent needs an even number, 4 or more")
    if not temperature > 0:
        raise ValueError(f"temperature: got {temperature}; must be above 0")
    pairs = views // 2

    def leave_out(tile: Tensor, first: slice, second: slice) -> None:
        if excluded is not None:
            tile.masked_fill_(excluded.block(first, second), -torch.inf)
        for partner in (pairs, -pairs):
            offset = first.start + partner - second.start
            if -tile.shape[0] < offset < tile.shape[1]:
                tile.diagonal(offset).fill_(-torch.inf)

    with torch.autocast(embeddings.device.type, enabled=False):
        unit = unit_rows(embeddings)
        with_partner = (unit[:pairs] * unit[pairs:]).sum(dim=1).repeat(2) / temperature
        with_negatives = log_sum_exp_of_others(unit, temperature=temperature, leave_out=leave_out)
        if decoupled:
            without = with_negatives == -torch.inf
            return (with_negatives.masked_fill(without, 0) - with_partner).mean()
        # log(e^n + e^p) - p without the loss of digits where the partner outweighs the rest.
        return F.softplus(with_negatives - with_partner, threshold=40).mean()
