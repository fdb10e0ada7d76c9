"""Cross-batch memory (https://arxiv.org/abs/1912.06798): embeddings of earlier batches as further references."""

# Shapes: M embeddings that the memory holds at most, m that it holds now, N embeddings of a batch, D features.

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override


class CrossBatchMemory(nn.Module):
    """A ring of the latest embeddings, their labels and their catalogue rows; the oldest go first.

    All of it is in buffers, so a checkpoint carries it and the run goes on exactly as it would have.

    Args:
        size: Number of embeddings that it holds, M; 1 or more.
        embedding_size: Length of an embedding, D.
        start_step: Number of batches that are ignored before it begins to fill.
    """

    embeddings: Tensor
    labels: Tensor
    rows: Tensor
    count: Tensor
    position: Tensor
    passed: Tensor

    def __init__(self, *, size: int, embedding_size: int, start_step: int) -> None:
        super().__init__()
        self._start_step = start_step
        self.register_buffer("embeddings", torch.zeros(size, embedding_size))
        self.register_buffer("labels", torch.full((size,), -1))
        self.register_buffer("rows", torch.full((size,), -1))
        for name in ("count", "position", "passed"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))
        self._counted: tuple[int, int, int] | None = None

    def __len__(self) -> int:
        """Number of embeddings that it holds now, m."""
        return self._counts()[0]

    def held(self) -> tuple[Tensor, Tensor, Tensor]:
        """(m, D) embeddings, (m,) labels and (m,) catalogue rows that it holds now, in no particular order."""
        count = len(self)
        return self.embeddings[:count], self.labels[:count], self.rows[:count]

    @torch.no_grad()
    def store(self, embeddings: Tensor, labels: Tensor, rows: Tensor | None, *, valid: Tensor | None = None) -> None:
        """Take a batch in; of one larger than the memory, its last rows.

        Args:
            embeddings: (N, D); their gradient is dropped.
            labels: (N,) int64.
            rows: (N,) int64 catalogue rows; None: unknown.
            valid: Scalar bool; False leaves every buffer, and so the next checkpoint, as it was. This object takes it
                for True, as no host waits to know it: whoever goes on with it has to have seen that. None: True.
        """
        count, position, passed = self._counts()
        size, new, passed = len(self.embeddings), min(len(embeddings), len(self.embeddings)), passed + 1
        if valid is None:
            valid = torch.ones((), dtype=torch.bool, device=self.embeddings.device)
        if passed > self._start_step:
            places = (position + torch.arange(new, device=self.position.device)) % size
            rows = torch.full_like(labels, -1) if rows is None else rows
            for buffer, values in ((self.embeddings, embeddings), (self.labels, labels), (self.rows, rows)):
                buffer[places] = torch.where(valid, values[-new:].detach().to(buffer.dtype), buffer[places])
            count, position = min(count + new, size), (position + new) % size
        for number, value in ((self.count, count), (self.position, position), (self.passed, passed)):
            number.copy_(torch.where(valid, value, number))
        self._counted = count, position, passed

    def _counts(self) -> tuple[int, int, int]:
        """Count, position and passed, which a host reads from its GPU once, after a checkpoint was loaded."""
        if self._counted is None:
            self._counted = int(self.count), int(self.position), int(self.passed)
        return self._counted

    @override
    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._counted = None
