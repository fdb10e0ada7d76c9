"""Configuration of `simtrain compare`: encoders, relevance, metrics, statistics, report."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from simtrain.config.evaluation import EmbeddingPrecision, ExcludedColumns, SplitName, ThresholdsConfig
from simtrain.config.metrics import ComparedMetric
from simtrain.config.relevance import Columns, RelevanceSetting, named_twice
from simtrain.config.section import Section
from simtrain.config.training import Devices

_Power = Annotated[float, Field(ge=0, le=0.5)]


def _usual_headline() -> list[ComparedMetric]:
    return ["map_at_r", "recall_at_1"]


class WhiteningConfig(Section):
    """Whitening of embeddings, a baseline that is learned without labels: axes are made to vary more alike."""

    power: list[_Power] = Field(default_factory=lambda: [0.5, 0.25], min_length=1)
    """Exponent of the variance that divides each principal axis, 0 to 0.5; each of several makes a variant of the
    encoder: 0.5 is `NAME_whitened`, 0.25 `NAME_half_whitened`, another p `NAME_whitened_p`."""

    runs: bool = False
    """Whether runs are compared with whitening too, unless their own `encoder.whitening` is set."""

    shrinkage: float = Field(default=0.1, ge=0, le=1)
    """Shrinkage of the variances towards their mean, 0 to 1; with few images 0 is worse than no whitening."""

    images: int = Field(default=10_000, ge=2, le=10_000_000)
    """Largest number of training images to learn the whitening from, 2 to 10000000; larger sets are sampled."""

    @field_validator("power", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, int | float) else value


class PicturesConfig(Section):
    """Numbers of images that the report shows."""

    queries: int = Field(default=8, ge=0, le=100)
    """Number of random queries that are shown with their nearest images by every encoder, 0 to 100."""

    neighbours: int = Field(default=6, ge=1, le=50)
    """Number of nearest images shown for each query, 1 to 50."""

    worst: int = Field(default=8, ge=0, le=100)
    """Number of worst queries shown, 0 to 100."""

    suspects: int = Field(default=24, ge=0, le=1000)
    """Number of suspected label errors, and of possible duplicates, that are shown, 0 to 1000."""

    map_points: int = Field(default=1200, ge=0, le=5000)
    """Largest number of images on the map of embeddings, 0 to 5000."""

    map_method: Literal["auto", "pca", "umap"] = "auto"
    """Method of the 2-D map of embeddings; `auto`: UMAP if the extra `map` is installed, else PCA."""


class CompareConfig(Section):
    """Settings of `simtrain compare`, besides the catalogue and the runs."""

    encoders: list[str] = Field(
        default_factory=lambda: [
            "pixels", "histogram_hsv", "histogram_lab", "efficientnet_lite0", "resnet50", "simclr_resnet50", "clip"
        ]
    )  # fmt: skip
    """Off-the-shelf encoders: names that simtrain knows, `timm:MODEL[=WEIGHTS]`, `resnet:MODEL[=WEIGHTS]`,
    `clip:MODEL`, or a run's .yaml, whose encoder it is."""

    starts: bool = True
    """Whether the initial encoder of each run is compared too."""

    training_size: bool = False
    """Whether the initial encoder of each run is compared at the size of its training views too, where runs are
    evaluated at another."""

    split: SplitName = "test"
    """Split to evaluate."""

    folds: bool = False
    """Whether encoders are evaluated on the test splits of all folds together (column `fold` of the catalogue); runs of
    folds always are."""

    gallery_splits: list[SplitName] | None = None
    """Splits whose `gallery` images are searched; null: the evaluated split itself."""

    relevance: list[RelevanceSetting] | None = None
    """Definitions of relevance, the main one first, or one alone: columns, or lists of columns, whose equal values make
    images relevant, or `kind` (the same label among other products; `{same: category, other: product}` over other
    columns), or `{qrels: FILE}`, a table of judged pairs; null: what the runs were trained for, then `product`, `label`
    and `kind` where product and label are filled."""

    exclude: ExcludedColumns | None = None
    """Columns, such as `vendor` or `session`: a gallery image that has the query's value in one of them counts neither
    as a find nor as a miss; null: those of the runs (`evaluation.exclude`)."""

    metric: ComparedMetric = "map_at_r"
    """Metric that verdicts are based on."""

    headline_metrics: list[ComparedMetric] = Field(default_factory=_usual_headline, min_length=1)
    """Metrics in none of which an encoder may be shown worse, by any definition of relevance, to be called better:
    else its verdict is `mixed`."""

    baseline: str | None = None
    """Encoder that the others are compared with; null: for each definition of relevance the best on `val` of those that
    no run has trained."""

    category: str | None = None
    """Column for metrics by category; null: `category` if there is one, else `label`."""

    levels: list[Columns] | None = None
    """Levels of relevance for ndcg_at_10, most similar first; null: product, then category and colour, then category,
    where these columns exist."""

    whitening: WhiteningConfig | None = WhiteningConfig()
    """Compare each encoder that no run has trained with whitening too; null: without whitening."""

    robustness_images: int = Field(default=200, ge=0, le=100_000)
    """Largest number of images for the robustness test, whose altered copies are queries, 0 to 100000; 0: no test."""

    captions: str | None = "{caption}"
    """Template of each image's text, for encoders that embed texts; null: none."""

    text_map: bool = True
    """Whether runs that embed texts are compared on `captions` with a linear map: ridge regression from the texts to
    the images of the training split, by the encoders that the run began with."""

    label_templates: list[str] = Field(default_factory=lambda: ["a photo of a {label}", "{label}"])
    """Templates of class names, for encoders that embed texts, where there are no captions."""

    draws: int = Field(default=5000, ge=1000, le=1_000_000)
    """Number of draws of each permutation test and bootstrap, 1000 to 1000000."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of intervals and verdicts, above 0.5 to below 1."""

    power: float = Field(default=0.8, ge=0.5, lt=1)
    """Statistical power: probability with which the smallest detectable difference is found, 0.5 to below 1."""

    thresholds: ThresholdsConfig = ThresholdsConfig()
    """Similarity thresholds that the report calibrates for every encoder."""

    pictures: PicturesConfig = PicturesConfig()
    """Images of the report: how many queries, neighbours and suspected errors it shows."""

    batch_size: int = Field(default=128, ge=1, le=65536)
    """Number of images embedded at once, 1 to 65536."""

    precision: EmbeddingPrecision = "auto"
    """Arithmetic of the networks, as `evaluation.precision` of a run."""

    workers: Annotated[int, Field(ge=0, le=128)] | None = None
    """Number of processes that load images, 0 (in this process) to 128; null: one per core, at most 16."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """`auto` takes the GPUs if there are any."""

    devices: Devices = "auto"
    """Devices that embed many images together, as `trainer.devices` of a run."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of all random numbers, 0 to 2147483647."""

    @field_validator("relevance", "encoders", "headline_metrics", "gallery_splits", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str | dict) else value

    @model_validator(mode="after")
    def _nothing_is_named_twice(self) -> "CompareConfig":
        for name, listed in (("encoders", self.encoders), ("relevance", self.relevance), ("levels", self.levels)):
            twice = named_twice(listed or [])
            if twice is not None:
                raise ValueError(f"{name} names {twice} twice")
        return self


_QUICK_ROBUSTNESS = 100


def quick_config(config: CompareConfig, *, with_runs: bool) -> CompareConfig:
    """The comparison of the few encoders that decide; what was set stays.

    They are the runs, what they began with at the sizes of training and evaluation, and a colour histogram; without
    runs the small network that needs no download. Each is whitened fully, not by half. Half as many images are altered
    for the robustness test: each is embedded eight times more. The map is made by PCA: UMAP is compiled first.

    Args:
        config: Settings of the comparison.
        with_runs: Whether runs are compared.
    """
    changes: dict[str, object] = {"training_size": True}
    if "encoders" not in config.model_fields_set:
        changes["encoders"] = ["histogram_hsv"] if with_runs else ["histogram_hsv", "efficientnet_lite0"]
    if "whitening" not in config.model_fields_set:
        changes["whitening"] = WhiteningConfig(power=[0.5])
    if "robustness_images" not in config.model_fields_set:
        changes["robustness_images"] = _QUICK_ROBUSTNESS
    if "map_method" not in config.pictures.model_fields_set:
        changes["pictures"] = config.pictures.model_copy(update={"map_method": "pca"})
    return config.model_copy(update=changes)
