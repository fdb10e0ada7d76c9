"""Geometry of a split's embeddings: mean similarity, isotropy, effective rank, uniformity, alignment.

Figures of the encoder, not of the search: a high number here is no proof of good neighbours, but a collapsed or a
crowded space shows before any query has been asked.
"""

# Shapes: N embeddings, D features, M sampled embeddings, K groups, E directions, B embeddings of one block.

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.metrics import NO_GROUP
from simtrain.training.tracking.embedding_statistics import alignment, effective_rank, uniformity

_BLOCK_ELEMENTS = 2**22
"""Similarities held at once: 16 MiB of float32."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Geometry of one encoder's embeddings on one split."""

    mean_similarity: float
    """Mean cosine of two different embeddings, -1 to 1, over all pairs. 0 where no direction is preferred; 1 where all
    are one point."""
    isotropy: float
    """Least over greatest partition function along the principal directions, e⁻² = 0.135 (one point) to 1 (no direction
    is preferred): Mu & Viswanath 2018, https://arxiv.org/abs/1702.01417, section 2."""
    effective_rank: float
    """Dimensions that are in use, 1 to min(M, D): Roy & Vetterli 2007, definition 1."""
    uniformity: float
    """Logarithm of the mean Gaussian potential of pairs, -8 to 0; lower is more uniform: Wang & Isola 2020,
    https://arxiv.org/abs/2005.10242, section 4.1.2."""
    alignment: float | None
    """Mean squared distance of all pairs of one group, 0 to 4, lower is closer; None without a pair. Ibid., 4.1.1."""
    features: int
    """D, the size of an embedding."""
    rows: int
    """N, embeddings behind mean_similarity and alignment."""
    sampled_rows: int
    """M, embeddings behind the other three."""

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain values for JSON."""
        return asdict(self)


def geometry(embeddings: Tensor, groups: NDArray[np.int64], *, most_rows: int, seed: int) -> Geometry:
    """Figures of unit embeddings: mean similarity and alignment of all rows, the other three of a sample.

    Args:
        embeddings: (N, D) rows of length 1, N at least 2.
        groups: (N,) equal where rows are relevant to each other; -1: relevant to none.
        most_rows: Number of rows in the sample, at least 2; with as many or fewer rows there is no sampling. Encoders
            are comparable at the same N and most_rows only: few rows cannot fill many dimensions.
        seed: Seed of the sample; >= 0.

    Raises:
        ValueError: Fewer than two rows, sizes that differ, or most_rows < 2.
    """
    if len(embeddings) < 2 or most_rows < 2:
        raise ValueError(f"got {len(embeddings)} embeddings and most_rows {most_rows}; allowed: 2 or more of each")
    if groups.shape != (len(embeddings),):
        raise ValueError(f"groups has shape {groups.shape}, but there are {len(embeddings)} embeddings")
    vectors = embeddings.detach()
    sample = vectors[_sampled(len(vectors), most_rows=most_rows, seed=seed).to(vectors.device)]
    return Geometry(
        mean_similarity=mean_similarity(vectors),
        isotropy=partition_isotropy(sample),
        effective_rank=effective_rank(sample),
        uniformity=uniformity_of(sample),
        alignment=alignment_of(vectors, groups),
        features=vectors.shape[1],
        rows=len(vectors),
        sampled_rows=len(sample),
    )


def mean_similarity(embeddings: Tensor) -> float:
    """Mean dot product of two different rows of (N, D): (|Σv|² - Σ|v|²) / (N · (N - 1))."""
    total = embeddings.sum(dim=0, dtype=torch.float64)
    own = embeddings.double().square().sum()
    return float((total.square().sum() - own) / (len(embeddings) * (len(embeddings) - 1)))


def partition_isotropy(embeddings: Tensor) -> float:
    """Least over greatest of Z(c) = Σ exp(c · v) over c, both senses of each principal direction of (N, D).

    The paper leaves the sense of an eigenvector to the solver, which would make the figure depend on the machine.
    """
    wide = embeddings.double()
    # Directions of which the rows have nothing are all alike (Z = N), so it does not matter which ones a solver takes.
    if len(wide) < wide.shape[1]:  # the same from the smaller matrix, with one of these directions
        squares, vectors = torch.linalg.eigh(wide @ wide.T)
        along = torch.cat([vectors * squares.clamp_min(0).sqrt(), torch.zeros_like(vectors[:, :1])], dim=1)
    else:
        along = wide @ torch.linalg.eigh(wide.T @ wide)[1]
    partitions = torch.cat([along.exp().sum(dim=0), (-along).exp().sum(dim=0)])
    return float(partitions.min() / partitions.max())


def uniformity_of(embeddings: Tensor) -> float:
    """Uniformity of all pairs of different rows of (N, D), in blocks of similarities."""
    potentials, pairs = 0.0, 0
    step = max(1, _BLOCK_ELEMENTS // len(embeddings))
    for start in range(0, len(embeddings) - 1, step):
        similarities = embeddings[start : start + step] @ embeddings[start:].T
        rows, columns = np.triu_indices(similarities.shape[0], k=1, m=similarities.shape[1])
        of_block = similarities.cpu().numpy()[rows, columns]
        potentials += float(np.exp(uniformity(of_block))) * len(of_block)
        pairs += len(of_block)
    return float(np.log(potentials / pairs))


def alignment_of(embeddings: Tensor, groups: NDArray[np.int64]) -> float | None:
    """Mean squared distance of all pairs of one group, each pair once, 0 to 4; None without one.

    The mean over pairs needs no pairs: those of a group sum up to (|Σv|² - Σ|v|²) / 2.

    Args:
        embeddings: (N, D) rows of length 1.
        groups: (N,) equal where rows are relevant to each other; -1: relevant to none.
    """
    grouped = np.flatnonzero(groups != NO_GROUP)
    _, group_of_row, sizes = np.unique(groups[grouped], return_inverse=True, return_counts=True)
    pairs = int((sizes * (sizes - 1)).sum()) // 2
    if pairs == 0:
        return None
    rows = torch.from_numpy(grouped).to(embeddings.device)
    vectors = embeddings[rows].double()
    sums = torch.zeros((len(sizes), embeddings.shape[1]), dtype=torch.float64, device=embeddings.device)
    sums.index_add_(0, torch.from_numpy(group_of_row).to(embeddings.device), vectors)
    similarity = float(sums.square().sum() - vectors.square().sum()) / (2 * pairs)
    return alignment(np.array([similarity]))


def _sampled(rows: int, *, most_rows: int, seed: int) -> Tensor:
    """Rows of the sample, ascending."""
    if rows <= most_rows:
        return torch.arange(rows)
    chosen = np.random.default_rng(seed).choice(rows, size=most_rows, replace=False)
    return torch.from_numpy(np.sort(chosen))
