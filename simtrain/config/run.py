"""Configuration of a run: data, encoder, objective, augmentation, optimizer, trainer."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from simtrain.config.augmentation import AugmentationConfig
from simtrain.config.encoder import ClipConfig, EncoderConfig, HistogramConfig, PixelsConfig, TwoTowersConfig
from simtrain.config.evaluation import EvaluationConfig, ExportConfig
from simtrain.config.objective import ObjectiveConfig
from simtrain.config.section import Section
from simtrain.config.texts import TextsConfig
from simtrain.config.tracking import TrackingConfig

Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]


class DataConfig(Section):
    """Batches and loading processes."""

    batch_size: int = Field(default=96, ge=2, le=65536)
    """Images per step of all devices together for P by K batches and SimCLR's augmentations; pairs per step for
    `positive: product`. Each device takes an equal share."""

    micro_batch_size: Annotated[int, Field(ge=1, le=65536)] | None = None
    """Number of images that a device passes through the network at once; the loss still uses the whole batch (gradient
    caching), so that memory grows with this number and a step takes a third longer. null: the device's whole share."""

    limit_batch_to: str | None = None
    """A column, such as `category` or `label`: a batch takes its groups from one value of it as far as they go, which
    makes its negatives harder; what fills no batch of its own is mixed. Over epochs each group is seen equally often,
    up to one. null: from everywhere."""

    workers: Annotated[int, Field(ge=0, le=128)] | None = None
    """Number of processes that load images, 0 (in the training process) to 128; null: one per core, at most 8."""


class OptimizerConfig(Section):
    """AdamW with warm-up and cosine schedule."""

    learning_rate: float = Field(default=3e-4, gt=0, le=1)
    """Peak learning rate of the encoder, above 0 to 1."""

    head_factor: float = Field(default=10.0, gt=0, le=1000)
    """Learning rate of heads and of a loss's own weights over `learning_rate`, above 0 to 1000."""

    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    """Decoupled weight decay, 0 to 1; biases and normalisation layers have none."""

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Decay rates of AdamW's running averages, each 0 to below 1."""

    warmup_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps in which the rate rises from 0, 0 to below 1; a cosine falls to 0 in the rest."""

    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Each layer's rate is this times the one's above it, above 0 to 1 (0.65 to 0.9 for vision transformers); 1: all
    pretrained layers learn at one rate."""

    gradient_clip_norm: float | None = Field(default=1.0, gt=0)
    """Largest norm of the gradient; null: unlimited."""


class TrainerConfig(Section):
    """Duration, devices, precision and freezing."""

    epochs: int = Field(default=10, ge=1, le=100_000)
    """Passes over the training images, 1 to 100000."""

    max_steps: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many steps, even within an epoch; null: after the epochs."""

    head_only_epochs: int = Field(default=0, ge=0)
    """First epochs in which only new layers learn; 0: none."""

    freeze_batch_norm: bool = True
    """Keep BatchNorm's running statistics of the pretrained network."""

    freeze: list[str] = Field(default_factory=list)
    """Parameters of the encoder that are frozen, by name, `*` for any part of it: `network.layer1.*`."""

    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Keep a running average of the weights, which is what is validated and exported: this share of it stays at each
    step, above 0 to below 1 (0.99 to 0.9999; less in the first steps); null: none."""

    early_stopping_patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many epochs without a better `evaluation.monitor`; null: never."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """`auto` takes the GPU if there is one."""

    devices: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = "auto"
    """Processes on this machine, a GPU each, 1 to 1024; `auto`: every visible GPU, or one process without a GPU. Under
    torchrun or SLURM it is they who say how many."""

    strategy: str = "ddp"
    """How several devices train together: a name of Lightning's for data parallel, `ddp` or, where not every weight
    takes part in the loss, `ddp_find_unused_parameters_true`."""

    save_every_steps: Annotated[int, Field(ge=1)] | None = None
    """Save the run's state within an epoch too, every so many steps: what a crash may cost at most; null: at the end of
    each epoch, and when the run is asked to end."""

    rank_timeout: int = Field(default=600, ge=5, le=86400)
    """Seconds after which a process that does not answer the others ends the run with an error, 5 to 86400."""

    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Arithmetic of the network; the loss is always computed in float32. `auto`: `bf16-mixed` on GPUs that have it,
    else `32-true`."""

    activation_checkpointing: bool = False
    """Compute a block's activations again in the backward pass instead of keeping them: a third slower, far less
    memory."""

    compile: bool = False
    """Compile the network with `torch.compile`: slow first steps, faster later ones."""

    stop_on_collapse: bool = True
    """End a run whose embeddings have become alike or lie in a few dimensions, with the reason."""

    @field_validator("devices", mode="before")
    @classmethod
    def _devices_are_counted(cls, value: object) -> object:
        if value != "auto" and not (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1024):
            raise ValueError(f"got {value!r}; allowed: auto, or 1 to 1024")
        return value


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

    relevance: str | Annotated[list[str], Field(min_length=1)] = "product"
    """The column, or columns together, whose equal values make one image relevant to another in an evaluation."""

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
        """`relevance` as a list."""
        return [self.relevance] if isinstance(self.relevance, str) else list(self.relevance)

    @property
    def trains(self) -> bool:
        """Whether the encoder has weights to train."""
        return not isinstance(self.encoder, PixelsConfig | HistogramConfig)

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
            raise ValueError(
                f"data.batch_size {size}: relational distillation compares an image's similarities to the others of a "
                "batch, and one other has nothing to compare with; take 3 or more"
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
        if isinstance(self.encoder, ClipConfig) and self.encoder.train_text:
            if texts is None:
                raise ValueError(
                    "encoder.train_text: no loss reads texts here; set it to false, or add objective.texts, or take "
                    "objective.kind: image_text"
                )
            if self.encoder.text_model is not None:
                raise ValueError("encoder.train_text: encoder.text_model stays as it is; set one of the two")
        return self
