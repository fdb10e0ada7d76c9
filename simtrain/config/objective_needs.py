"""Requirements of an objective: views, groups, labels, texts, reference embeddings."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from simtrain.config.distillation import DistillationConfig
from simtrain.config.objective_parts import LevelConfig
from simtrain.config.regularisation import KeepConfig
from simtrain.config.section import Section
from simtrain.config.texts import TextsConfig


@dataclass(frozen=True, kw_only=True)
class GroupNeeds:
    """How the images of a batch are grouped: whole groups of positives.

    Attributes:
        column: The catalogue column whose equal values make a group.
        images: Number of images of each group in a batch, K; 2 or more.
        paired: Whether the two images of a group are the two views of one sample. `data.batch_size` counts pairs then,
            else images.
        single_image_groups: Groups with one training image are an `error`, or `drop` leaves them out.
    """

    column: str
    images: int
    paired: bool
    single_image_groups: Literal["error", "drop"]

    @property
    def samples(self) -> int:
        """Number of samples of `data.batch_size` that one group takes."""
        return 1 if self.paired else self.images


@dataclass(frozen=True, kw_only=True)
class RelationNeeds:
    """Relational distillation that an objective needs.

    Attributes:
        settings: Settings of the teacher and of the loss.
        key: Key of these settings in a run's configuration.
        weight: Factor of the loss; 0: it is not added, as it is the objective's own loss.
        other_groups: Whether the positive pairs of the objective's own loss are left out.
    """

    settings: DistillationConfig
    key: str
    weight: float
    other_groups: bool


@dataclass(frozen=True, kw_only=True)
class ObjectiveNeeds:
    """Requirements of an objective. Data, texts and warnings are built from this record for every kind of objective.

    Attributes:
        views: Number of views of each sample in a batch: augmentations of an image, or the two images of a pair.
        groups: Grouping of a batch; None: images in random order.
        label_column: The column that a supervised part of the loss reads; None: no such part, the labels of a batch
            are the groups, or -1 without groups.
        texts: Settings of the training texts; None: no texts.
        texts_weight: Factor of the image-text loss; 0: it is not added, as it is the objective's own loss.
        texts_required: Whether images without a text are left out of training.
        relations: Relational distillation; None: none.
        reference: Whether the loss needs reference embeddings of the training images by the initial encoder.
        margin: Margin of a triplet loss, which is the loss of a collapsed run; None: no triplet loss.
    """

    views: int
    groups: GroupNeeds | None = None
    label_column: str | None = None
    texts: TextsConfig | None = None
    texts_weight: float = 0.0
    texts_required: bool = False
    relations: RelationNeeds | None = None
    reference: bool = False
    margin: float | None = None


class ObjectiveSection(Section):
    """Base section of the objectives: kind, coarser levels, regularisation, requirements."""

    kind: str
    """Name of the objective."""

    levels: list[LevelConfig] = Field(default_factory=list)
    """Coarser levels of similarity, such as `[{column: label, weight: 0.1}]`: a weak supervised contrastive loss each,
    which draws images of *other* products of one value together."""

    keep: KeepConfig = KeepConfig()
    """Losses that keep the encoder near its initial weights and embeddings."""

    @property
    @abstractmethod
    def needs(self) -> ObjectiveNeeds:
        """Requirements of the objective."""
