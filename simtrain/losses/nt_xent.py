"""NT-Xent, the loss of SimCLR (https://arxiv.org/abs/2002.05709, equation 1)."""

# Shapes: B pairs, N = 2·B views, D features.

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent_loss(embeddings: Tensor, *, temperature: float) -> Tensor:
    """Mean cross-entropy of picking each view's partner among the other N - 1 views.

    Computed in float32 whatever the input's precision: a bfloat16 similarity is off by up to 0.004, divided by the
    temperature.

    Args:
        embeddings: (N, D), rows i and i + B are the views of one pair; need not be of unit length.
        temperature: Divides the cosine similarities; above 0.

    Returns:
        Scalar, 0 or more. Equal embeddings everywhere give log(N - 1).

    Raises:
        ValueError: if N is odd or below 4 (one pair has no negatives), or the temperature is not above 0.

    Example:
        >>> round(nt_xent_loss(torch.ones(4, 8), temperature=0.5).item(), 4)  # log 3
        1.0986
    """
    views = len(embeddings)
    if views % 2 or views < 4:
        raise ValueError(f"embeddings: got {views} rows; NT-Xent needs an even number, 4 or more")
    if not temperature > 0:
        raise ValueError(f"temperature: got {temperature}; must be above 0")
    with torch.autocast(embeddings.device.type, enabled=False):
        unit = F.normalize(embeddings.float(), dim=1)
        logits = unit @ unit.T / temperature
        itself = torch.eye(views, dtype=torch.bool, device=logits.device)
        among_others = logits.masked_fill(itself, -torch.inf).logsumexp(dim=1)
        with_partner = torch.cat([logits.diagonal(views // 2), logits.diagonal(-views // 2)])
        return (among_others - with_partner).mean()
