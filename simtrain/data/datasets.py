"""Datasets over catalogue rows, and their data loaders."""

# Shapes: B samples, V views, S = image_size.

import os
import signal
from collections.abc import Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from simtrain.catalog.store.reader import ImageReader
from simtrain.cores import usable_cores
from simtrain.data.batch import Batch, Draw, ImageBatch, as_it_is
from simtrain.data.joined_batches import BATCHES_AHEAD, JoinedBatches, Parts, part_samples
from simtrain.data.samplers import EpochBatches, EvaluationBatches, Share
from simtrain.data.transforms import HEADROOM, PartViews, ViewTransform, view_seed
from simtrain.data.view_plans import joined_pictures
from simtrain.encoders.preprocessing import Preprocessing

_MOST_WORKERS = 16
PlacedImage = tuple[NDArray[np.uint8], int]


class TrainingViews(Dataset[Batch]):
    """Augmented views of the images that a `Draw` names.

    Args:
        images: Reader of the catalogue's images.
        labels: (C,) int64 group of each of the C catalogue rows.
        views: Number of views per sample, V.
        preprocessing: Preprocessing of the encoder.
        transform: Random augmentation that makes a view.
        seed: Seed of the augmentations.
    """

    def __init__(
        self,
        *,
        images: ImageReader,
        labels: NDArray[np.int64],
        views: int,
        preprocessing: Preprocessing,
        transform: ViewTransform,
        seed: int,
    ) -> None:
        self._images = images
        self._labels = labels
        self._views = views
        self._preprocessing = preprocessing
        self._transform = transform
        self._seed = seed

    @property
    def sample_bytes(self) -> int:
        """Bytes of the views of one sample."""
        return self._views * 3 * self._preprocessing.image_size**2

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """A whole batch at once; torch's loader asks so where a dataset has this."""
        rows = [self._rows(draw) for draw in draws]
        side = self._preprocessing.image_size
        views = np.empty((len(draws), self._views, side, side, 3), dtype=np.uint8)
        for place, draw in enumerate(draws):
            self._make(draw, rows[place], views[place])
        return Batch(
            views=torch.from_numpy(views),
            labels=torch.from_numpy(self._labels[[first for first, *_ in rows]]),
            rows=torch.tensor(rows),
        )

    def _make(self, draw: Draw, rows: tuple[int, ...], views: NDArray[np.uint8]) -> None:
        """Fill (V, S, S, 3) with the views of a sample."""
        seeds = self._seeds(draw)
        sources = self._sources(rows, seeds)
        for view, (row, seed) in enumerate(zip(rows, seeds, strict=True)):
            views[view] = self._transform(sources[row], seed=seed)

    def _rows(self, draw: Draw) -> tuple[int, ...]:
        """The catalogue row of each of a sample's V views."""
        return draw.rows if len(draw.rows) == self._views else draw.rows * self._views

    def _seeds(self, draw: Draw) -> list[int]:
        """The seed of each of its views."""
        return [
            view_seed(seed=self._seed, epoch=draw.epoch, position=draw.position, view=view)
            for view in range(self._views)
        ]

    def _sources(self, rows: Sequence[int], seeds: Sequence[int]) -> dict[int, NDArray[np.uint8]]:
        """Row -> what its views are made from; one decode for all views of an image."""
        sources: dict[int, NDArray[np.uint8]] = {}
        for row in dict.fromkeys(rows):
            side = self._transform.source_side([seed for seed, of in zip(seeds, rows, strict=True) if of == row])
            image = self._images.read(row, at_least=side)
            sources[row] = self._transform.source(image, preprocessing=self._preprocessing, side=side)
        return sources


