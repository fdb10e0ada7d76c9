"""A coarser level of similarity beside an objective: images of other products draw together by their category."""

# Shapes: N embeddings of a batch, D features.

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from simtrain.losses.loss_value import LossValue
from simtrain.losses.row_facts import RowFacts
from simtrain.losses.supervised import supervised_contrastive_loss_or_zero


@dataclass(frozen=True, kw_only=True)
class CoarserLevel:
    """Supervised contrastive loss over a column that is coarser than the positives of the objective.

    Attributes:
        column: Name of the column.
        numbers: int64 by catalogue row, equal where the values are; -1: empty.
        weight: Factor of the loss; above 0.
        temperature: Divides the similarities; above 0.
    """

    column: str
    numbers: RowFacts
    weight: float
    temperature: float

    def loss(self, embeddings: Tensor, *, rows: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of a batch, and the number of images that it is the mean over, both scalars.

        Without two images of one value that differ in their group both are 0.

        Positives of the objective's own loss are no pairs here, neither positives nor negatives: that loss speaks for
        them, and what is learned is which *other* products are of one kind.

        Args:
            embeddings: (N, D), not of unit length.
            rows: (N,) int64 catalogue rows of the embeddings.
            groups: (N,) int64, equal where two are positives of the objective's own loss; -1: no positives.
        """
        values = self.numbers.of(rows)
        return supervised_contrastive_loss_or_zero(embeddings, values, temperature=self.temperature, unpaired=groups)


def with_levels(
    value: LossValue, levels: Sequence[CoarserLevel], embeddings: Tensor, *, rows: Tensor, groups: Tensor
) -> LossValue:
    """A loss plus that of each level, which becomes its part `level_COLUMN`.

    Args:
        value: Loss of the objective so far.
        levels: Coarser levels.
        embeddings: (N, D), not of unit length.
        rows: (N,) int64 catalogue rows of the embeddings.
        groups: (N,) int64, equal where two are positives of the objective's own loss; -1: no positives.
    """
    for level in levels:
        loss, among = level.loss(embeddings, rows=rows, groups=groups)
        value = value.plus(f"level_{level.column}", loss, weight=level.weight, among=among)
    return value
