"""Teacher embeddings for relational distillation: joined image sizes, half-whitening, neighbour averaging."""

# Shapes: N images, D dimensions of an encoder, C of the teacher, k neighbours, n rows of a block.

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.encoders.whitening import fit_whitening

_SIMILARITIES_AT_ONCE = 2**24  # of a block of the matrix of similarities
_WEIGHT_POWER = 3


@dataclass(frozen=True, kw_only=True)
class TeacherSpace:
    """Settings by which teacher vectors are made from an encoder's embeddings.

    Attributes:
        whitening_power: Each principal axis is divided by its variance to this power, 0 to 0.5: 0 leaves their lengths,
            0.25 whitens half, 0.5 wholly.
        dimensions: C at most, 1 or more; None: all.
        neighbours: k, the vectors that are averaged into one, itself among them; 1: none but itself.
    """

    whitening_power: float
    dimensions: int | None
    neighbours: int


def teacher_vectors(embeddings: Sequence[Tensor], *, space: TeacherSpace, apart: Sequence[Tensor]) -> Tensor:
    """Teacher vectors, whose similarities the student learns.

    Args:
        embeddings: (N, D) unit vectors of the same images for each image size, or for each encoder; joined, so that
            similarities are averaged.
        space: Whitening, dimensions and number of neighbours.
        apart: (N,) int64 numbers each, such as makers: neighbours are looked for among images of other numbers.

    Returns:
        (N, C) float32 of unit length. C is at most N - 1: so many images vary along no more axes.

    Raises:
        CatalogError: if the embeddings do not differ.
        ValueError: for settings out of their range.
    """
    joined = F.normalize(torch.cat(list(embeddings), dim=1), dim=1)
    whitening = fit_whitening(joined, dimensions=space.dimensions, shrinkage=0, power=space.whitening_power)
    return neighbour_averages(whitening(joined), neighbours=space.neighbours, apart=apart)


def mirror_average(embeddings: Tensor, mirrored: Tensor) -> Tensor:
    """(N, D) unit vectors of images and of their mirror images -> (N, D) unit vectors halfway between."""
    return F.normalize(embeddings + mirrored, dim=1)


def neighbour_averages(embeddings: Tensor, *, neighbours: int, apart: Sequence[Tensor]) -> Tensor:
    """Mean of each vector and its nearest ones, weighted by similarity³ (database-side feature augmentation).

    Arandjelović and Zisserman, "Three things everyone should know to improve object retrieval" (CVPR 2012, section 4),
    average what is near in a database; the weights are those of alpha query expansion (Radenović et al.,
    https://arxiv.org/abs/1711.02512, section 3.3). The search is exact: N² similarities, in blocks.

    Args:
        embeddings: (N, C) unit vectors.
        neighbours: k, itself among them; 1 or more. With fewer images to choose from, all of them.
        apart: (N,) int64 numbers each: an image with the same number, 0 or more, is no neighbour.

    Returns:
        (N, C) of unit length, on the same device. What is not similar (0 or less) has no weight.

    Raises:
        ValueError: if `neighbours` is below 1.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours: got {neighbours}; must be 1 or more")
    if neighbours == 1 or len(embeddings) < 2:
        return embeddings
    others = min(neighbours, len(embeddings)) - 1
    averages = torch.empty_like(embeddings)
    rows = max(1, _SIMILARITIES_AT_ONCE // len(embeddings))
    for start in range(0, len(embeddings), rows):
        block = slice(start, min(start + rows, len(embeddings)))
        similarities = embeddings[block] @ embeddings.T
        similarities.diagonal(start).fill_(0)  # itself comes in with weight 1, whatever is left out
        for numbers in apart:
            similarities[(numbers[block, None] == numbers) & (numbers[block, None] >= 0)] = 0
        nearest, places = similarities.topk(others, dim=1)
        weights = nearest.clamp_(min=0) ** _WEIGHT_POWER
        averages[block] = embeddings[block] + torch.einsum("nk,nkc->nc", weights, embeddings[places])
    return F.normalize(averages, dim=1)
