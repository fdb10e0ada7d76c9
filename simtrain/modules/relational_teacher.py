"""Relational distillation within a training step: teacher vectors by catalogue row."""

# Shapes: N embeddings of a batch, D features of the student, R catalogue rows, C dimensions of the teacher.

from torch import Tensor

from simtrain.losses.relational_distillation import relational_distillation_loss
from simtrain.losses.row_facts import RowFacts


class RelationalTeacher:
    """Teacher vectors of the training images, made before the first step; they are in no checkpoint.

    Args:
        vectors: (R, C) unit vectors by catalogue row, float16 or float32; only those of training images are used.
        duplicate_groups: (R,) int64, equal for copies of one picture, -1 for a picture of its own: copies are no pair,
            whose similarity of 1 would outweigh all others.
        temperature: Divides the similarities; above 0.
        other_groups: Whether the positive pairs of the objective's own loss are left out.
    """

    def __init__(self, vectors: Tensor, *, duplicate_groups: Tensor, temperature: float, other_groups: bool) -> None:
        self._vectors = RowFacts(vectors, unknown=0)
        self._duplicate_groups = RowFacts(duplicate_groups, unknown=-1)
        self.temperature = temperature
        self._other_groups = other_groups

    def loss(self, embeddings: Tensor, *, rows: Tensor, groups: Tensor) -> Tensor:
        """Relational distillation loss of a batch, a scalar.

        Args:
            embeddings: (N, D) embeddings of the student, not of unit length.
            rows: (N,) int64 catalogue rows of the embeddings: two views of one image are no pair.
            groups: (N,) int64, equal where two are positives of the objective's own loss; -1: no positives.
        """
        left_out = [rows, self._duplicate_groups.of(rows), *([groups] if self._other_groups else [])]
        vectors = self._vectors.of(rows)
        return relational_distillation_loss(embeddings, vectors, temperature=self.temperature, left_out=left_out)
