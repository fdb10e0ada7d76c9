"""Configuration of parts that several objectives share: projection head, false negatives, memory, class by name."""

from typing import Annotated, Any

from pydantic import Field

from simtrain.config.section import Section


class ProjectionHeadConfig(Section):
    """The multilayer perceptron between the embedding and the loss; dropped at export (SimCLR, section 4.2)."""

    hidden_size: int = Field(default=512, ge=8, le=8192)
    """Width of the hidden layer, 8 to 8192."""

    output_size: int = Field(default=128, ge=2, le=4096)
    """Dimensions of the output, which the loss receives, 2 to 4096."""


class FalseNegativesConfig(Section):
    """False negatives: pairs that are excluded from the negatives."""

    duplicate_groups: bool = True
    """Leave out pairs of one `duplicate_group` of the catalogue."""

    max_similarity: Annotated[float, Field(gt=0, le=1)] | None = None
    """Leave out pairs whose cosine similarity under the initial encoder exceeds this, above 0 to 1 (0.9 to 0.98);
    null: none."""


class MemoryConfig(Section):
    """Cross-batch memory (https://arxiv.org/abs/1912.06798): embeddings of earlier batches as further references."""

    size: int = Field(ge=1, le=1_000_000)
    """Number of embeddings that it holds, 1 to 1000000; the oldest are dropped first."""

    start_step: int = Field(default=0, ge=0)
    """Number of steps before it begins to fill: until then, embeddings change too fast."""


class ComponentConfig(Section):
    """A class of pytorch-metric-learning by name, with the arguments of its constructor."""

    name: str
    """The class, such as `MultiSimilarityLoss` or `MultiSimilarityMiner`."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of its constructor; `num_classes` and `embedding_size` are filled in where it wants them."""


class LevelConfig(Section):
    """A coarser level of similarity: images of other products with an equal value are drawn together, weakly.

    The supervised contrastive loss (https://arxiv.org/abs/2004.11362) without the pairs of one product, which the
    objective's own loss speaks for. Levels of a hierarchy as losses beside each other: HAPPIER
    (https://arxiv.org/abs/2207.04873), HIER (https://arxiv.org/abs/2212.14258).
    """

    column: str
    """Catalogue column of the level, such as `label`; images where it is empty are only negatives."""

    weight: float = Field(default=0.2, gt=0, le=10)
    """Weight of the level's supervised contrastive loss, above 0 to 10. Higher values keep more of the category and
    learn less of the product."""

    temperature: float = Field(default=0.1, gt=0, le=10)
    """Divides the cosine similarities, above 0 to 10."""
