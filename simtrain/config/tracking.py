"""Configuration of experiment tracking: W&B, TensorBoard, step logging."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from simtrain.config.section import Section


class WandbConfig(Section):
    """Weights & Biases."""

    mode: Literal["offline", "online"] = "offline"
    """`offline` writes to the run's folder and says how to send it later; `online` sends as the run goes on, and falls
    back to `offline` where there is no account or no network."""

    project: str | None = None
    """The project that the run appears in; null: that of the environment variable WANDB_PROJECT, else `simtrain`."""

    entity: str | None = None
    """The user or team that it belongs to; null: the account's own."""

    tags: list[str] = Field(default_factory=list)
    """Labels of the run."""

    model_artifact: bool = False
    """Keep `best.ckpt` as an artifact of the run."""


class TrackingConfig(Section):
    """Experiment tracking; `metrics.csv` and `steps.csv` in the run's folder are always written."""

    wandb: WandbConfig | None = None
    """Log the run to Weights & Biases: `true`, or settings; null: off."""

    tensorboard: bool = False
    """Write TensorBoard's event files to the run's folder `tensorboard`."""

    every_steps: int = Field(default=50, ge=1, le=100_000)
    """Steps between two measurements of the embeddings, 1 to 100000."""

    worst_queries: Annotated[int, Field(ge=0, le=200)] = 16
    """Validation queries of the lowest average precision that are shown with their nearest images, 0 to 200."""

    @field_validator("wandb", mode="before")
    @classmethod
    def _true_means_the_defaults(cls, value: object) -> object:
        if isinstance(value, bool):
            return {} if value else None
        return value
