"""Batches of an epoch as the rows that they hold; the draws of a batch are made when it is asked for."""

# Shapes: M batches of an epoch, B samples of a batch, V rows of a sample.

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from simtrain.data.batch import Draw


class PlannedBatches(Sequence[list[Draw]]):
    """The batches of one epoch: of a million samples the rows take 8 MB, and as many draws would take 300.

    Args:
        rows: (M, B, V) catalogue rows.
        epoch: Number of the epoch, from 0.
    """

    def __init__(self, rows: NDArray[np.int64], *, epoch: int) -> None:
        self._rows = rows
        self._epoch = epoch

    @override
    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, number: int) -> list[Draw]: ...

    @overload
    def __getitem__(self, number: slice) -> list[list[Draw]]: ...

    @override
    def __getitem__(self, number: int | slice) -> list[Draw] | list[list[Draw]]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        place = range(len(self))[number]
        samples = self._rows[place].tolist()
        first = place * len(samples)
        return [Draw(tuple(rows), self._epoch, position) for position, rows in enumerate(samples, start=first)]


@dataclass(frozen=True, kw_only=True)
class EpochPlan:
    """The batches of every epoch.

    Attributes:
        batches: Batches of an epoch, M.
        samples: Samples of a batch, B.
        rows: Epoch, from 0 -> its catalogue rows, (M, B, V).
    """

    batches: int
    samples: int
    rows: Callable[[int], NDArray[np.int64]]

    def __call__(self, epoch: int) -> PlannedBatches:
        """The batches of an epoch, given its number from 0."""
        return PlannedBatches(self.rows(epoch), epoch=epoch)
