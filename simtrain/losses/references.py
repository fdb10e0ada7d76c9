"""Anchors and references of losses on labels: a batch against itself and against a cross-batch memory."""

# Shapes: N embeddings, D features, R that they are compared with.

from dataclasses import dataclass

import torch
from torch import Tensor

from simtrain.losses.false_negatives import PairMask


@dataclass(frozen=True, kw_only=True)
class AnchorsAndReferences:
    """Anchors, and the positives and negatives that they are compared with.

    Attributes:
        embeddings: (N, D) unit vectors, the anchors.
        labels: (N,) int64, equal where two anchors are positives of each other.
        references: (R, D) unit vectors, of which the first N are the anchors themselves.
        reference_labels: (R,) int64 labels of the references.
        excluded: Pairs of the N anchors with the R references that are no negatives; None: all pairs of different
            labels are negatives.
    """

    embeddings: Tensor
    labels: Tensor
    references: Tensor
    reference_labels: Tensor
    excluded: PairMask | None

    @property
    def has_memory(self) -> bool:
        """Whether there are references besides the batch."""
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


def within_batch(embeddings: Tensor, labels: Tensor, *, excluded: PairMask | None) -> AnchorsAndReferences:
    """A batch as anchors, with itself as references."""
    return AnchorsAndReferences(
        embeddings=embeddings, labels=labels, references=embeddings, reference_labels=labels, excluded=excluded
    )


def with_held(
    embeddings: Tensor, labels: Tensor, *, held: tuple[Tensor, Tensor, Tensor], excluded: PairMask | None
) -> AnchorsAndReferences:
    """A batch as anchors, with itself and a memory's embeddings as references.

    Args:
        embeddings: (N, D) unit vectors of the batch.
        labels: (N,) int64 labels of the batch.
        held: (m, D) embeddings, (m,) labels and (m,) catalogue rows that the memory holds.
        excluded: Pairs of the N embeddings that are no negatives, compared by catalogue row with the memory's too.
    """
    more, more_labels, more_rows = held
    return AnchorsAndReferences(
        embeddings=embeddings,
        labels=labels,
        references=torch.cat([embeddings, more.to(embeddings.dtype)]),
        reference_labels=torch.cat([labels, more_labels]),
        excluded=excluded.against(torch.cat([excluded.rows, more_rows])) if excluded is not None else None,
    )
