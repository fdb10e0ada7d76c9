"""What a module is told about training, and what it sees of a batch."""

# Shapes: B samples of the whole batch, V views, O dimensions that the loss sees.

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from simtrain.evaluation.text_task import TextTask
from simtrain.modules.image_text_pairs import ToldImages, Words
from simtrain.modules.start_regulariser import StartKeeper
from simtrain.training.optim import OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a module is trained, whatever its loss.

    Attributes:
        optimizer: Rates, decay, schedule.
        head_only_epochs: First epochs in which only new parameters learn.
        freeze_batch_norm: Keep BatchNorm's running statistics.
        freeze: Patterns of names of the encoder's parameters that never learn.
        ema_decay: Of the running average of the weights; None: no average.
        micro_batch_size: Images that pass through the network at once; None: all of a process's.
        seed: Of what is random within a loss.
        worst_queries: Validation queries that are kept to be shown.
    """

    optimizer: OptimizerSettings
    head_only_epochs: int
    freeze_batch_norm: bool
    freeze: Sequence[str]
    ema_decay: float | None
    micro_batch_size: int | None
    seed: int
    worst_queries: int


@dataclass(frozen=True, kw_only=True)
class SideTerms:
    """What is added to the loss of an objective, and what is looked at beside it.

    Attributes:
        words: Texts of the images; None: the objective sees none.
        words_weight: Their loss is added times this; 0: the objective has a use of its own for them.
        keeper: What the encoder is held to; None: nothing.
        validation_texts: Texts that validation scores; None: none.
    """

    words: Words | None = None
    words_weight: float = 0.0
    keeper: StartKeeper | None = None
    validation_texts: TextTask | None = None


NO_SIDE_TERMS = SideTerms()
"""Images alone."""


@dataclass(frozen=True, kw_only=True)
class SeenBatch:
    """The whole batch as the loss sees it, the same on every process, with gradients to this process's rows.

    Attributes:
        embeddings: (V·B, O), view by view: rows i and i + B are views of one sample.
        labels: (B,) int64, equal where two samples are positives of each other; -1 where unknown.
        rows: (B, V) int64 catalogue rows.
        told: Images and their texts; None where the objective sees none.
        drift: How far the embeddings are from those of the start, a scalar; None where nothing holds them.
    """

    embeddings: Tensor
    labels: Tensor
    rows: Tensor
    told: ToldImages | None = None
    drift: Tensor | None = None

    @property
    def flat_rows(self) -> Tensor:
        """(V·B,) catalogue rows of the embeddings."""
        return self.rows.T.flatten()
