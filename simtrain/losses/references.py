"""What a loss on labels compares: the embeddings of a batch with themselves, and with those of a memory."""

# Shapes: N embeddings, D features, R that they are compared with.

from dataclasses import dataclass

import torch
from torch import Tensor

from simtrain.losses.false_negatives import PairMask


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Anchors, and the positives and negatives that they are compared with.

    Attributes:
        embeddings: (N, D) unit vectors, the anchors.
        labels: (N,) int64, equal where two are positives of each other.
        references: (R, D) unit vectors, of which the first N are the embeddings themselves.
        reference_labels: (R,) int64.
        excluded: Pairs that are no negatives, of the N against the R; None: all of different labels are.
    """

    embeddings: Tensor
    labels: Tensor
    references: Tensor
    reference_labels: Tensor
    excluded: PairMask | None

    @property
    def has_memory(self) -> bool:
        """Whether there is more to compare with than the batch."""
        return len(self.references) > len(self.embeddings)

    def positives(self, rows: slice) -> Tensor:
        """(n, R) bool of some of the anchors: other embeddings of their label."""
        found = self.labels[rows, None] == self.reference_labels
        found.diagonal(rows.start).fill_(False)
        return found

    def negatives(self, rows: slice) -> Tensor:
        """(n, R) bool of some of the anchors: embeddings of another label that are not excluded."""
        found = self.labels[rows, None] != self.reference_labels
        if self.excluded is not None:
            found &= ~self.excluded.block(rows, slice(0, len(self.references)))
        return found


def within_batch(embeddings: Tensor, labels: Tensor, *, excluded: PairMask | None) -> Comparison:
    """The comparison of a batch with itself."""
    return Comparison(
        embeddings=embeddings, labels=labels, references=embeddings, reference_labels=labels, excluded=excluded
    )


def with_held(
    embeddings: Tensor, labels: Tensor, *, held: tuple[Tensor, Tensor, Tensor], excluded: PairMask | None
) -> Comparison:
    """The comparison of a batch with itself and with what a memory holds: its embeddings, labels and rows."""
    more, more_labels, more_rows = held
    return Comparison(
        embeddings=embeddings,
        labels=labels,
        references=torch.cat([embeddings, more.to(embeddings.dtype)]),
        reference_labels=torch.cat([labels, more_labels]),
        excluded=excluded.against(torch.cat([excluded.rows, more_rows])) if excluded is not None else None,
    )
