"""Interpolation of initial and fine-tuned weights (WiSE-FT, https://arxiv.org/abs/2109.01903, section 3).

A line between two sets of weights gives a network that keeps more of what the first one knew than the second does, and
often serves the second one's task better than either.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from simtrain.errors import CheckpointError

Images = TypeVar("Images")
_STATISTICS = ("running_mean", "running_var")


def mixed_weights(start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], *, alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) · start + alpha · tuned, in float32; what both have in common is bit for bit the same.

    Running statistics are mixed like weights, which is not what the mixed network would see: `estimate_statistics`.

    Args:
        start: State of the network with its initial weights.
        tuned: State of the same network after fine-tuning.
        alpha: Share of the fine-tuned weights, 0 to 1; 0 gives the initial and 1 the fine-tuned weights unchanged.

    Returns:
        State of the mix; counts and masks, which have no mean, are those of `tuned` where alpha is above 0.

    Raises:
        CheckpointError: for a tensor that only one of them has, or of another shape or kind in the other.
        ValueError: for an alpha out of range.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; allowed: 0 to 1")
    _check_one_make(start, tuned)
    if alpha in (0, 1):
        return {name: value.clone() for name, value in (tuned if alpha else start).items()}
    return {name: _between(start[name], value, alpha=alpha) for name, value in tuned.items()}


def moved_norms(network: nn.Module, start: Mapping[str, Tensor], tuned: Mapping[str, Tensor]) -> list[str]:
    """Names of the BatchNorms of a network whose running statistics differ between two states of it."""
    norms = [
        name
        for name, part in network.named_modules(remove_duplicate=False)
        if isinstance(part, _BatchNorm) and part.running_mean is not None
    ]
    return [name for name in norms if any(not torch.equal(start[key], tuned[key]) for key in _keys(name))]


def estimate_statistics(
    network: nn.Module, norms: Sequence[str], batches: Iterable[Images], *, see: Callable[[Images], object]
) -> dict[str, Tensor]:
    """Running statistics of a network whose weights are new, from images it is shown.

    They are plain averages over the batches (https://arxiv.org/abs/1803.05407, algorithm 1), in which each batch counts
    the same: give batches of one size, and images in random order. A mean of two networks' variances would not do: it
    is of the activations of neither the mix nor any other network.

    Args:
        network: Network to measure; it is put into evaluation mode and gets the new statistics; BatchNorms not in
            `norms` keep theirs.
        norms: Names of the BatchNorms to measure, as of `moved_norms`.
        batches: Batches of images, one or more.
        see: Passes a batch through the network.

    Returns:
        Name in the network's state -> tensor on the CPU.

    Raises:
        ValueError: without a batch.
    """
    parts = {name: cast(_BatchNorm, network.eval().get_submodule(name)) for name in norms}
    before = {part: (part.momentum, part.num_batches_tracked) for part in parts.values()}
    seen = 0
    try:
        for part in before:
            part.num_batches_tracked = torch.zeros_like(cast(Tensor, part.num_batches_tracked))
            part.momentum = None
            part.train()
        for batch in batches:
            see(batch)
            seen += 1
    finally:
        for part, (momentum, count) in before.items():
            part.momentum, part.num_batches_tracked = momentum, count
            part.eval()
    if not seen:
        raise ValueError("batches is empty; allowed: 1 or more")
    state = network.state_dict()
    return {key: state[key].detach().cpu().clone() for name in parts for key in _keys(name)}


def _between(start: Tensor, tuned: Tensor, *, alpha: float) -> Tensor:
    if not tuned.is_floating_point():
        return tuned.clone()
    before, after = start.float(), tuned.float()
    # Equal infinities of a mask have no difference to take a share of.
    return torch.where(before == after, after, torch.lerp(before, after, alpha))


def _check_one_make(start: Mapping[str, Tensor], tuned: Mapping[str, Tensor]) -> None:
    for one, other, whose in ((start, tuned, "start"), (tuned, start, "tuned one")):
        lone = [name for name in one if name not in other]
        if lone:
            raise CheckpointError(
                f"initial and fine-tuned encoder differ: only the {whose} has '{lone[0]}'"
                + (f" (and {len(lone) - 1} more)" if len(lone) > 1 else "")
            )
    for name, value in tuned.items():
        before = start[name]
        if before.shape != value.shape:
            raise CheckpointError(
                f"initial and fine-tuned encoder differ: '{name}' has shape {tuple(before.shape)} in the start "
                f"and {tuple(value.shape)} in the tuned one"
            )
        if before.is_floating_point() != value.is_floating_point():
            raise CheckpointError(
                f"initial and fine-tuned encoder differ: '{name}' is {before.dtype} in the start and "
                f"{value.dtype} in the tuned one"
            )


def _keys(norm: str) -> list[str]:
    return [f"{norm}.{statistic}" if norm else statistic for statistic in _STATISTICS]
