"""Times exact ranking beside a plain float32 loop of `torch.topk`, in alternation, on one thread.

    python scripts/bench/ranking.py [--queries 4000] [--gallery 20000] [--features 512 2048] [--rounds 3]

Products of five pictures; `easy` ones are found first almost always, `hard` ones one time in six, so that most queries
ask how far down their first find is. The loop knows no ties, no relevance and no metrics.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import normalize

from simtrain.evaluation.leading import nearest_neighbours
from simtrain.evaluation.metrics import score_queries
from simtrain.evaluation.ranking import Ranking
from simtrain.evaluation.retrieval_set import RetrievalSet

K, PICTURES, PAIRS_AT_ONCE = 10, 5, 2**23
NOISE = {"easy": 1.8, "hard": 3.0}


def retrieval(queries: int, gallery: int, features: int, *, noise: float) -> RetrievalSet:
    """Products around random centres."""
    generator = torch.Generator().manual_seed(0)
    centres = normalize(torch.randn(-(-gallery // PICTURES), features, generator=generator), dim=1)
    spread = noise * torch.randn(gallery, features, generator=generator) / features**0.5
    vectors = normalize(centres.repeat_interleave(PICTURES, 0)[:gallery] + spread, dim=1)
    ids, groups = [f"{row:07}" for row in range(gallery)], np.arange(gallery) // PICTURES
    return RetrievalSet(
        query_embeddings=vectors[:queries],
        gallery_embeddings=vectors,
        query_ids=ids[:queries],
        gallery_ids=ids,
        query_groups=groups[:queries],
        gallery_groups=groups,
    )


def plain_loop(items: RetrievalSet) -> None:
    """The nearest 10 and the query itself."""
    step = max(1, PAIRS_AT_ONCE // len(items.gallery_ids))
    for start in range(0, len(items.query_ids), step):
        torch.topk(items.query_embeddings[start : start + step] @ items.gallery_embeddings.T, K + 1)


def neighbours(items: RetrievalSet) -> None:
    """The nearest 10 with exact ties."""
    ranking = Ranking.of(
        items.query_embeddings, items.gallery_embeddings, query_ids=items.query_ids, gallery_ids=items.gallery_ids
    )
    nearest_neighbours(ranking, k=K)


def seconds(work: Callable[[RetrievalSet], object], items: RetrievalSet) -> float:
    """Processor time."""
    begun = time.process_time()
    work(items)
    return time.process_time() - begun


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=4000)
    parser.add_argument("--gallery", type=int, default=20000)
    parser.add_argument("--features", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for features in given.features:
        for name, noise in NOISE.items():
            items = retrieval(given.queries, given.gallery, features, noise=noise)
            rounds = [
                [seconds(work, items) for work in (plain_loop, neighbours, score_queries)] for _ in range(given.rounds)
            ]
            loop, nearest, scored = np.transpose(rounds)
            pairs = given.queries * given.gallery
            told = [f"{label} {np.median(part / loop):.2f} ({(part / loop).min():.2f} to {(part / loop).max():.2f})"
                    for label, part in (("nearest 10", nearest), ("metrics", scored))]  # fmt: skip
            print(f"{features} features, {name}: loop {1e9 * loop.min() / pairs:.1f} ns a pair; times the loop:", *told)


if __name__ == "__main__":
    main()
