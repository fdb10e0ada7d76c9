"""A small network on drawn points that shows its steps as a run's module does, and a tracker that remembers."""

# Shapes: N points, S = 16 coordinates, D = 8 features.

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from simtrain.training.step_record import StepRecord
from simtrain.training.tracking.worst_queries import TrackedQuery, WorstQuery

MARGIN = 0.2
Loss = Callable[[Tensor, Tensor], tuple[Tensor, int | None, Tensor | None]]


def batch_hard(embeddings: Tensor, groups: Tensor) -> tuple[Tensor, int | None, Tensor | None]:
    """Each anchor's farthest positive with its nearest negative; the mean over the triplets that cost anything."""
    similarities = embeddings @ embeddings.T
    alike = groups[:, None] == groups[None, :]
    farthest = similarities.masked_fill(~alike, 2).amin(dim=1)
    nearest = similarities.masked_fill(alike, -2).amax(dim=1)
    return _triplets(farthest, nearest)


def no_tuples(embeddings: Tensor, groups: Tensor) -> tuple[Tensor, int | None, Tensor | None]:
    """A miner that finds nothing."""
    return embeddings.sum() * 0, 0, torch.tensor(0.0)


def pairs_of_views(embeddings: Tensor, groups: Tensor, *, temperature: float = 0.1) -> tuple[Tensor, None, None]:
    """NT-Xent on consecutive rows."""
    similarities = embeddings @ embeddings.T / temperature
    similarities = similarities.masked_fill(torch.eye(len(embeddings), dtype=torch.bool), -1e9)
    return F.cross_entropy(similarities, torch.arange(len(embeddings)) ^ 1), None, None


def _triplets(positive: Tensor, negative: Tensor) -> tuple[Tensor, int | None, Tensor | None]:
    costs = F.relu(MARGIN - positive + negative)
    active = costs > 0
    return costs.sum() / active.sum().clamp(min=1), len(costs), active.float().mean()


class Points(Dataset[tuple[Tensor, Tensor]]):
    """Batches of whole groups: `blur` is how far the members of a group lie from its centre, 1 as far as its peers."""

    def __init__(self, *, groups: int, per_group: int, blur: float, batches: int) -> None:
        generator = torch.Generator().manual_seed(0)
        centres = torch.randn(groups, 16, generator=generator)
        self._labels = torch.arange(groups).repeat_interleave(per_group)
        noise = torch.randn(batches, len(self._labels), 16, generator=generator)
        self._points = centres[self._labels] * (1 - blur) + noise * blur

    def __len__(self) -> int:
        return len(self._points)

    @override
    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._points[index], self._labels


class PointModule(pl.LightningModule):
    """Two layers and a loss; `validated` holds what each epoch's validation is said to have found."""

    def __init__(
        self, loss: Loss, *, learning_rate: float, temperature: float | None = None, validated: Sequence[float] = ()
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
        self.last_step: StepRecord | None = None
        self.monitored = None
        self.worst_queries: Sequence[WorstQuery] | None = None
        self._loss = loss
        self._learning_rate = learning_rate
        self._temperature = temperature
        self._validated = validated

    @override
    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        points, groups = batch
        embeddings = F.normalize(self.network(points), dim=1)
        loss, mined, active = self._loss(embeddings, groups)
        self.last_step = StepRecord(
            embeddings=embeddings.detach(),
            groups=groups,
            rows=torch.arange(len(groups)),
            loss=loss.detach(),
            parts={"triplet": loss.detach()},
            temperature=self._temperature,
            active_share=active,
            mined=mined,
        )
        self.log("train_loss", loss.detach(), on_step=False, on_epoch=True)
        if self._validated:
            epoch = self.current_epoch
            self.log("val_map_at_r", self._validated[epoch], on_step=False, on_epoch=True)
            self.worst_queries = [
                WorstQuery(row=epoch, average_precision=0.1, neighbours=(7, 8), relevant=(True, False))
            ]
        return loss

    @override
    def configure_optimizers(self) -> Any:
        groups = [
            {"params": list(self.network[0].parameters()), "name": "body"},
            {"params": list(self.network[2].parameters()), "name": "head", "lr": 10 * self._learning_rate},
        ]
        return torch.optim.SGD(groups, lr=self._learning_rate)


@dataclass
class RememberingTracker:
    """Keeps what it is told."""

    told: list[tuple[Any, ...]] = field(default_factory=list)

    def begin(self, *, step: int) -> None:
        self.told.append(("begin", step))

    def figures(self, values: Any, *, step: int) -> None:
        self.told.append(("figures", step, dict(values)))

    def histograms(self, values: Any, *, step: int) -> None:
        self.told.append(("histograms", step, dict(values)))

    def queries(self, queries: Sequence[TrackedQuery], *, step: int) -> None:
        self.told.append(("queries", step, list(queries)))

    def end(self, failure: BaseException | None) -> None:
        self.told.append(("end", failure))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [entry[1:] for entry in self.told if entry[0] == kind]


def fit_points(
    module: pl.LightningModule,
    points: Points,
    folder: Path,
    *,
    callbacks: Sequence[pl.Callback],
    epochs: int = 1,
    resume_from: Path | None = None,
    **settings: Any,
) -> pl.Trainer:
    """Train on the points, on the CPU and silent."""
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=list(callbacks),
        max_epochs=epochs,
        **settings,
    )
    trainer.fit(module, DataLoader(points, batch_size=None), ckpt_path=resume_from, weights_only=True)
    return trainer
