"""Configuration of training: batches, optimizer, duration, devices, freezing."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from simtrain.config.encoder import EncoderConfig, ResNetConfig, TimmConfig, TwoTowersConfig
from simtrain.config.objective import ObjectiveConfig
from simtrain.config.section import Section


def _is_number(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= 1024


def _devices_are_known(value: object) -> object:
    if isinstance(value, list):
        if not value or len(set(map(str, value))) < len(value) or not all(_is_number(each, 0) for each in value):
            raise ValueError(f"got {value!r}; allowed: numbers of GPUs, each once, such as [0, 2]")
    elif value != "auto" and not _is_number(value, 1):
        raise ValueError(f"got {value!r}; allowed: auto, 1 to 1024, or a list of GPUs such as [0, 2]")
    return value


Devices = Annotated[
    Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] | list[int], BeforeValidator(_devices_are_known)
]
"""How many devices, or which GPUs."""


class DataConfig(Section):
    """Batches and loading processes."""

    batch_size: int = Field(default=96, ge=2, le=65536)
    """Images per step of all devices together for P by K batches and SimCLR's augmentations; pairs per step for
    `positive: product`. Each device takes an equal share."""

    micro_batch_size: Annotated[int, Field(ge=1, le=65536)] | None = None
    """Number of images that a device passes through the network at once; the loss still uses the whole batch (gradient
    caching), so that memory grows with this number and a step takes a third longer. null: the device's whole share."""

    limit_batch_to: str | None = None
    """A column, such as `category` or `label`: a batch takes its groups from one value of it where possible, which
    makes its negatives harder; groups that fill no batch of their own are mixed. Over epochs each group is seen equally
    often, up to one. null: from all values."""

    workers: Annotated[int, Field(ge=0, le=128)] | None = None
    """Number of processes that load images, 0 (in the training process) to 128; null: one per core, at most 16."""


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
    """Stop after this many steps, even within an epoch; null: after the epochs."""

    head_only_epochs: int = Field(default=0, ge=0)
    """First epochs in which only new layers learn; 0: none."""

    freeze_batch_norm: bool = True
    """Keep BatchNorm's running statistics of the pretrained network."""

    freeze: list[str] = Field(default_factory=list)
    """Parameters of the encoder that are frozen, by name, `*` for any part of it: `network.layer1.*`."""

    freeze_encoder: bool = False
    """Train only a last linear layer, on features that the pretrained network computes once: thousands of steps in
    seconds, in one process. Without `encoder.embedding_size` it starts as the identity, at the untouched embedding;
    with it, as the principal axes of the training images. Its rate is `optimizer.learning_rate` itself."""

    frozen_views: int = Field(default=1, ge=1, le=64)
    """Number of versions of each training image that a frozen network sees, 1 to 64: the image as it is evaluated, and
    augmented views of it."""

    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of a running average of the weights, which is then validated and exported, above 0 to below 1 (0.99 to
    0.9999; less in the first steps); null: no average."""

    early_stopping_patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after this many epochs without a better `evaluation.monitor`; null: never."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """`auto` takes the GPU if there is one."""

    devices: Devices = "auto"
    """Processes on this machine, a GPU each, 1 to 1024, or a list of the GPUs' numbers: `[0, 2]`. `auto`: as many of
    the visible GPUs as the batch divides among, or one process without a GPU. torchrun and SLURM set the number
    themselves."""

    strategy: str = "ddp"
    """How several devices train together: a name of Lightning's for data parallel, `ddp` or, where not every weight
    takes part in the loss, `ddp_find_unused_parameters_true`."""

    save_every_steps: Annotated[int, Field(ge=1)] | None = None
    """Also save the run's state within an epoch, every this many steps, which a crash can cost at most; null: at the
    end of each epoch and on interruption only."""

    rank_timeout: int = Field(default=600, ge=5, le=86400)
    """Seconds after which a process that does not answer the others ends the run with an error, 5 to 86400."""

    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Arithmetic of the network; the loss is always computed in float32. `auto`: `bf16-mixed` on GPUs that have it,
    `16-mixed` from compute capability 7.0 on, else `32-true`; on processors with bf16 instructions `bf16-mixed` for
    networks that gain by it, as ResNets and transformers do, and EfficientNets do not."""

    activation_checkpointing: bool = False
    """Compute a block's activations again in the backward pass instead of keeping them: a third slower, far less
    memory."""

    compile: bool = False
    """Compile the network with `torch.compile`: slow first steps, faster later ones."""

    stop_on_collapse: bool = True
    """End a run whose embeddings have become alike or lie in a few dimensions, with the reason."""


def frozen_encoder_fault(
    trainer: TrainerConfig, encoder: EncoderConfig, objective: ObjectiveConfig, data: DataConfig
) -> str | None:
    """Reason why sections of a run do not go with `trainer.freeze_encoder`; None if they do."""
    if not trainer.freeze_encoder:
        return "trainer.frozen_views needs trainer.freeze_encoder: true" if trainer.frozen_views > 1 else None
    network = encoder.image if isinstance(encoder, TwoTowersConfig) else encoder
    if not isinstance(network, ResNetConfig | TimmConfig):
        return f"trainer.freeze_encoder needs encoder.kind: resnet, timm or two_towers; got {encoder.kind}"
    excluded = {
        "encoder.lora": network.lora is not None,
        "objective.keep.distillation": bool(objective.keep.distillation),
        "trainer.head_only_epochs": trainer.head_only_epochs > 0,
        "trainer.activation_checkpointing": trainer.activation_checkpointing,
        "trainer.compile": trainer.compile,
        "data.micro_batch_size": data.micro_batch_size is not None,
    }
    for key in (key for key, is_set in excluded.items() if is_set):
        return f"{key} is for a network that learns; leave it out with trainer.freeze_encoder: true"
    if trainer.devices not in ("auto", 1) and not (isinstance(trainer.devices, list) and len(trainer.devices) == 1):
        return f"trainer.devices: {trainer.devices}: a frozen network is trained by one process; set 1"
    needs = objective.needs
    if needs.groups is None and needs.views > trainer.frozen_views:
        return (
            f"trainer.frozen_views {trainer.frozen_views}: {needs.views} views of an image are compared; take "
            f"{needs.views} or more"
        )
    return None
