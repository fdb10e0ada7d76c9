"""Batches that loaders yield: views and labels for training, images for evaluation."""

# Shapes: B samples, V views of each, U pictures of each, S = image_size, H × W pixels of a picture.

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from simtrain.data.device_views import made_views
from simtrain.data.view_plans import ViewPlan


class Draw(NamedTuple):
    """One sample that a sampler asks for.

    Attributes:
        rows: Catalogue rows of its views: one row for all views, or one row for each.
        epoch: Epoch, from 0.
        position: Place in the epoch, from 0; with the epoch it decides the augmentation.
    """

    rows: tuple[int, ...]
    epoch: int
    position: int


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Training images.

    Attributes:
        views: (B, V, S, S, 3) uint8 RGB; (B, V, F) float32 features where the network is frozen; with a `plan`
            (B, U, H, W, 3) uint8 RGB pictures from which they are made.
        labels: (B,) int64, equal where two samples are positives of each other; -1 where unknown.
        rows: (B, V) int64 catalogue rows.
        rows_on_host: The same in the memory of the host, where `rows` has gone to a GPU.
        plan: How the views are made; None: they are there.
    """

    views: Tensor
    labels: Tensor
    rows: Tensor
    rows_on_host: Tensor | None = None
    plan: ViewPlan | None = None

    def made(self) -> "Batch":
        """The batch with its views, made where its pictures are."""
        return self if self.plan is None else replace(self, views=made_views(self.views, self.plan), plan=None)

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory (called by the DataLoader)."""
        return self._each(lambda tensor: tensor.pin_memory())

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device (called by Lightning)."""
        on_host = self.rows if self.rows.device.type == "cpu" else self.rows_on_host
        return replace(self._each(lambda tensor: tensor.to(device, non_blocking=True)), rows_on_host=on_host)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        plan = None if self.plan is None else self.plan.each(change)
        return replace(self, views=change(self.views), labels=change(self.labels), rows=change(self.rows), plan=plan)


@dataclass(frozen=True, kw_only=True)
class ImageBatch:
    """Preprocessed images for evaluation, export and search.

    Attributes:
        pixels: (B, S, S, 3) uint8 RGB; (B, m, F) float32 features where the network is frozen.
        positions: (B,) int64 places in the list of images that is being embedded.
    """

    pixels: Tensor
    positions: Tensor

    def pin_memory(self) -> "ImageBatch":
        """The batch in page-locked memory (called by the DataLoader)."""
        return replace(self, pixels=self.pixels.pin_memory())

    def to(self, device: torch.device) -> "ImageBatch":
        """The pixels on a device, the positions where they are (called by Lightning)."""
        return replace(self, pixels=self.pixels.to(device, non_blocking=True))


def as_it_is(batch: Any) -> Any:
    """What a dataset's `__getitems__` made is a batch already (a loader's `collate_fn`)."""
    return batch