class TrainingPictures(TrainingViews):
    """The pictures of the same views and how they are made of them, for a device that makes them; see `Batch.plan`.

    Args:
        transform: Random augmentation that plans the views.
        settings: The other arguments of `TrainingViews`.
    """

    def __init__(self, *, transform: PartViews, **settings: Any) -> None:
        super().__init__(transform=transform, **settings)
        self._planner = transform

    @property
    @override
    def sample_bytes(self) -> int:
        """Most bytes of the pictures of one sample, as far as their side is that which views ask for."""
        return HEADROOM**2 * super().sample_bytes

    @override
    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        rows = [self._rows(draw) for draw in draws]
        seeds = [self._seeds(draw) for draw in draws]
        pictures = []
        for draw, views, of_views in zip(draws, rows, seeds, strict=True):
            sources = self._sources(views, of_views)
            pictures.append([sources[row] for row in (views if len(draw.rows) > 1 else views[:1])])
        return Batch(
            views=joined_pictures(pictures),
            labels=torch.from_numpy(self._labels[[first for first, *_ in rows]]),
            rows=torch.tensor(rows),
            plan=self._planner.plan(pictures, seeds),
        )


class CatalogImages(Dataset[PlacedImage]):
    """Dataset of preprocessed images for evaluation, export and search.

    Args:
        images: Reader of the catalogue's images.
        rows: Catalogue rows of the dataset, in its order.
        preprocessing: Preprocessing of the encoder.
    """

    def __init__(self, *, images: ImageReader, rows: Sequence[int], preprocessing: Preprocessing) -> None:
        self._images = images
        self._rows = rows
        self._preprocessing = preprocessing

    def __len__(self) -> int:
        """Number of images."""
        return len(self._rows)

    @property
    def side(self) -> int:
        """Side of the preprocessed images in pixels, S."""
        return self._preprocessing.image_size

    @override
    def __getitem__(self, position: int) -> tuple[NDArray[np.uint8], int]:
        return self._preprocessing.pixels(self._images.read(self._rows[position], at_least=None)), position


def training_loader(
    dataset: TrainingViews, *, batches: EpochBatches, workers: int, pin_memory: bool
) -> DataLoader[Batch] | JoinedBatches:
    """A loader of `Batch`es; large ones come from the loading processes in parts."""
    size = part_samples(dataset.sample_bytes)
    divided = workers > 0 and batches.samples > size
    parts = Parts(batches=batches, size=size)
    loader = DataLoader(
        dataset,
        batch_sampler=parts if divided else batches,
        num_workers=workers,
        collate_fn=as_it_is,
        worker_init_fn=_begin_worker,
        persistent_workers=workers > 0,
        prefetch_factor=BATCHES_AHEAD if workers > 0 else None,
        pin_memory=pin_memory and not divided,
        generator=torch.Generator(),  # its own, so that making an iterator leaves the global state alone
    )
    return JoinedBatches(loader, parts=parts, pin_memory=pin_memory) if divided else loader


def image_loader(
    dataset: CatalogImages, *, batch_size: int, workers: int, pin_memory: bool, share: Share
) -> DataLoader[PlacedImage]:
    """A loader of `ImageBatch`es, in order, none left out; among several processes, of this one's batches."""
    batches = EvaluationBatches(count=len(dataset), batch_size=batch_size, share=share)
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=min(workers, len(batches)),
        collate_fn=partial(_collate_images, side=dataset.side),
        worker_init_fn=_begin_worker,
        pin_memory=pin_memory,
        generator=torch.Generator(),
    )


def worker_count(configured: int | None, *, sharing: int) -> int:
    """The configured number of loading processes, or one per usable core up to 16.

    Args:
        configured: The number, for each training process; None: choose.
        sharing: Training processes on this machine. They share its cores, unless each has been given cores of its own,
            as SLURM does with `--cpus-per-task`.
    """
    if configured is not None:
        return configured
    everything = os.cpu_count() or 1
    usable = usable_cores()
    of_its_own = "SLURM_CPUS_PER_TASK" in os.environ and usable < everything
    return min(_MOST_WORKERS, max(1, usable if of_its_own else usable // sharing))


def _collate_images(samples: Sequence[PlacedImage], *, side: int) -> ImageBatch:
    if not samples:
        return ImageBatch(
            pixels=torch.empty(0, side, side, 3, dtype=torch.uint8), positions=torch.empty(0, dtype=torch.int64)
        )
    return ImageBatch(
        pixels=_stack([pixels for pixels, _ in samples]), positions=torch.tensor([position for _, position in samples])
    )


def _stack(arrays: Sequence[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def _begin_worker(_worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches every process; the first one answers it
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
