"""What an objective needs of the batches, the texts and the untouched encoder: one record an objective."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from simtrain.config.regularisation import KeepConfig
from simtrain.config.section import Section
from simtrain.config.texts import TextsConfig


@dataclass(frozen=True, kw_only=True)
class GroupNeeds:
    """How the images of a batch are grouped: whole groups of positives.

    Attributes:
        column: The catalogue column whose equal values make a group.
        images: K, images of each group in a batch; 2 or more.
        paired: Whether the two images of a group are the two views of one sample. `data.batch_size` counts pairs then,
            else images.
        single_image_groups: What becomes of groups with one training image: an `error`, or `drop` them.
    """

    column: str
    images: int
    paired: bool
    single_image_groups: Literal["error", "drop"]

    @property
    def samples(self) -> int:
        """What one group counts in `data.batch_size`."""
        return 1 if self.paired else self.images


@dataclass(frozen=True, kw_only=True)
class ObjectiveNeeds:
    """What an objective needs. Data, texts and warnings are built from this record, whatever the objective's kind.

    Attributes:
        views: Views of each sample in a batch: of an image its augmentations, of a pair its two images.
        groups: How a batch is grouped; None: images in random order.
        label_column: The column that a supervised part of the loss reads; None: no such part, the labels of a batch
            are the groups, or -1 without groups.
        texts: What is read of the texts; None: nothing.
        texts_weight: The image-text loss is added times this; 0: the objective has a use of its own for the texts.
        texts_required: Whether images without a text are left out of training.
        reference: Whether the loss compares training images under the untouched encoder.
        margin: Of a triplet loss, at which a collapsed run stands; None: there is none.
    """

    views: int
    groups: GroupNeeds | None = None
    label_column: str | None = None
    texts: TextsConfig | None = None
    texts_weight: float = 0.0
    texts_required: bool = False
    reference: bool = False
    margin: float | None = None


class ObjectiveSection(Section):
    """What every objective has: its kind, what holds the encoder to its start, and the record of its needs."""

    kind: str
    """Name of the objective."""

    keep: KeepConfig = KeepConfig()
    """Hold the encoder to its start."""

    @property
    @abstractmethod
    def needs(self) -> ObjectiveNeeds:
        """What the objective needs of batches, texts and the untouched encoder."""
