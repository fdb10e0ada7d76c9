"""Configuration of a run: data, encoder, objective, augmentation, optimizer, trainer."""

from typing import Annotated

from pydantic import Field, model_validator

from simtrain.config.augmentation import AugmentationConfig
from simtrain.config.encoder import ClipConfig, EncoderConfig, TwoTowersConfig
from simtrain.config.evaluation import EvaluationConfig, ExportConfig
from simtrain.config.objective import ObjectiveConfig
from simtrain.config.relevance import RelevanceSetting, columns_of
from simtrain.config.section import Section
from simtrain.config.texts import TextsConfig
from simtrain.config.tracking import TrackingConfig
from simtrain.config.training import DataConfig, OptimizerConfig, TrainerConfig, frozen_encoder_fault

Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]


class RunConfig(Section):
    """Configuration of `simtrain fit`."""

    catalog: str
    """Folder that `simtrain prepare` wrote."""

    run: Name | None = None
    """Name of the run: its folder below `checkpoints`; null: the name of the configuration's file."""

    checkpoints: str = "checkpoints"
    """Folder that holds the runs."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of all random numbers, 0 to 2147483647."""

    fold: Annotated[int, Field(ge=0, lt=100)] | None = None
    """Cross-validation over the catalogue's column `fold`: this fold is `test`, the next one `val`, the others `train`;
    null: the catalogue's own splits."""

    relevance: RelevanceSetting = "product"
    """The column, or columns together, whose equal values make one image relevant to another in an evaluation; `kind`:
    the same label among other products, `{same: category, other: product}` likewise over other columns;
    `{qrels: FILE}`: pairs that a table of judgements says are relevant; `picture`: without products and labels, a
    changed copy of each picture (turned, cut, darker) has to find it."""

    encoder: EncoderConfig
    """The network and its input."""

    init_from: str | None = None
    """A run (its name below `checkpoints`, or its folder) whose best weights initialise the encoder, instead of
    `encoder.weights`; only weights are taken, it is a new run. null: none."""

    objective: ObjectiveConfig
    """Training objective."""

    augmentation: AugmentationConfig = AugmentationConfig()
    """Random augmentation that makes the training views."""

    data: DataConfig = DataConfig()
    """Batch size, grouping and loading processes."""

    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer and schedule."""

    trainer: TrainerConfig = TrainerConfig()
    """Duration and devices."""

    evaluation: EvaluationConfig = EvaluationConfig()
    """Evaluation on the validation and test splits."""

    tracking: TrackingConfig = TrackingConfig()
    """Experiment tracking."""

    export: ExportConfig = ExportConfig()
    """Export of the bundle."""

    @property
    def relevance_columns(self) -> list[str]:
        """The columns whose equal values make images relevant, as a list."""
        return columns_of(self.relevance)

    @property
    def relevances(self) -> list[RelevanceSetting]:
        """The definition of relevance, and those that the metrics are shown by beside."""
        return [self.relevance, *(self.evaluation.further_relevance or [])]

    @property
    def trains(self) -> bool:
        """Whether the encoder has weights to train."""
        return self.encoder.trains

    @property
    def texts(self) -> TextsConfig | None:
        """Settings of the training texts; None where training uses images alone."""
        return self.objective.needs.texts

    @property
    def texts_key(self) -> str:
        """The key below which the settings of `texts` stand."""
        return "objective" if self.objective.needs.texts_required else "objective.texts"

    @property
    def reads_texts(self) -> bool:
        """Whether the encoder embeds texts into the space of its images."""
        return isinstance(self.encoder, ClipConfig | TwoTowersConfig)

    @model_validator(mode="after")
    def _relevance_names_each_column_once(self) -> "RunConfig":
        columns = self.relevance_columns
        if len(set(columns)) < len(columns):
            raise ValueError(f"relevance names a column twice: {', '.join(columns)}")
        return self

    @model_validator(mode="after")
    def _batches_can_be_filled(self) -> "RunConfig":
        groups, size = self.objective.needs.groups, self.data.batch_size
        if groups is None:
            if self.data.limit_batch_to is not None:
                chosen = "positive" if "positive" in type(self.objective).model_fields else "objective.kind"
                value = getattr(self.objective, chosen.removeprefix("objective."))
                raise ValueError(f"data.limit_batch_to needs groups; it does not go with {chosen}: {value}")
            return self
        images = groups.samples
        if not groups.paired and (size % images or size < 2 * images):
            raise ValueError(
                f"data.batch_size {size} does not hold two whole groups of objective.images_per_group {images}; "
                f"take a multiple of {images}, {2 * images} or more"
            )
        return self

    @model_validator(mode="after")
    def _images_have_relations(self) -> "RunConfig":
        needs, size = self.objective.needs, self.data.batch_size
        if needs.relations is not None and size * needs.views < 3:
            raise ValueError(f"data.batch_size {size}: relational distillation needs 3 or more images in a batch")
        return self

    @model_validator(mode="after")
    def _a_frozen_encoder_has_a_layer_to_train(self) -> "RunConfig":
        if (reason := frozen_encoder_fault(self.trainer, self.encoder, self.objective, self.data)) is not None:
            raise ValueError(reason)
        return self

    @model_validator(mode="after")
    def _distractors_have_no_texts(self) -> "RunConfig":
        evaluation = self.evaluation
        with_texts = evaluation.captions is not None or evaluation.label_templates
        if evaluation.distractors is not None and self.reads_texts and with_texts:
            raise ValueError(
                "evaluation.distractors: the text metrics of this encoder are of the same images, and texts of "
                "training images are no test; set evaluation.captions=null and evaluation.label_templates=[], or "
                "evaluation.distractors=null"
            )
        return self

    @model_validator(mode="after")
    def _texts_are_read_and_learned(self) -> "RunConfig":
        kind, texts = self.encoder.kind, self.texts
        if texts is not None and not self.reads_texts:
            where = (
                f"objective.kind: {self.objective.kind}" if self.objective.needs.texts_required else "objective.texts"
            )
            raise ValueError(f"{where} needs an encoder that reads texts, encoder.kind: clip or two_towers; got {kind}")
        if self.evaluation.monitor.startswith(("text_to", "image_to")) and not self.reads_texts:
            raise ValueError(
                f"evaluation.monitor {self.evaluation.monitor} needs an encoder that reads texts, encoder.kind: clip "
                f"or two_towers; got {kind}"
            )
        if self.export.onnx_texts and not self.reads_texts:
            raise ValueError(
                f"export.onnx_texts needs an encoder that reads texts, encoder.kind: clip or two_towers; got {kind}"
            )
        if isinstance(self.encoder, ClipConfig) and self.encoder.train_text:
            if texts is None:
                raise ValueError(
                    "encoder.train_text: no loss reads texts here; set it to false, or add objective.texts, or take "
                    "objective.kind: image_text"
                )
            if self.encoder.text_model is not None:
                raise ValueError("encoder.train_text: encoder.text_model stays as it is; set one of the two")
        return self
