"""How encoders are compared: who takes part, what counts, how sure a verdict must be."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simtrain.config.evaluation import SplitName, ThresholdsConfig
from simtrain.config.section import Section

Columns = str | Annotated[list[str], Field(min_length=1)]
ComparedMetric = Literal[
    "map_at_r", "r_precision", "mrr", "recall_at_1", "recall_at_5", "recall_at_10", "precision_at_5", "precision_at_10"
]  # fmt: skip


class WhiteningConfig(Section):
    """The training-free bar: embeddings whose dimensions are made to vary alike, learned without labels."""

    shrinkage: float = Field(default=0.1, ge=0, le=1)
    """How far the variances are drawn towards their mean first, 0 to 1; with few images 0 is worse than no whitening.
    """

    images: int = Field(default=10_000, ge=2, le=10_000_000)
    """Training images that it is learned from, at most; of more, so many are drawn."""


class PicturesConfig(Section):
    """How much of the report is to be looked at."""

    queries: int = Field(default=8, ge=0, le=100)
    """Queries drawn at random that are shown with what every encoder finds for them."""

    neighbours: int = Field(default=6, ge=1, le=50)
    """Images found that are shown of each query."""

    worst: int = Field(default=8, ge=0, le=100)
    """Worst queries that are shown."""

    suspects: int = Field(default=24, ge=0, le=1000)
    """Labels that look wrong, and pairs that look like duplicates, that are shown."""

    map_points: int = Field(default=1200, ge=0, le=5000)
    """Images on the map of embeddings, at most."""

    map_method: Literal["auto", "pca", "umap"] = "auto"
    """How embeddings come onto a plane; `auto`: UMAP if the extra `map` is installed."""


class CompareConfig(Section):
    """Everything that `simtrain compare` needs to know beside the catalogue and the runs."""

    encoders: list[str] = Field(
        default_factory=lambda: [
            "pixels", "histogram_hsv", "histogram_lab", "efficientnet_lite0", "resnet50", "simclr_resnet50", "clip"
        ]
    )  # fmt: skip
    """Encoders as they come: names that simtrain knows, `timm:MODEL[=WEIGHTS]`, `resnet:MODEL[=WEIGHTS]`, `clip:MODEL`,
    or a run's .yaml, whose encoder it is."""

    starts: bool = True
    """Whether what each run began with takes part too."""

    split: SplitName = "test"
    """The split that is judged."""

    folds: bool = False
    """Whether encoders are judged on the test splits of all folds together (column `fold` of the catalogue); with runs
    of folds they are in any case."""

    gallery_splits: list[SplitName] | None = None
    """Splits whose `gallery` images are searched; null: the judged split itself."""

    relevance: list[Columns] | None = None
    """Ideas of relevance, each a column or a list of columns whose equal values make images relevant, the main one
    first; null: what the runs were trained for, then `product` and `label` where they are filled."""

    metric: ComparedMetric = "map_at_r"
    """What verdicts go by."""

    baseline: str | None = None
    """The encoder that the others are judged against; null: of those that no run has trained the best on `val`, by each
    idea of relevance."""

    category: str | None = None
    """Column of the figures by category; null: `category` if there is one, else `label`."""

    levels: list[Columns] | None = None
    """What ndcg_at_10 grades by, the most alike first; null: product, then category and colour, then category, of the
    columns that there are."""

    whitening: WhiteningConfig | None = WhiteningConfig()
    """Each encoder that no run has trained takes part whitened too; null: not."""

    robustness_images: int = Field(default=200, ge=0, le=100_000)
    """Images whose changed copies have to find them, at most; 0: this is not looked at."""

    captions: str | None = "{caption}"
    """Text of each image for encoders that read texts; null: none."""

    label_templates: list[str] = Field(default_factory=lambda: ["a photo of a {label}", "{label}"])
    """Names of the classes for encoders that read texts, where there are no captions."""

    draws: int = Field(default=5000, ge=1000, le=1_000_000)
    """Of each permutation test and bootstrap, 1000 to 1000000."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of intervals and verdicts, above 0.5 to below 1."""

    power: float = Field(default=0.8, ge=0.5, lt=1)
    """Probability with which the smallest resolvable difference is found, 0.5 to below 1."""

    thresholds: ThresholdsConfig = ThresholdsConfig()
    """Similarities that the report calibrates for every encoder."""

    pictures: PicturesConfig = PicturesConfig()
    """What the report shows."""

    batch_size: int = Field(default=128, ge=1, le=65536)
    """Images embedded at once."""

    workers: Annotated[int, Field(ge=0, le=128)] | None = None
    """Processes that load images, 0 (in this process) to 128; null: one per core, at most 8."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """`auto` takes the GPU if there is one."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Every random number comes from it."""

    @model_validator(mode="after")
    def _nothing_is_named_twice(self) -> "CompareConfig":
        for name, listed in (("encoders", self.encoders), ("relevance", self.relevance), ("levels", self.levels)):
            seen = [[one] if isinstance(one, str) else list(one) for one in listed or []]
            for place, one in enumerate(seen):
                if one in seen[:place]:
                    raise ValueError(f"{name} names {' + '.join(one)} twice")
        return self
