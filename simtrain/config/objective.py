"""Configuration of the training objectives."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from simtrain.config.distillation import DistillationConfig, MixedDistillationConfig
from simtrain.config.named_code import NamedCode
from simtrain.config.objective_needs import GroupNeeds, ObjectiveNeeds, ObjectiveSection, RelationNeeds
from simtrain.config.objective_parts import ComponentConfig, FalseNegativesConfig, MemoryConfig, ProjectionHeadConfig
from simtrain.config.relevance import PositiveColumn
from simtrain.config.texts import MixedTextsConfig, TextsConfig


class SimCLRConfig(ObjectiveSection):
    """NT-Xent: each view has to pick out its partner among all the other views of the batch."""

    kind: Literal["simclr"]
    """`simclr`"""

    positive: Literal["augmentation", "product"] = "augmentation"
    """Where the two views come from: two `augmentation`s of one image (label-free), or two different pictures of one
    `product` (needs the column `product`)."""

    temperature: float = Field(default=0.1, gt=0, le=10)
    """Divides the cosine similarities, above 0 to 10."""

    projection_head: ProjectionHeadConfig | None = None
    """Projection head between embedding and loss, dropped at export; null: no head."""

    decoupled: bool = False
    """Leave the partner out of the denominator (decoupled contrastive learning, https://arxiv.org/abs/2110.06848),
    which helps small batches."""

    label_weight: float = Field(default=0.0, ge=0, le=10)
    """Add the supervised contrastive loss (https://arxiv.org/abs/2004.11362) over `label_column` times this, 0 to 10;
    0.5 or less where the labels are coarse."""

    label_column: str = "label"
    """Catalogue column whose equal values are positives of the supervised loss."""

    false_negatives: FalseNegativesConfig = FalseNegativesConfig()
    """Pairs that are excluded from the negatives."""

    single_image_groups: Literal["error", "drop"] = "drop"
    """With `positive: product`, products with one training image have no positive pair: `drop` leaves them out, which
    is told; `error` refuses them."""

    texts: MixedTextsConfig | None = None
    """Add an image-text loss on the same batches, for encoders that embed texts; null: none."""

    distill: MixedDistillationConfig | None = None
    """Add relational distillation on the same batches, which keeps the category while products are learned; null:
    none."""

    @property
    @override
    def needs(self) -> ObjectiveNeeds:
        pairs = GroupNeeds(column="product", images=2, paired=True, single_image_groups=self.single_image_groups)
        return ObjectiveNeeds(
            views=2,
            groups=None if self.positive == "augmentation" else pairs,
            label_column=self.label_column if self.label_weight else None,
            texts=self.texts,
            texts_weight=self.texts.weight if self.texts is not None else 0.0,
            relations=_relations(self.distill),
            reference=self.false_negatives.max_similarity is not None,
        )


class _GroupedConfig(ObjectiveSection):
    positive: PositiveColumn = "product"
    """Catalogue column whose equal values make two images a positive pair: `product`, `label` or any other."""

    images_per_group: int = Field(default=2, ge=2, le=64)
    """K of a P by K batch, 2 to 64: images of each group in a batch; P = data.batch_size / K."""

    single_image_groups: Literal["error", "drop"] = "drop"
    """Groups with one training image have no positive pair: `drop` leaves them out, which is told; `error` refuses
    them."""

    false_negatives: FalseNegativesConfig = FalseNegativesConfig()
    """Pairs that are excluded from the negatives."""

    memory: MemoryConfig | None = None
    """Cross-batch memory: embeddings of earlier batches as further references; null: none."""

    texts: MixedTextsConfig | None = None
    """Add an image-text loss on the same batches, for encoders that embed texts; null: none."""

    distill: MixedDistillationConfig | None = None
    """Add relational distillation on the same batches, which keeps the category while products are learned; null:
    none."""

    @property
    @override
    def needs(self) -> ObjectiveNeeds:
        groups = GroupNeeds(
            column=self.positive,
            images=self.images_per_group,
            paired=False,
            single_image_groups=self.single_image_groups,
        )
        return ObjectiveNeeds(
            views=1,
            groups=groups,
            texts=self.texts,
            texts_weight=self.texts.weight if self.texts is not None else 0.0,
            relations=_relations(self.distill),
            reference=self.false_negatives.max_similarity is not None,
        )


class TripletConfig(_GroupedConfig):
    """Triplet margin loss on the unit sphere: an anchor nearer to its positive than to its negative by a margin."""

    kind: Literal["triplet"]
    """`triplet`"""

    distance: Literal["cosine", "euclidean"] = "cosine"
    """Unit of the margin: `cosine` similarity (-1 to 1) or `euclidean` distance of unit vectors (0 to 2)."""

    margin: float = Field(default=0.2, gt=0, le=2)
    """Margin between positive and negative in the unit of `distance`, above 0 to 2."""

    miner: Literal["batch_hard", "semi_hard", "hard_negatives", "all"] = "batch_hard"
    """Miner, which chooses the triplets of the batch: `batch_hard` (each anchor's farthest positive with its nearest
    negative), `semi_hard` (negatives farther than the positive, yet within the margin), `hard_negatives` (every
    positive pair with the anchor's nearest negative), or `all` that violate the margin."""

    @property
    @override
    def needs(self) -> ObjectiveNeeds:
        return replace(super().needs, margin=self.margin)


class MetricLearningConfig(_GroupedConfig):
    """Any loss of pytorch-metric-learning, with any of its miners."""

    kind: Literal["metric_learning"]
    """`metric_learning`"""

    loss: ComponentConfig
    """The loss; one with weights of its own (proxies) is trained with the head's learning rate."""

    miner: ComponentConfig | None = None
    """The miner; null: the loss uses every pair of the batch."""

    projection_head: ProjectionHeadConfig | None = None
    """The head that the loss sees and export drops; null: the loss sees the embedding itself."""

    @model_validator(mode="after")
    def _no_inner_distance_objects(self) -> "MetricLearningConfig":
        for component in (self.loss, self.miner):
            if component is not None and "distance" in component.parameters:
                raise ValueError(
                    "distance cannot be set here: embeddings are unit vectors, and the class keeps its own"
                )
        return self


class ImageTextConfig(ObjectiveSection, TextsConfig):
    """Each image has to pick out its text among all texts of the batch, and each text its image (CLIP)."""

    kind: Literal["image_text"]
    """`image_text`"""

    distill: MixedDistillationConfig | None = None
    """Add relational distillation on the same batches, which keeps the category while products are learned; null:
    none."""

    @property
    @override
    def needs(self) -> ObjectiveNeeds:
        return ObjectiveNeeds(views=1, texts=self, texts_required=True, relations=_relations(self.distill))


class DistillConfig(ObjectiveSection, DistillationConfig):
    """Relational distillation, label-free: similarities follow those of a teacher that sees larger images.

    Where there are labels but no products, `label_weight` adds what they know.
    """

    kind: Literal["distill"]
    """`distill`"""

    label_weight: float = Field(default=0.0, ge=0, le=10)
    """Add the supervised contrastive loss (https://arxiv.org/abs/2004.11362) over `label_column` times this, 0 to 10;
    1 where the labels are categories."""

    label_column: str = "label"
    """Catalogue column whose equal values are positives of the supervised loss."""

    texts: MixedTextsConfig | None = None
    """Add an image-text loss on the same batches, for encoders that read texts; null: none."""

    @property
    @override
    def needs(self) -> ObjectiveNeeds:
        return ObjectiveNeeds(
            views=1,
            label_column=self.label_column if self.label_weight else None,
            texts=self.texts,
            texts_weight=self.texts.weight if self.texts is not None else 0.0,
            relations=RelationNeeds(settings=self, key="objective", weight=0.0, other_groups=False),
        )


class PythonObjectiveConfig(ObjectiveSection, NamedCode):
    """A loss of the user's own: called with (N, D) embeddings, not of unit length, and (N,) labels, it gives a scalar.

    `target` is a class, whose object of `parameters` is the loss (an `nn.Module` with weights is trained and kept in
    checkpoints; `num_classes` and `embedding_size` are filled in where it wants them), or a function, called with
    `parameters` as further arguments.
    """

    kind: Literal["python"]
    """`python`"""

    positive: PositiveColumn = "product"
    """Catalogue column whose equal values make two images a positive pair: batches are whole groups of it, and labels
    their numbers. `augmentation`: images in random order, and the views of one image have the same label."""

    views: int = Field(default=1, ge=1, le=8)
    """Number of augmentations of each image in a batch, 1 to 8; rows i and i + B of the embeddings are views of one
    image of B. With `positive: augmentation` 2 or more, unless there is a `label_column`."""

    images_per_group: int = Field(default=2, ge=2, le=64)
    """K of a P by K batch, 2 to 64: images of each group in a batch; P = data.batch_size / K."""

    single_image_groups: Literal["error", "drop"] = "drop"
    """Groups with one training image have no positive pair: `drop` leaves them out, which is told; `error` refuses
    them."""

    label_column: str | None = None
    """Catalogue column whose numbered values are the labels instead, -1 where it is empty; null: those of `positive`.
    """

    projection_head: ProjectionHeadConfig | None = None
    """The head that the loss sees and export drops; null: the loss sees the embedding itself."""

    texts: MixedTextsConfig | None = None
    """Add an image-text loss on the same batches, for encoders that embed texts; null: none."""

    distill: MixedDistillationConfig | None = None
    """Add relational distillation on the same batches, which keeps the category while products are learned; null:
    none."""

    @model_validator(mode="after")
    def _something_is_positive(self) -> "PythonObjectiveConfig":
        if self.positive == "augmentation" and self.label_column is None and self.views < 2:
            raise ValueError("views: 1: with positive: augmentation the views of an image are its positives; set 2")
        return self

    @property
    @override
    def needs(self) -> ObjectiveNeeds:
        grouped = self.positive != "augmentation"
        groups = GroupNeeds(
            column=self.positive,
            images=self.images_per_group,
            paired=False,
            single_image_groups=self.single_image_groups,
        )
        return ObjectiveNeeds(
            views=self.views,
            groups=groups if grouped else None,
            label_column=self.label_column,
            texts=self.texts,
            texts_weight=self.texts.weight if self.texts is not None else 0.0,
            relations=_relations(self.distill),
        )


def _relations(settings: MixedDistillationConfig | None) -> RelationNeeds | None:
    if settings is None:
        return None
    return RelationNeeds(
        settings=settings,
        key="objective.distill",
        weight=settings.weight,
        other_groups=settings.pairs == "other_groups",
    )


ObjectiveConfig = Annotated[
    DistillConfig | SimCLRConfig | TripletConfig | MetricLearningConfig | ImageTextConfig | PythonObjectiveConfig,
    Field(discriminator="kind"),
]
