"""What every training objective shares: embed, optimise, freeze, validate by retrieval."""

# Shapes: B samples, V views, N = B·V images, S = image_size, D features.

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from typing_extensions import override

from simtrain.data.batch import Batch, ImageBatch
from simtrain.encoders.base import Encoder
from simtrain.errors import SimtrainError
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.training.freezing import hold_batch_norm, set_trainable
from simtrain.training.optim import OptimizerSettings, adamw_with_cosine, parameter_groups


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a module is trained, whatever its loss.

    Attributes:
        optimizer: Rates, decay, schedule.
        head_only_epochs: First epochs in which only new parameters learn.
        freeze_batch_norm: Keep BatchNorm's running statistics.
    """

    optimizer: OptimizerSettings
    head_only_epochs: int
    freeze_batch_norm: bool


class RetrievalModule(pl.LightningModule, ABC):
    """An encoder, an optional head that export drops, and a loss.

    Args:
        encoder: What is fine-tuned.
        head: From embeddings to what the loss sees; None: the embeddings themselves.
        settings: Optimizer and freezing.
        validation: What validation scores; None where nothing tells what is relevant.
    """

    def __init__(
        self,
        *,
        encoder: Encoder,
        head: nn.Module | None,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head: nn.Module = head if head is not None else nn.Identity()
        self._settings = settings
        self._validation = validation
        self._found: list[tuple[Tensor, Tensor]] = []

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The scalar to minimise."""

    def project(self, batch: Batch) -> Tensor:
        """(B, V, …) views -> (V·B, O) for the loss, view by view: rows i and i + B are views of one sample."""
        pixels = batch.views.transpose(0, 1).flatten(0, 1)
        return cast(Tensor, self.head(self.encoder(self.encoder.preprocessing.normalise(pixels))))

    def new_parameters(self) -> list[nn.Parameter]:
        """Parameters that no pretraining has seen: heads, proxies, a new last layer."""
        old = {id(parameter) for parameter in self.encoder.parameters()}
        beside_encoder = [parameter for parameter in self.parameters() if id(parameter) not in old]
        return [*self.encoder.new_parameters(), *beside_encoder]

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        if not torch.isfinite(loss):
            raise SimtrainError(
                f"training diverged: the loss is {loss.item()} in step {self.global_step + 1} of epoch "
                f"{self.current_epoch + 1}; set a smaller optimizer.learning_rate"
            )
        images = batch.views.shape[0] * batch.views.shape[1]
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=images)
        return loss

    @override
    def validation_step(self, batch: ImageBatch, batch_idx: int) -> None:
        self._found.append((batch.positions.cpu(), self.encoder.embed_pixels(batch.pixels).cpu()))

    @override
    def on_validation_epoch_end(self) -> None:
        found, self._found = self._found, []
        if self._validation is None:
            return
        positions = torch.cat([places for places, _ in found])
        embeddings = torch.cat([vectors for _, vectors in found])[positions.argsort()]
        for name, value in self._validation.means(embeddings).items():
            self.log(f"val_{name}", value, batch_size=len(positions))

    @override
    def train(self, mode: bool = True) -> "RetrievalModule":
        super().train(mode)
        if mode and self._settings.freeze_batch_norm:
            hold_batch_norm(self)
        return self

    @override
    def on_train_start(self) -> None:
        self._hold_what_is_frozen()  # Lightning begins no epoch when it resumes in the middle of one

    @override
    def on_train_epoch_start(self) -> None:
        self._hold_what_is_frozen()

    @override
    def configure_optimizers(self) -> Any:
        groups = parameter_groups(self, new=self.new_parameters(), settings=self._settings.optimizer)
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = adamw_with_cosine(groups, settings=self._settings.optimizer, steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _hold_what_is_frozen(self) -> None:
        self.train()  # Lightning gives each part the mode it had, and `embed` leaves the encoder in evaluation mode
        head_only = self.current_epoch < self._settings.head_only_epochs
        new = {id(parameter) for parameter in self.new_parameters()}
        pretrained = [parameter for parameter in self.parameters() if id(parameter) not in new]
        set_trainable(pretrained, trainable=not head_only)
        if head_only:
            hold_batch_norm(self.encoder)  # its running statistics are no less pretrained than its weights
