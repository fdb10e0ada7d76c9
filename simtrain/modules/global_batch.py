"""Training settings of a module, its auxiliary losses, and the global batch that a loss receives."""

# Shapes: B samples of the whole batch, b of this process, V views of S × S pixels, D features of the encoder, O
# dimensions that the loss sees.

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simtrain.data.batch import Batch
from simtrain.encoders.arithmetic import Precision
from simtrain.evaluation.text_task import TextTasks
from simtrain.modules.coarser_level import CoarserLevel
from simtrain.modules.image_text_pairs import ImageTextPairs, PairedEmbeddings
from simtrain.modules.relational_teacher import RelationalTeacher
from simtrain.modules.start_regulariser import StartRegulariser
from simtrain.training.optim import OptimizerSettings
from simtrain.training.ranks import gather_with_gradient
from simtrain.training.setting_names import SettingNames


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a module is trained, whatever its loss.

    Attributes:
        optimizer: Learning rates, weight decay and schedule.
        head_only_epochs: Number of first epochs in which only new parameters learn.
        freeze_batch_norm: Whether BatchNorm's running statistics stay as they are.
        freeze: Patterns of names of the encoder's parameters that never learn.
        ema_decay: Decay of the running average of the weights, 0 to 1; None: no average.
        micro_batch_size: Number of images that pass through the network at once; None: all of a process's.
        seed: Seed of the random choices within a loss.
        monitor: Name of the validation figure that chooses the epoch.
        worst_queries: Number of worst validation queries that are kept to be shown.
        embedding_precision: Arithmetic in which validation embeds images.
        names: Names of the settings that messages propose to change, as the user writes them.
    """

    optimizer: OptimizerSettings
    head_only_epochs: int
    freeze_batch_norm: bool
    freeze: Sequence[str]
    ema_decay: float | None
    micro_batch_size: int | None
    seed: int
    monitor: str
    worst_queries: int
    embedding_precision: Precision
    names: SettingNames


@dataclass(frozen=True, kw_only=True)
class AuxiliaryLosses:
    """Losses that are added to the loss of an objective, and texts for validation.

    Attributes:
        image_text: Image-text loss with the texts of the images; None: without texts.
        image_text_weight: Factor of the image-text loss; 0: it is not added, as it is the objective's own loss.
        regulariser: Regularisation towards the initial weights; None: none.
        teacher: Teacher of relational distillation; None: none.
        teacher_weight: Factor of the relational distillation loss; 0: it is not added, as it is the objective's own.
        levels: Coarser levels of similarity.
        validation_texts: Text retrieval task that validation scores; None: none.
    """

    image_text: ImageTextPairs | None = None
    image_text_weight: float = 0.0
    regulariser: StartRegulariser | None = None
    teacher: RelationalTeacher | None = None
    teacher_weight: float = 0.0
    levels: Sequence[CoarserLevel] = ()
    validation_texts: TextTasks | None = None

    @property
    def sees_embeddings(self) -> bool:
        """Whether one of them needs the embeddings before the projection head."""
        return bool(self.image_text is not None or self.regulariser is not None or self.teacher_weight or self.levels)


NO_AUXILIARY_LOSSES = AuxiliaryLosses()
"""Images alone."""


@dataclass(frozen=True, kw_only=True)
class GlobalBatch:
    """The batch of all processes that a loss receives, the same on every process, with gradients to this one's rows.

    Attributes:
        embeddings: (V·B, O) embeddings, view by view: rows i and i + B are views of one sample.
        labels: (B,) int64, equal where two samples are positives of each other; -1 where unknown.
        rows: (B, V) int64 catalogue rows.
        joint: (V·B, D) embeddings before the projection head; None without auxiliary losses.
        pairs: Embeddings of images and their texts; None without texts.
        drift: Distillation loss towards the embeddings of the initial encoder, a scalar; None without it.
    """

    embeddings: Tensor
    labels: Tensor
    rows: Tensor
    joint: Tensor | None = None
    pairs: PairedEmbeddings | None = None
    drift: Tensor | None = None

    @property
    def flat_rows(self) -> Tensor:
        """(V·B,) catalogue rows of the embeddings."""
        return self.rows.T.flatten()


def view_pixels(batch: Batch) -> Tensor:
    """(b, V, S, S, 3) views of this process -> (V·b, S, S, 3), view by view."""
    return batch.views.transpose(0, 1).flatten(0, 1)


def gather_views(own: Tensor, *, views: int) -> Tensor:
    """(V·b, …) of this process -> (V·B, …) of all processes, with gradients, view by view."""
    by_sample = torch.unflatten(own, 0, (views, -1)).transpose(0, 1)
    return gather_with_gradient(by_sample.contiguous()).transpose(0, 1).flatten(0, 1)
