"""Configuration of evaluation and export."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from simtrain.config.metrics import MonitoredMetric
from simtrain.config.relevance import RelevanceSetting
from simtrain.config.section import Section

SplitName = Literal["train", "val", "test"]
EmbeddingPrecision = Annotated[
    Literal["auto", "32", "bf16", "16", "tf32"],
    BeforeValidator(lambda given: str(given) if type(given) is int else given),
]
"""Arithmetic of embedding; YAML reads 32 and 16 as numbers."""
ExcludedColumns = Annotated[list[str], Field(max_length=4)]
"""Columns whose equal values leave a gallery image out for a query."""
Monitor = Literal[
    MonitoredMetric, "balanced",
    "text_to_image_map_at_r", "text_to_image_recall_at_1", "text_to_image_recall_at_5", "text_to_image_recall_at_10",
    "image_to_text_recall_at_1", "image_to_text_recall_at_5", "image_to_text_recall_at_10",
]  # fmt: skip


class EvaluationConfig(Section):
    """Settings of evaluation."""

    monitor: Monitor = "map_at_r"
    """Validation metric that chooses the epoch; `balanced` is the geometric mean of `map_at_r` and `recall_at_1` by the
    run's relevance and by `further_relevance`, so that none pays for another; text metrics are for encoders that embed
    texts."""

    monitor_tolerance: float = Field(default=2.0, ge=0, le=10, allow_inf_nan=False)
    """How far below the highest epoch's monitored figure a later epoch may lie and still be chosen, in standard errors
    of their difference over the products of val, 0 to 10; 2 is a level of about 95 %. What lies nearer may be chance,
    and later epochs have learned more, at a lower rate. 0: the highest is chosen."""

    further_relevance: list[RelevanceSetting] | None = None
    """Further definitions of relevance, as in `relevance`, whose metrics are shown beside, such as `kind_map_at_r`;
    null: `kind` (the same label among other products) beside `product`, where product and label are filled."""

    captions: str | None = "{caption}"
    """Template of each image's caption for text retrieval metrics, as in `objective.templates`; null: no captions."""

    label_templates: list[str] = Field(
        default_factory=lambda: ["a photo of a {label}", "a product photo of a {label}", "{label}"]
    )
    """Templates of class names for text retrieval metrics, over the same columns; the embeddings of several are
    averaged. An empty list: no class names."""

    gallery_splits: list[SplitName] | None = None
    """Splits whose `gallery` images are searched; null: the evaluated split itself."""

    distractors: Literal["train"] | None = None
    """`train`: training images join the gallery of `val` until it is as large as that of `test`, so that a small `val`
    is as hard to search. They are wrong answers to every query by the definition that is scored, drawn by the run's
    seed, and embedded again in each epoch. null: none."""

    exclude: ExcludedColumns = Field(default_factory=list)
    """Columns, such as `vendor` or `session`: a gallery image that has the query's value in one of them counts neither
    as a find nor as a miss. Name columns that make images similar for other reasons than the product. At most 4."""

    batch_size: int = Field(default=128, ge=1, le=65536)
    """Number of images embedded at once, 1 to 65536."""

    precision: EmbeddingPrecision = "auto"
    """Arithmetic of the network when images are embedded: in validation, `evaluate`, `interpolate`, `export`. `auto`:
    `bf16` on GPUs of compute capability 8.0 and more, `16` from 7.0 on, else `32`; on processors with bf16 instructions
    `bf16` where an image takes 250 million operations or more, but for `export`. `tf32` and `16` need a GPU. How far it
    agrees with float32 is told and recorded. What a frozen network, a teacher or a whitening learns from is float32."""

    bootstrap_draws: int = Field(default=2000, ge=100, le=100_000)
    """Number of bootstrap draws for each confidence interval, 100 to 100000."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of the intervals, above 0.5 to below 1."""


class ThresholdsConfig(Section):
    """Similarity thresholds, above which a wanted share of results is relevant, measured on the validation split."""

    precisions: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        default_factory=lambda: [0.9, 0.95, 0.99], min_length=1
    )
    """Wanted precisions (shares of relevant results), each above 0 and below 1."""

    neighbours: int = Field(default=10, ge=1, le=1000)
    """Number of nearest images of each query that are counted, 1 to 1000: as many as the shop shows."""

    minimum_errors: int = Field(default=5, ge=1, le=1000)
    """Number of wrong results, 1 to 1000, that must be expected above a threshold: 5 requires 100 results for 0.95, and
    500 for 0.99."""

    maximum_queries: int = Field(default=5000, ge=1, le=1_000_000)
    """Largest number of queries, 1 to 1000000; larger sets are sampled."""


class ExportConfig(Section):
    """What `simtrain export` writes."""

    index: str = "auto"
    """`auto`: exact up to 50,000 items; beyond, inverted lists of 8-bit codes, or smaller ones where `index_memory_mib`
    asks for it. Or a FAISS factory string: `Flat` (exact), `HNSW32`, `IVF1024,SQ8`, `PCA64,IVF1024,SQ8` … Similarities
    are exact cosines whatever the index."""

    index_memory_mib: int | None = Field(default=None, ge=1, le=10_000_000)
    """Memory in MiB, 1 to 10000000, that an index of `auto` may take; null: no limit. The vectors that exact
    similarities are computed from stay on the disk."""

    index_recall: float = Field(default=0.99, ge=0.5, le=0.999)
    """Share of the 10 nearest items, 0.5 to 0.999, that the search of an approximate index is tuned to find."""

    index_vectors: Literal["float32", "float16"] = "float32"
    """Numbers of the vectors beside an approximate index: `float16` halves their file, and moves similarities by up to
    about 0.0001."""

    onnx: bool | None = None
    """Write `encoder.onnx`, by which images are searched without torch; null: if the extra `export` is installed."""

    onnx_texts: bool | None = None
    """Write `text_encoder.onnx` and its tokenizer, by which texts are searched without torch; null: beside
    `encoder.onnx`, where the encoder embeds texts. It is as large as the text model, in float32."""

    onnx_precisions: list[Literal["float16", "int8"]] = Field(default_factory=list, max_length=2)
    """Smaller copies of `encoder.onnx` for your own devices and services: `float16` is written as
    `encoder.float16.onnx`, `int8` as `encoder.int8.onnx`. What each costs in recall is measured, told and in the
    manifest. Searches are answered by `encoder.onnx`, whose embeddings are those of the index."""

    torch_export: bool = False
    """Write `encoder.pt2`, the image encoder as a program of `torch.export`, for services that have torch and not
    simtrain."""

    thresholds: ThresholdsConfig = ThresholdsConfig()
    """Similarity thresholds."""

    @field_validator("onnx_texts", "onnx_precisions")
    @classmethod
    def _goes_with_onnx(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("onnx") is False:
            raise ValueError("found beside onnx false; allowed: with onnx true or null")
        return value
