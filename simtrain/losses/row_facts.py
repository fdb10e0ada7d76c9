"""Facts of a catalogue's rows, looked up where a batch lies."""

# Shapes: C catalogue rows, N embeddings of a batch.

from torch import Tensor

LARGEST_ON_GPU = 1024**3
"""Bytes of facts that a GPU takes to itself; more are looked up on the host, for which each step waits."""


class RowFacts:
    """A table with one entry a catalogue row, looked up without a wait: it goes to the GPU of the first batch, once.

    Args:
        table: (C, …) facts by catalogue row, in memory of the host; a mapped file too.
        unknown: What an unknown row has.
    """

    def __init__(self, table: Tensor, *, unknown: float) -> None:
        self._table = table
        self._unknown = unknown

    def of(self, rows: Tensor) -> Tensor:
        """(N, …) facts, on the device of the rows.

        Args:
            rows: (N,) int64 catalogue rows; -1 where unknown.
        """
        device = rows.device
        if self._table.device != device and self._table.nbytes <= LARGEST_ON_GPU:
            self._table = self._table.to(device)
        found = self._table[rows.clamp(min=0).to(self._table.device)].to(device)
        return found.masked_fill((rows < 0).reshape(-1, *[1] * (found.dim() - 1)), self._unknown)
