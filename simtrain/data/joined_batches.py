"""Loader of large batches: loading processes hand them over in parts, so that shared memory holds little at once."""

# Shapes: B samples of a batch of this process, b of a part of it, V views, S = image_size.

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from typing_extensions import override

from simtrain.data.batch import Batch, Draw
from simtrain.data.samplers import EpochBatches
from simtrain.data.view_plans import joined_plans, stacked_pictures

PART_BYTES = 2**26
"""Most bytes of pixels that a loading process hands over at once."""

BATCHES_AHEAD = 2
"""Parts that each loading process has ready (torch's `prefetch_factor`)."""


def part_samples(sample_bytes: int) -> int:
    """Largest number of samples of a part, 1 or more."""
    return max(1, PART_BYTES // sample_bytes)


def shared_bytes(*, batch_bytes: int, workers: int) -> int:
    """Most bytes of pixels that the loading processes of one training process keep in shared memory."""
    return BATCHES_AHEAD * workers * min(batch_bytes, PART_BYTES)


class Parts(Sampler[list[Draw]]):
    """The batches of an epoch in parts.

    Args:
        batches: Batches of each epoch for this process.
        size: Samples of a part, the last of a batch may have fewer; 1 or more.
    """

    def __init__(self, *, batches: EpochBatches, size: int) -> None:
        self._batches = batches
        self._size = size

    @override
    def __iter__(self) -> Iterator[list[Draw]]:
        for batch in self._batches:
            for start in range(0, len(batch), self._size):
                yield batch[start : start + self._size]

    def __len__(self) -> int:
        """Number of parts in a whole epoch."""
        return len(self._batches) * self.of_a_batch

    @property
    def of_a_batch(self) -> int:
        """Number of parts of a batch."""
        return -(-self._batches.samples // self._size)


class JoinedBatches:
    """Yields whole `Batch`es of a loader that loads their parts.

    Args:
        loader: Loader of `parts`, in their order.
        parts: How batches are divided.
        pin_memory: Whether batches are joined in page-locked memory, for a GPU.
    """

    def __init__(self, loader: DataLoader[Any], *, parts: Parts, pin_memory: bool) -> None:
        self._loader = loader
        self._parts = parts
        self._pin_memory = pin_memory

    def __len__(self) -> int:
        """Number of batches in a whole epoch."""
        return len(self._parts) // self._parts.of_a_batch

    def __iter__(self) -> Iterator[Batch]:
        """The batches that are left of the epoch."""
        loaded = iter(self._loader)
        while parts := list(islice(loaded, self._parts.of_a_batch)):
            yield self._joined(parts)

    def _joined(self, parts: Sequence[Batch]) -> Batch:
        def join(facts: Callable[[Batch], Tensor]) -> Tensor:
            tensors = [facts(part) for part in parts]
            shape = (sum(len(tensor) for tensor in tensors), *tensors[0].shape[1:])
            whole = torch.empty(shape, dtype=tensors[0].dtype, pin_memory=self._pin_memory)
            return torch.cat(tensors, out=whole)

        plans = [part.plan for part in parts if part.plan is not None]
        planned = bool(plans)  # then pictures of one part may be larger than those of another
        return Batch(
            views=stacked_pictures([part.views for part in parts], pin_memory=self._pin_memory)
            if planned
            else join(lambda part: part.views),
            labels=join(lambda part: part.labels),
            rows=join(lambda part: part.rows),
            plan=joined_plans(plans) if planned else None,
        )
