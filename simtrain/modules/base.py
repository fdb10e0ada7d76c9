"""Base LightningModule of the objectives: embed, gather over ranks, optimise, freeze, average, validate."""

# Shapes: B samples of the whole batch, b of this process, V views, O dimensions that the loss sees, N images.

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from typing_extensions import override

from simtrain.data.batch import Batch, ImageBatch
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import AlignedEncoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.loss_value import LossValue
from simtrain.losses.start_regularisation import distillation_loss
from simtrain.modules.coarser_level import with_levels
from simtrain.modules.global_batch import (
    NO_AUXILIARY_LOSSES,
    AuxiliaryLosses,
    GlobalBatch,
    TrainingSettings,
    gather_views,
    view_pixels,
)
from simtrain.modules.image_text_pairs import largest_scale
from simtrain.modules.validation import EpochValidation
from simtrain.training.ema import WeightAverage
from simtrain.training.freezing import freeze_matching, hold_batch_norm, hold_frozen_norms, set_trainable
from simtrain.training.non_finite_guard import FailedStep, NonFiniteError, non_finite_message
from simtrain.training.optim import adamw_with_cosine, parameter_groups
from simtrain.training.product_sums import ProductSums
from simtrain.training.random_state import common_random_numbers
from simtrain.training.ranks import gather, rank_count
from simtrain.training.step_record import StepRecord
from simtrain.training.tracking.worst_queries import WorstQuery


