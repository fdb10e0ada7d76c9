"""Times the losses, forward and backward, beside other ways to compute the same, and tells what memory they take.

    OMP_NUM_THREADS=1 python scripts/bench/losses.py [--pairs 256 1024 4096] [--rows 512 1024] [--repeat 3]

Each figure is of a process of its own: the best processor time of some runs, and by how much a run made the largest
memory of the process grow. pytorch-metric-learning's NT-Xent and semi-hard mining take memory that grows with the third
power of the batch; NT-Xent is left out where that is more than `--memory` GB.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners
from torch import Tensor

from simtrain.losses.metric_learning import triplet_loss
from simtrain.losses.nt_xent import nt_xent_loss

Loss = Callable[[Tensor], Tensor]
FEATURES, TEMPERATURE, MARGIN, IMAGES_PER_GROUP = 128, 0.1, 0.2, 4
OURS = "simtrain"


def main() -> None:
    """Print one table, or one figure where this is the process of one."""
    options = arguments()
    if options.one is not None:
        kind, rival, size = options.one
        print(json.dumps(measured(CASES[kind][rival](), int(size), repeat=options.repeat)))
        return
    print(f"{'':14}{'rows':>7}  {'':28}{'ms':>10}{'MB':>9}{'times slower':>14}{'times memory':>14}")
    for kind, sizes in (
        ("nt_xent", [2 * pairs for pairs in options.pairs]),
        ("batch_hard", options.rows),
        ("semi_hard", options.rows),
    ):
        for size in sizes:
            print_rivals(kind, size, options)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[256, 1024, 4096], help="NT-Xent: pairs of views")
    parser.add_argument("--rows", type=int, nargs="+", default=[512, 1024], help="triplets: images of a batch")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the best counts")
    parser.add_argument("--memory", type=float, default=6.0, help="GB that a loss may take")
    parser.add_argument("--one", nargs=3, metavar=("KIND", "RIVAL", "ROWS"), help=argparse.SUPPRESS)
    return parser.parse_args()


def print_rivals(kind: str, size: int, options: argparse.Namespace) -> None:
    """A line for each way to compute one loss, the first ours."""
    base: dict[str, float] | None = None
    for rival in CASES[kind]:
        line = f"{kind:14}{size:>7}  {rival:28}"
        if rival == LIBRARY and kind == "nt_xent" and 16 * size**3 / 1e9 > options.memory:
            print(f"{line}needs about {16 * size**3 / 1e9:.0f} GB")
            continue
        if rival == LIGHTLY and find_spec("lightly") is None:
            print(f"{line}not installed")
            continue
        command = [sys.executable, Path(__file__), "--repeat", str(options.repeat), "--one", kind, rival, str(size)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        base = base or found
        slower, larger = found["ms"] / base["ms"], found["MB"] / base["MB"]
        print(f"{line}{found['ms']:10.1f}{found['MB']:9.0f}{slower:14.1f}{larger:14.1f}", flush=True)


def measured(loss: Loss, size: int, *, repeat: int) -> dict[str, float]:
    """Best processor time of a run, in ms, and growth of the process's largest memory, in MB."""
    torch.set_num_threads(1)
    run(loss, batch(16))
    embeddings = batch(size)
    before = largest_mb()
    seconds = [run(loss, embeddings) for _ in range(repeat)]
    return {"ms": 1000 * min(seconds), "MB": max(largest_mb() - before, 1.0)}


def batch(size: int) -> Tensor:
    """(size, FEATURES), groups of four; as NT-Xent sees it, unrelated views."""
    generator = torch.Generator().manual_seed(0)
    groups = torch.randn(size // IMAGES_PER_GROUP, FEATURES, generator=generator)
    noise = torch.randn(size, FEATURES, generator=generator)
    return (0.6 * groups.repeat_interleave(IMAGES_PER_GROUP, dim=0) + noise).requires_grad_()


def run(loss: Loss, embeddings: Tensor) -> float:
    """Processor seconds of a forward and a backward pass."""
    embeddings.grad = None
    began = time.process_time()
    loss(embeddings).backward()
    return time.process_time() - began


def largest_mb() -> float:
    """Largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cross_entropy(embeddings: Tensor) -> Tensor:
    """NT-Xent as it is usually written."""
    unit = F.normalize(embeddings, dim=1)
    count = len(unit)
    logits = (unit @ unit.T / TEMPERATURE).masked_fill(torch.eye(count, dtype=torch.bool), -torch.inf)
    return F.cross_entropy(logits, torch.arange(count).roll(count // 2))


def ours() -> Loss:
    """Our NT-Xent."""
    return lambda rows: nt_xent_loss(rows, temperature=TEMPERATURE, decoupled=False, excluded=None)


def library() -> Loss:
    """pytorch-metric-learning's NT-Xent."""
    loss = losses.SelfSupervisedLoss(losses.NTXentLoss(temperature=TEMPERATURE))
    return lambda rows: loss(*rows.chunk(2))


def lightly() -> Loss:
    """Lightly's NT-Xent."""
    from lightly.loss import NTXentLoss

    loss = NTXentLoss(temperature=TEMPERATURE)
    return lambda rows: loss(*rows.chunk(2))


def labels_of(rows: Tensor) -> Tensor:
    """Four images of each group."""
    return torch.arange(len(rows)) // IMAGES_PER_GROUP


def our_triplets(miner: str) -> Loss:
    """Our triplet loss."""
    loss = triplet_loss(margin=MARGIN, distance="cosine", miner=miner, memory=None)
    return lambda rows: loss(rows, labels_of(rows), excluded=None).total


def library_triplets(miner: Callable[[Tensor, Tensor], tuple[Tensor, ...]]) -> Loss:
    """pytorch-metric-learning's triplet loss."""
    loss = losses.TripletMarginLoss(margin=MARGIN, distance=distances.CosineSimilarity())
    return lambda rows: loss(rows, labels_of(rows), miner(rows.detach(), labels_of(rows)))


LIBRARY, LIGHTLY = "pytorch-metric-learning", "lightly"
CASES: dict[str, dict[str, Callable[[], Loss]]] = {
    "nt_xent": {OURS: ours, "plain cross-entropy": lambda: cross_entropy, LIGHTLY: lightly, LIBRARY: library},
    "batch_hard": {
        OURS: lambda: our_triplets("batch_hard"),
        LIBRARY: lambda: library_triplets(miners.BatchHardMiner(distance=distances.CosineSimilarity())),
    },
    "semi_hard": {
        OURS: lambda: our_triplets("semi_hard"),
        LIBRARY: lambda: library_triplets(
            miners.TripletMarginMiner(margin=MARGIN, type_of_triplets="semihard", distance=distances.CosineSimilarity())
        ),
    },
}


if __name__ == "__main__":
    main()
