"""Statistics of a batch's embeddings: similarities, alignment, uniformity, effective rank."""

# Shapes: N embeddings, D features, P pairs.

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOST_ROWS = 2048  # N² similarities and their quantiles: a third of a second on one CPU core
HISTOGRAM_EDGES = tuple(np.linspace(-1, 1, 51).tolist())


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """Cosine similarities of pairs, each -1 to 1.

    Attributes:
        mean: Mean similarity.
        std: Standard deviation of the similarities.
        low: 5th percentile.
        median: 50th percentile.
        high: 95th percentile.
        histogram: Number of pairs in each of the 50 bins between `HISTOGRAM_EDGES`.
    """

    mean: float
    std: float
    low: float
    median: float
    high: float
    histogram: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class EmbeddingStatistics:
    """Statistics of one batch.

    Attributes:
        positive: Similarities of pairs of one group; None where there is no such pair.
        negative: Similarities of pairs of two groups; None where there is no such pair.
        alignment: Mean squared distance of positive pairs, 0 to 4; None without one. Lower is better.
        uniformity: Logarithm of the mean Gaussian potential of all pairs, -8 to 0. Lower is more uniform.
        effective_rank: Number of dimensions in use, 1 to min(N, D).
        spread: Mean standard deviation of a dimension, times √D; 0 where all are alike, about 1 where they are uniform.
        mean_similarity: Mean cosine similarity of all pairs, -1 to 1.
        groups: Number of different groups.
    """

    positive: Distribution | None
    negative: Distribution | None
    alignment: float | None
    uniformity: float
    effective_rank: float
    spread: float
    mean_similarity: float
    groups: int

    def figures(self) -> dict[str, float]:
        """Name -> number, without the histograms."""
        found: dict[str, float] = {}
        for kind, distribution in (("positive", self.positive), ("negative", self.negative)):
            if distribution is not None:
                found |= {
                    f"{kind}_similarity_mean": distribution.mean,
                    f"{kind}_similarity_std": distribution.std,
                    f"{kind}_similarity_p05": distribution.low,
                    f"{kind}_similarity_p50": distribution.median,
                    f"{kind}_similarity_p95": distribution.high,
                }
        if self.alignment is not None:
            found["alignment"] = self.alignment
        found |= {
            "uniformity": self.uniformity,
            "effective_rank": self.effective_rank,
            "spread": self.spread,
            "mean_similarity": self.mean_similarity,
        }
        return found


def embedding_statistics(embeddings: Tensor, groups: Tensor) -> EmbeddingStatistics:
    """Statistics of at most `MOST_ROWS` of the rows, the same ones each time.

    Args:
        embeddings: (N, D) finite, of unit length, N at least 2.
        groups: (N,) equal where two rows are positives of each other.

    Raises:
        ValueError: for fewer than two rows.
    """
    if len(embeddings) < 2:
        raise ValueError(f"embeddings: {len(embeddings)} row; statistics of pairs need 2")
    chosen = representative_rows(groups.cpu().numpy(), most=MOST_ROWS)
    rows = torch.from_numpy(chosen).to(embeddings.device)
    vectors, kinds = embeddings.detach()[rows].float(), groups[rows.to(groups.device)].cpu().numpy()
    first, second = np.triu_indices(len(kinds), k=1)
    similarities = (vectors @ vectors.T).cpu().numpy()[first, second]
    alike = kinds[first] == kinds[second]
    positive = similarities[alike]
    return EmbeddingStatistics(
        positive=_distribution(positive),
        negative=_distribution(similarities[~alike]),
        alignment=alignment(positive) if len(positive) else None,
        uniformity=uniformity(similarities),
        effective_rank=effective_rank(vectors),
        spread=float(vectors.std(dim=0, correction=0).mean()) * vectors.shape[1] ** 0.5,
        mean_similarity=float(similarities.mean(dtype=np.float64)),
        groups=len(np.unique(kinds)),
    )


def alignment(positive_similarities: NDArray[np.floating]) -> float:
    """Mean squared distance of positive pairs, 0 to 4 (https://arxiv.org/abs/2005.10242, section 4.1.1, α = 2)."""
    return float((2 - 2 * positive_similarities.astype(np.float64)).mean())


def uniformity(similarities: NDArray[np.floating]) -> float:
    """Log of the mean of exp(-2 d²) over pairs, -8 to 0 (https://arxiv.org/abs/2005.10242, section 4.1.2, t = 2)."""
    return float(np.log(np.exp(4 * similarities.astype(np.float64) - 4).mean()))


def effective_rank(embeddings: Tensor) -> float:
    """Exponential of the entropy of the normalised singular values, 1 to min(N, D).

    Roy and Vetterli 2007, definition 1; as a judge of representations RankMe, https://arxiv.org/abs/2210.02885, eq. 1.

    Args:
        embeddings: (N, D), not centred.
    """
    wide = embeddings.double()  # squares of singular values: in float32 their noise alone would be a rank of 2 or 3
    smaller = wide @ wide.T if wide.shape[0] < wide.shape[1] else wide.T @ wide
    values = torch.linalg.eigvalsh(smaller).clamp(min=0).sqrt()
    shares = values / values.sum()
    return float(torch.special.entr(shares).sum().exp())


def representative_rows(groups: NDArray[np.int64], *, most: int) -> NDArray[np.int64]:
    """Rows of two members of each group, then of two more, until there are `most`; ascending.

    Groups come in the order in which the batch has them, so that pairs stay whole and no group is preferred.
    """
    if len(groups) <= most:
        return np.arange(len(groups))
    _, first_rows, inverse = np.unique(groups, return_index=True, return_inverse=True)
    by_group = np.argsort(inverse, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(inverse))[:-1]])
    member = np.empty(len(groups), dtype=np.int64)
    member[by_group] = np.arange(len(groups)) - np.repeat(starts, np.bincount(inverse))
    order = np.lexsort((member, first_rows[inverse], member // 2))
    return np.sort(order[:most])


def histograms(statistics: EmbeddingStatistics) -> dict[str, tuple[int, ...]]:
    """`positive` and `negative`, where there are such pairs -> number of pairs per bin."""
    both: Iterable[tuple[str, Distribution | None]] = (
        ("positive_similarity", statistics.positive),
        ("negative_similarity", statistics.negative),
    )
    return {name: found.histogram for name, found in both if found is not None}


def _distribution(similarities: NDArray[np.floating]) -> Distribution | None:
    """Distribution of (P,) similarities; None for no pair."""
    if not len(similarities):
        return None
    low, median, high = np.quantile(similarities, (0.05, 0.5, 0.95)).tolist()
    counts, _ = np.histogram(similarities.clip(-1, 1), bins=len(HISTOGRAM_EDGES) - 1, range=(-1, 1))
    return Distribution(
        mean=float(similarities.mean(dtype=np.float64)),
        std=float(similarities.std(dtype=np.float64)),
        low=low,
        median=median,
        high=high,
        histogram=tuple(counts.tolist()),
    )