class RetrievalModule(pl.LightningModule, ABC):
    """An encoder, an optional head that export drops, and a loss.

    Args:
        encoder: Encoder to fine-tune.
        head: Head from embeddings to the input of the loss; None: the embeddings themselves.
        settings: Settings of optimizer, freezing, weight averaging and memory.
        validation: Retrieval task of validation; None without relevance to score by.
        auxiliary: Auxiliary losses: texts, and regularisation towards the initial weights.

    Attributes:
        last_step: Record of the latest training step.
        monitored: The figure of the latest validation that chooses the epoch, by product.
        worst_queries: The worst queries of the latest validation, on rank 0.
        item_id: Catalogue row -> image id, for messages.
    """

    def __init__(
        self,
        *,
        encoder: Encoder,
        head: nn.Module | None,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
        auxiliary: AuxiliaryLosses = NO_AUXILIARY_LOSSES,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head: nn.Module = head if head is not None else nn.Identity()
        self._frozen = freeze_matching(encoder, settings.freeze)
        self.averaged = WeightAverage(encoder, decay=settings.ema_decay) if settings.ema_decay is not None else None
        self._settings = settings
        self._validation = None
        if validation is not None:
            self._validation = EpochValidation(
                validation,
                monitor=settings.monitor,
                texts=auxiliary.validation_texts,
                worst=settings.worst_queries,
            )
        self._auxiliary = auxiliary
        self._largest_scale = largest_scale(encoder) if isinstance(encoder, AlignedEncoder) else None
        self.last_step: StepRecord | None = None
        self.monitored: ProductSums | None = None
        self.worst_queries: list[WorstQuery] | None = None
        self.item_id: Callable[[int], str] = str

    @abstractmethod
    def loss(self, batch: GlobalBatch) -> LossValue:
        """The scalar to minimise, the same on every process."""

    @abstractmethod
    def positives(self, batch: GlobalBatch) -> Tensor:
        """(V·B,) numbers, equal where two embeddings are positives of each other."""

    @property
    def temperature(self) -> Tensor | float | None:
        """Temperature that divides the similarities, a scalar or a number; None where the loss has none."""
        return None

    def project(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(b, V, …) views of this process -> (V·b, D) embeddings and (V·b, O) of them after the head, view by view."""
        pixels = view_pixels(batch)
        size = self._settings.micro_batch_size
        if size is None or len(pixels) <= size:
            return self._projected(pixels)
        # Gradient caching (https://arxiv.org/abs/2101.06983): activations of one part at a time, computed again in the
        # backward pass with the random numbers of the first.
        parts = [checkpoint(self._projected, part, use_reentrant=False) for part in torch.split(pixels, size)]
        embedded, projected = (torch.cat(outputs) for outputs in zip(*parts, strict=True))
        return embedded, projected

    def gather_batch(self, batch: Batch) -> GlobalBatch:
        """The batches of all processes as one."""
        views, regulariser = batch.views.shape[1], self._auxiliary.regulariser
        whole = partial(gather_views, views=views)
        embedded, projected = self.project(batch)
        embeddings, labels, rows = whole(projected), gather(batch.labels), gather(batch.rows)
        if not self._auxiliary.sees_embeddings:
            return GlobalBatch(embeddings=embeddings, labels=labels, rows=rows)
        drift = None
        joint = embeddings if isinstance(self.head, nn.Identity) else whole(embedded)
        if regulariser is not None and regulariser.distillation:
            start = regulariser.embed(view_pixels(batch), at_once=self._settings.micro_batch_size)
            drift = distillation_loss(joint, whole(start))
        pairs = None
        if self._auxiliary.image_text is not None:
            known = batch.rows_on_host if rank_count() == 1 else None  # those of other processes come with `gather`
            on_host = rows.cpu() if known is None else known
            pairs = self._auxiliary.image_text.embed_pairs(
                self._aligned(), joint, on_host, step=self.global_step, whole=whole
            )
        return GlobalBatch(
            embeddings=embeddings,
            labels=labels,
            rows=rows,
            joint=joint,
            pairs=pairs,
            drift=drift,
        )

    def value(self, batch: GlobalBatch) -> LossValue:
        """The objective's loss plus its auxiliary losses."""
        auxiliary, value = self._auxiliary, self.loss(batch)
        if batch.pairs is not None and auxiliary.image_text is not None and auxiliary.image_text_weight:
            loss = auxiliary.image_text.value(self._aligned(), batch.pairs)
            value = value.plus("image_text", loss, weight=auxiliary.image_text_weight)
        if batch.joint is not None:
            rows, groups = batch.flat_rows, self.positives(batch)
            if auxiliary.teacher is not None and auxiliary.teacher_weight:
                loss = auxiliary.teacher.loss(batch.joint, rows=rows, groups=groups)
                value = value.plus("relations", loss, weight=auxiliary.teacher_weight)
            value = with_levels(value, auxiliary.levels, batch.joint, rows=rows, groups=groups)
        if (regulariser := auxiliary.regulariser) is not None:
            if batch.drift is not None:
                value = value.plus("distillation", batch.drift, weight=regulariser.distillation)
            if regulariser.weight_distance:
                distance = regulariser.distance(self.encoder, frozen=self._frozen)
                value = value.plus("weight_distance", distance, weight=regulariser.weight_distance)
        return value

    def new_parameters(self) -> list[nn.Parameter]:
        """Parameters that start untrained: heads, proxies, a new last layer."""
        old = {id(parameter) for parameter in self.encoder.parameters()}
        averaged = {id(parameter) for parameter in self.averaged.parameters()} if self.averaged is not None else set()
        beside_encoder = [parameter for parameter in self.parameters() if id(parameter) not in old | averaged]
        return [*self.encoder.new_parameters(), *beside_encoder]

    @property
    def evaluated_encoder(self) -> Encoder:
        """Encoder that validation evaluates and export takes: the averaged one, or else the one in training."""
        return self.averaged.encoder if self.averaged is not None else self.encoder

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        gathered = self.gather_batch(batch)
        with common_random_numbers(self._settings.seed, self.global_step):
            value = self.value(gathered)
        self._record(gathered, value)
        if not torch.isfinite(value.total):
            raise NonFiniteError(self._not_finite_message(gathered, value.total))
        self.log("train_loss", value.total.detach(), on_step=False, on_epoch=True, batch_size=len(gathered.embeddings))
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
        if self._largest_scale is not None:
            with torch.no_grad():
                self._aligned().logit_scale.clamp_(max=self._largest_scale)
        if self.averaged is not None:
            self.averaged.update(self.encoder, step=self.global_step + 1)  # this step is counted after this hook

    @override
    def validation_step(self, batch: ImageBatch, batch_idx: int) -> None:
        if self._validation is not None and len(batch.positions):
            encoder, pixels, precision = self.evaluated_encoder, batch.pixels, self._settings.embedding_precision
            cached = pixels.is_floating_point()
            found = encoder.embed_features(pixels) if cached else encoder.embed_pixels(pixels, precision=precision)
            self._validation.add(batch.positions, found)

    @override
    def on_validation_epoch_end(self) -> None:
        if self._validation is None:
            return
        outcome = self._validation.finish(self.evaluated_encoder)
        self.monitored, self.worst_queries = outcome.monitored, outcome.worst
        for name, figure in outcome.figures.items():
            self.log(f"val_{name}", figure, batch_size=1)

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

    def _projected(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, S, S, 3) uint8 pixels, or (N, F) float features of a frozen network."""
        encoder = self.encoder
        cached = pixels.is_floating_point()
        embedded = encoder.last_layer(pixels) if cached else encoder(encoder.preprocessing.normalise(pixels))
        return embedded, self.head(embedded)

    def _aligned(self) -> AlignedEncoder:
        assert isinstance(self.encoder, AlignedEncoder)
        return self.encoder

    def _record(self, batch: GlobalBatch, value: LossValue) -> None:
        self.last_step = StepRecord(
            embeddings=F.normalize(batch.embeddings.detach().float(), dim=1),
            groups=self.positives(batch),
            rows=batch.flat_rows,
            loss=value.total.detach(),
            parts=value.parts,
            temperature=self.temperature,
            active_share=value.active_share,
            mined=value.mined,
        )

    def _not_finite_message(self, batch: GlobalBatch, loss: Tensor) -> str:
        failed = FailedStep(
            loss=float(loss.detach()),
            embeddings=batch.embeddings.detach(),
            rows=batch.flat_rows.tolist(),
            step=self.global_step + 1,
            epoch=self.current_epoch + 1,
        )
        return non_finite_message(failed, item_id=self.item_id, names=self._settings.names)

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
