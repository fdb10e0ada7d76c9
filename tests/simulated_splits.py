"""Splits of products of very different sizes, whose truth is known, and the test that judges them."""

import numpy as np
from numpy.typing import NDArray

from simtrain.evaluation.paired_tests import sign_flip_p_values

Split = tuple[NDArray[np.float64], NDArray[np.int64]]


def p_value(differences: NDArray[np.float64], clusters: NDArray[np.int64], *, draws: int, seed: int = 0) -> float:
    return sign_flip_p_values({"map_at_r": differences}, clusters, draws=draws, seed=seed)["map_at_r"]


def skewed_clusters(generator: np.random.Generator, products: int) -> NDArray[np.int64]:
    """1 to 60 queries of each product: half of the products have 3 or fewer, a tenth 10 or more."""
    sizes = np.ceil(generator.lognormal(1.0, 1.0, products)).astype(np.int64).clip(1, 60)
    return np.repeat(np.arange(products), sizes)


def split_of_hits(generator: np.random.Generator, products: int) -> Split:
    """Queries right or wrong: products of very different difficulty, 0.8 of the queries right in the long run."""
    clusters = skewed_clusters(generator, products)
    difficulty = generator.beta(2.4, 0.6, products)
    return (generator.random(len(clusters)) < difficulty[clusters]).astype(np.float64), clusters


def split_of_differences(generator: np.random.Generator, products: int, *, truth: float) -> Split:
    """Differences of two encoders: every product has its own, and every query adds to it."""
    clusters = skewed_clusters(generator, products)
    own = generator.normal(truth, 0.15, products)
    return own[clusters] + generator.normal(0.0, 0.3, len(clusters)), clusters
