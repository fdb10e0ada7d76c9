"""What every training objective shares: embed, gather, optimise, freeze, average, validate by retrieval."""

# Shapes: B samples of the whole batch, b of this process, V views, O dimensions that the loss sees, N images.

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from typing_extensions import override

from simtrain.data.batch import Batch, ImageBatch
from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.worst import worst_queries
from simtrain.losses.value import LossValue
from simtrain.training.ema import WeightAverage
from simtrain.training.freezing import freeze_matching, hold_batch_norm, hold_frozen_norms, set_trainable
from simtrain.training.guards import NonFiniteError, non_finite_message
from simtrain.training.optim import OptimizerSettings, adamw_with_cosine, parameter_groups
from simtrain.training.random_state import common_random_numbers
from simtrain.training.ranks import add_up, from_first, gather, gather_with_gradient, rank, rank_count
from simtrain.training.step_record import StepRecord
from simtrain.training.tracking.worst_queries import WorstQuery


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a module is trained, whatever its loss.

    Attributes:
        optimizer: Rates, decay, schedule.
        head_only_epochs: First epochs in which only new parameters learn.
        freeze_batch_norm: Keep BatchNorm's running statistics.
        freeze: Patterns of names of the encoder's parameters that never learn.
        ema_decay: Of the running average of the weights; None: no average.
        micro_batch_size: Images that pass through the network at once; None: all of a process's.
        seed: Of what is random within a loss.
        worst_queries: Validation queries that are kept to be shown.
    """

    optimizer: OptimizerSettings
    head_only_epochs: int
    freeze_batch_norm: bool
    freeze: Sequence[str]
    ema_decay: float | None
    micro_batch_size: int | None
    seed: int
    worst_queries: int


@dataclass(frozen=True, kw_only=True)
class SeenBatch:
    """The whole batch as the loss sees it, the same on every process, with gradients to this process's rows.

    Attributes:
        embeddings: (V·B, O), view by view: rows i and i + B are views of one sample.
        labels: (B,) int64, equal where two samples are positives of each other; -1 where unknown.
        rows: (B, V) int64 catalogue rows.
    """

    embeddings: Tensor
    labels: Tensor
    rows: Tensor

    @property
    def flat_rows(self) -> Tensor:
        """(V·B,) catalogue rows of the embeddings."""
        return self.rows.T.flatten()


class RetrievalModule(pl.LightningModule, ABC):
    """An encoder, an optional head that export drops, and a loss.

    Args:
        encoder: What is fine-tuned.
        head: From embeddings to what the loss sees; None: the embeddings themselves.
        settings: Optimizer, freezing, averaging, memory.
        validation: What validation scores; None where nothing tells what is relevant.

    Attributes:
        last_step: What the latest training step has seen.
        validation_outcome: The worst queries of the latest validation, on the first process.
        item_id: Catalogue row -> id, for messages.
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
        self._frozen = freeze_matching(encoder, settings.freeze)
        self.averaged = WeightAverage(encoder, decay=settings.ema_decay) if settings.ema_decay is not None else None
        self._settings = settings
        self._validation = validation
        self._found: list[tuple[Tensor, Tensor]] = []
        self.last_step: StepRecord | None = None
        self.validation_outcome: list[WorstQuery] | None = None
        self.item_id: Callable[[int], str] = str

    @abstractmethod
    def loss(self, seen: SeenBatch) -> LossValue:
        """The scalar to minimise, the same on every process."""

    @abstractmethod
    def positives(self, seen: SeenBatch) -> Tensor:
        """(V·B,) numbers, equal where two embeddings are positives of each other."""

    @property
    def temperature(self) -> float | None:
        """What divides the similarities; None where the loss has no such thing."""
        return None

    def project(self, batch: Batch) -> Tensor:
        """(b, V, …) views of this process -> (V·b, O), view by view."""
        pixels = batch.views.transpose(0, 1).flatten(0, 1)
        size = self._settings.micro_batch_size
        if size is None or len(pixels) <= size:
            return self._projected(pixels)
        # Gradient caching (https://arxiv.org/abs/2101.06983): activations of one part at a time, computed again in the
        # backward pass with the random numbers of the first.
        return torch.cat([checkpoint(self._projected, part, use_reentrant=False) for part in torch.split(pixels, size)])

    def see(self, batch: Batch) -> SeenBatch:
        """The batches of all processes as one."""
        views = batch.views.shape[1]
        mine = torch.unflatten(self.project(batch), 0, (views, -1)).transpose(0, 1)
        return SeenBatch(
            embeddings=gather_with_gradient(mine.contiguous()).transpose(0, 1).flatten(0, 1),
            labels=gather(batch.labels),
            rows=gather(batch.rows),
        )

    def new_parameters(self) -> list[nn.Parameter]:
        """Parameters that no pretraining has seen: heads, proxies, a new last layer."""
        old = {id(parameter) for parameter in self.encoder.parameters()}
        averaged = {id(parameter) for parameter in self.averaged.parameters()} if self.averaged is not None else set()
        beside_encoder = [parameter for parameter in self.parameters() if id(parameter) not in old | averaged]
        return [*self.encoder.new_parameters(), *beside_encoder]

    @property
    def judged_encoder(self) -> Encoder:
        """What validation judges and export takes: the averaged encoder, or the one that learns."""
        return self.averaged.encoder if self.averaged is not None else self.encoder

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        seen = self.see(batch)
        with common_random_numbers(self._settings.seed, self.global_step):
            value = self.loss(seen)
        self._record(seen, value)
        if not torch.isfinite(value.total):
            raise NonFiniteError(self._told_not_finite(seen, value.total))
        self.log("train_loss", value.total.detach(), on_step=False, on_epoch=True, batch_size=len(seen.embeddings))
        return value.total

    @override
    def on_after_backward(self) -> None:
        if self._in_head_only_epoch and rank_count() > 1:
            # Data-parallel training waits for every gradient: there, what is held still is held still here.
            for parameter in self._pretrained():
                parameter.grad = None

    @override
    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        super().optimizer_step(*arguments, **settings)
        if self.averaged is not None:
            self.averaged.update(self.encoder, step=self.global_step + 1)  # this step is counted after this hook

    @override
    def validation_step(self, batch: ImageBatch, batch_idx: int) -> None:
        if len(batch.positions):
            self._found.append((batch.positions.cpu(), self.judged_encoder.embed_pixels(batch.pixels).cpu()))

    @override
    def on_validation_epoch_end(self) -> None:
        found, self._found = self._found, []
        if self._validation is None:
            return
        embeddings = torch.zeros(len(self._validation.rows), self.encoder.embedding_size)
        for positions, vectors in found:
            embeddings[positions] = vectors
        embeddings = add_up(embeddings)
        figures: dict[str, float] = {}
        if rank() == 0:
            scores = self._validation.score(embeddings)
            figures = scores.means()
            self.validation_outcome = worst_queries(
                self._validation, embeddings, scores, count=self._settings.worst_queries
            )
        for name, figure in from_first(figures).items():
            self.log(f"val_{name}", figure, batch_size=len(embeddings))

    @override
    def train(self, mode: bool = True) -> "RetrievalModule":
        super().train(mode)
        if mode and self._settings.freeze_batch_norm:
            hold_batch_norm(self)
        if mode:
            hold_frozen_norms(self.encoder, frozen=self._frozen)
        return self

    @override
    def on_train_start(self) -> None:
        self._hold_what_is_frozen()  # Lightning begins no epoch when it resumes in the middle of one

    @override
    def on_train_epoch_start(self) -> None:
        self._hold_what_is_frozen()

    @override
    def configure_optimizers(self) -> Any:
        groups = parameter_groups(
            self, encoder=self.encoder, new=self.new_parameters(), settings=self._settings.optimizer
        )
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = adamw_with_cosine(groups, settings=self._settings.optimizer, steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _projected(self, pixels: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.encoder(self.encoder.preprocessing.normalise(pixels))))

    def _record(self, seen: SeenBatch, value: LossValue) -> None:
        self.last_step = StepRecord(
            embeddings=F.normalize(seen.embeddings.detach().float(), dim=1),
            groups=self.positives(seen),
            rows=seen.flat_rows,
            loss=value.total.detach(),
            parts=value.parts,
            temperature=self.temperature,
            active_share=value.active_share,
            mined=value.mined,
        )

    def _told_not_finite(self, seen: SeenBatch, loss: Tensor) -> str:
        return non_finite_message(
            loss=float(loss.detach()),
            embeddings=seen.embeddings.detach(),
            rows=seen.flat_rows.tolist(),
            item_id=self.item_id,
            step=self.global_step + 1,
            epoch=self.current_epoch + 1,
        )

    @property
    def _in_head_only_epoch(self) -> bool:
        return self.current_epoch < self._settings.head_only_epochs

    def _pretrained(self) -> list[nn.Parameter]:
        """Parameters of the encoder that are neither new nor frozen for good."""
        new = {id(parameter) for parameter in self.new_parameters()}
        return [
            parameter
            for name, parameter in self.encoder.named_parameters()
            if id(parameter) not in new and name not in self._frozen
        ]

    def _hold_what_is_frozen(self) -> None:
        self.train()  # Lightning gives each part the mode it had, and `embed` leaves the encoder in evaluation mode
        if rank_count() == 1:
            set_trainable(self._pretrained(), trainable=not self._in_head_only_epoch)
        if self._in_head_only_epoch:
            hold_batch_norm(self.encoder)  # its running statistics are no less pretrained than its weights


def catalogue_ids(ids: Sequence[str]) -> Callable[[int], str]:
    """Names catalogue rows by their ids."""
    known = np.asarray(ids, dtype=object)
    return lambda row: str(known[row])
