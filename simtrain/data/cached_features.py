"""Training and validation on features that a frozen network computed once."""

# Shapes: N training images, M versions of each, n validation images, m passes of each, B samples, V views, F features.

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from simtrain.catalog.store.reader import ImageReader
from simtrain.data.batch import Batch, Draw, ImageBatch, as_it_is
from simtrain.data.datamodule import position_in_epoch
from simtrain.data.samplers import WHOLE, EpochBatches, EvaluationBatches
from simtrain.data.transforms import ViewTransform, view_seed
from simtrain.encoders.preprocessing import Preprocessing


class AugmentedImages:
    """Image reader of one augmented view of each image of another reader.

    Args:
        images: Reader of the images.
        preprocessing: Preprocessing whose square the views have.
        transform: Makes a view.
        seed: Seed of the views.
        version: Number of the view, 0 or more; each is another one.
    """

    def __init__(
        self,
        *,
        images: ImageReader,
        preprocessing: Preprocessing,
        transform: ViewTransform,
        seed: int,
        version: int,
    ) -> None:
        self._images = images
        self._preprocessing = preprocessing
        self._transform = transform
        self._seed = seed
        self._version = version

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        """(S, S, 3) RGB view of a row, whatever `at_least` is."""
        seed = view_seed(seed=self._seed, epoch=self._version, position=row, view=0)
        side = self._transform.source_side([seed])
        image = self._images.read(row, at_least=side)
        source = self._transform.source(image, preprocessing=self._preprocessing, side=side)
        return self._transform(source, seed=seed)


class CachedViews(Dataset[Batch]):
    """Features of the images that draws name, in batches; a version of each is drawn at random.

    Two views of one image are two different versions of it.

    Args:
        features: (N, M, F) features of the training images.
        rows: (N,) catalogue row of each.
        labels: (catalogue rows,) int64 labels of the training groups.
        views: Number of views of each sample, V.
        seed: Seed of the choice of versions.

    Raises:
        ValueError: for more views of one image than it has versions.
    """

    def __init__(
        self, *, features: Tensor, rows: NDArray[np.int64], labels: NDArray[np.int64], views: int, seed: int
    ) -> None:
        self._features = features
        self._places = np.full(len(labels), -1, dtype=np.int64)
        self._places[rows] = np.arange(len(rows))
        self._labels = torch.from_numpy(labels)
        self._views = views
        self._seed = seed

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """A whole batch at once; torch's loader asks so where a dataset has this."""
        drawn = [draw.rows if len(draw.rows) == self._views else draw.rows * self._views for draw in draws]
        rows = np.array(drawn, dtype=np.int64)
        versions = self._versions(draws[0], shape=rows.shape, same=len(draws[0].rows) < self._views)
        return Batch(
            views=self._features[torch.from_numpy(self._places[rows]), torch.from_numpy(versions)],
            labels=self._labels[torch.from_numpy(rows[:, 0])],
            rows=torch.from_numpy(rows),
        )

    def _versions(self, first: Draw, *, shape: tuple[int, ...], same: bool) -> NDArray[np.int64]:
        """Version of each view; of views of the `same` image no two alike."""
        among = self._features.shape[1]
        generator = np.random.default_rng(np.random.SeedSequence((self._seed, first.epoch, first.position)))
        if not same:
            return generator.integers(among, size=shape)
        if among < self._views:
            raise ValueError(f"features: {among} versions of an image; allowed: {self._views} views or more")
        return generator.permuted(np.tile(np.arange(among), (shape[0], 1)), axis=1)[:, : self._views]


class CachedImages(Dataset[ImageBatch]):
    """Features of the validation images, in batches.

    Args:
        features: (n, m, F) features.
    """

    def __init__(self, *, features: Tensor) -> None:
        self._features = features

    def __getitems__(self, positions: Sequence[int]) -> ImageBatch:
        """A whole batch at once."""
        places = torch.tensor(positions, dtype=torch.int64)
        return ImageBatch(pixels=self._features[places], positions=places)


class CachedData(pl.LightningDataModule):
    """Features of training and validation images, in one process.

    Args:
        training: Dataset of training features.
        batches: Batches of each epoch.
        validation: Features of the validation images in the order of the task's rows; None where there is none.
        validation_size: Number of validation images, n.
        evaluation_batch_size: Number of validation images of a batch.
    """

    def __init__(
        self,
        *,
        training: CachedViews,
        batches: EpochBatches,
        validation: CachedImages | None,
        validation_size: int,
        evaluation_batch_size: int,
    ) -> None:
        super().__init__()
        self._training = training
        self._batches = batches
        self._validation = validation
        self._evaluation = EvaluationBatches(count=validation_size, batch_size=evaluation_batch_size, share=WHOLE)

    @override
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self._training, batch_sampler=self._batches, collate_fn=as_it_is, generator=torch.Generator())

    @override
    def val_dataloader(self) -> Any:
        if self._validation is None:
            return []
        return DataLoader(
            self._validation, batch_sampler=self._evaluation, collate_fn=as_it_is, generator=torch.Generator()
        )

    @override
    def state_dict(self) -> dict[str, Any]:
        return position_in_epoch(self.trainer)

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict:
            self._batches.start_at(epoch=state_dict["epoch"], batch=state_dict["batch"])
