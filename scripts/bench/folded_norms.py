"""A network with its norms folded into its convolutions beside the network as it is: training and embedding on a CPU.

    scripts/bench/folded_norms.py

The two take turns, so that what else the machine does meets both; pictures a second, the median of the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simtrain.encoders.folded_norms import apply_folded
from simtrain.encoders.memory_format import in_fast_memory

TRAINED, EMBEDDED = (96, 160), (20, 224)
"""Pictures at once and their side in pixels."""

Apply = Callable[[nn.Module, Tensor], Tensor]


def plain(network: nn.Module, images: Tensor) -> Tensor:
    """The network as it is."""
    features: Tensor = network(images)
    return features


def train(network: nn.Module, apply: Apply) -> float:
    """Seconds of a step with held norms."""
    network.train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    images = in_order(TRAINED)
    start = time.perf_counter()
    features = F.normalize(apply(network, images))
    (features @ features.T).square().mean().backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - start


def embed(network: nn.Module, apply: Apply) -> float:
    """Seconds of a pass without gradients."""
    network.eval()
    images = in_order(EMBEDDED)
    start = time.perf_counter()
    with torch.inference_mode():
        apply(network, images)
    return time.perf_counter() - start


def in_order(size: tuple[int, int]) -> Tensor:
    """(N, 3, S, S) random images, channels last as they are in training."""
    count, side = size
    return torch.randn(count, 3, side, side).to(memory_format=torch.channels_last)


def main() -> None:
    """Print a line for training and one for embedding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tf_efficientnet_lite0")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    network = in_fast_memory(timm.create_model(given.model, num_classes=0))
    for name, step, (count, side) in (("training", train, TRAINED), ("embedding", embed, EMBEDDED)):
        seconds: dict[Apply, list[float]] = {plain: [], apply_folded: []}
        for _ in range(given.rounds + 1):
            for apply, taken in seconds.items():
                taken.append(step(network, apply))
        rate = {apply: count / statistics.median(taken[1:]) for apply, taken in seconds.items()}
        ratio = rate[apply_folded] / rate[plain]
        print(f"{name} at {side} px: {rate[plain]:.1f} -> {rate[apply_folded]:.1f} pictures/s, {ratio:.2f} times")


if __name__ == "__main__":
    main()
