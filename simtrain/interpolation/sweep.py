"""Sweep over interpolated encoders: scores for each share of the fine-tuned weights."""

# Shapes: N images of the task, D features.

from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.builders.devices import run_device
from simtrain.catalog.store.reader import ImageReader
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.console import Console, NamedConsole
from simtrain.data.datasets import CatalogImages, image_loader, worker_count
from simtrain.data.preloaded_images import MOST_BYTES, preload_images
from simtrain.data.samplers import Share
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import TextEncoder
from simtrain.evaluation.named_scores import NamedScores, named_scores
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.text_task import TextTasks
from simtrain.runs.evaluation import embed_rows
from simtrain.training.weight_interpolation import estimate_statistics, mixed_weights, moved_norms

STATISTICS_IMAGES = 2048
"""Training images that the running statistics of a mix are estimated on, or all where there are fewer."""

_SMALLEST_BATCH = 16  # a variance over fewer images says little


@dataclass(frozen=True, kw_only=True)
class InterpolatedScores:
    """Scores of one interpolated encoder.

    Attributes:
        image: Scores of image retrieval, of further definitions of relevance too.
        text: Scores of text retrieval; None where texts are not evaluated.
    """

    image: NamedScores
    text: NamedScores | None

    def of(self, metric: str) -> NamedScores:
        """The scores that have a metric."""
        return self.text if self.text is not None and metric in self.text.values else self.image


@dataclass(frozen=True, kw_only=True)
class SweepData:
    """Configuration, images and tasks that every mix is evaluated with.

    Attributes:
        config: Configuration of the run.
        catalog: Catalogue whose training images serve to estimate BatchNorm's statistics.
        task: Retrieval task.
        texts: Text retrieval task of its images; None: texts are not evaluated.
        images: Reader of the catalogue's images.
    """

    config: RunConfig
    catalog: Catalog
    task: RetrievalTask
    texts: TextTasks | None
    images: ImageReader


def open_sweep(
    encoder: Encoder, start: dict[str, Tensor], *, data: SweepData, console: Console
) -> "InterpolationSweep":
    """Open a sweep, and read its images into memory once, if they fit there.

    Args:
        encoder: The run's fine-tuned encoder without low-rank factors; the sweep changes its weights.
        start: State of the encoder with its initial weights.
        data: Configuration, images and texts of the evaluation.
        console: Shows how far each part is.

    Raises:
        CheckpointError: if initial and fine-tuned weights are not of one network.
    """
    config, task = data.config, data.task
    tuned = {name: value.clone() for name, value in encoder.state_dict().items()}
    mixed_weights(start, tuned, alpha=1)  # refuses weights of two networks before any image is read
    norms = moved_norms(encoder, start, tuned)
    sample = _sample(config, data.catalog) if norms else np.empty((0, 0), dtype=np.int64)
    workers = worker_count(config.data.workers, sharing=1)
    prepared = preload_images(
        data.images,
        list(dict.fromkeys([*task.rows.tolist(), *sample.ravel().tolist()])),
        preprocessing=encoder.preprocessing,
        workers=workers,
        most_bytes=MOST_BYTES,
        console=console,
    )
    return InterpolationSweep(
        config=config if prepared is None else _loading_in_this_process(config),
        encoder=encoder,
        start=start,
        tuned=tuned,
        task=task,
        texts=data.texts,
        images=data.images if prepared is None else prepared,
        sample=sample,
        norms=norms,
        console=console,
    )


def _sample(config: RunConfig, catalog: Catalog) -> NDArray[np.int64]:
    """(batches, size) training rows in random order: each batch counts the same, so each has as many images."""
    rows = np.random.default_rng(config.seed).permutation(catalog.rows_of(["train"]))[:STATISTICS_IMAGES]
    batches = -(-len(rows) // max(_SMALLEST_BATCH, config.evaluation.batch_size))
    size = len(rows) // batches
    return rows[: batches * size].reshape(batches, size)


def _loading_in_this_process(config: RunConfig) -> RunConfig:
    """Pictures that are in this process's memory already need no others to load them."""
    return config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})


@dataclass(kw_only=True)
class InterpolationSweep:
    """A sweep between a run's initial and fine-tuned weights, with the images and texts to score by.

    Attributes:
        config: The run's configuration.
        encoder: The fine-tuned encoder without low-rank factors; its weights change with each mix.
        start: State of the encoder with its initial weights.
        tuned: State of the encoder with its fine-tuned weights.
        task: Retrieval task.
        texts: Text retrieval task of its images; None: texts are not evaluated.
        images: Reader of the catalogue's images.
        sample: (batches, size) catalogue rows that statistics are estimated on; none where BatchNorm did not learn.
        norms: Names of the BatchNorms that learned.
        console: Shows how far each part is.
        statistics: Alpha -> the statistics of each mix so far that has its own.
    """

    config: RunConfig
    encoder: Encoder
    start: dict[str, Tensor]
    tuned: dict[str, Tensor]
    task: RetrievalTask
    texts: TextTasks | None
    images: ImageReader
    sample: NDArray[np.int64]
    norms: list[str]
    console: Console
    statistics: dict[float, dict[str, Tensor]] = field(default_factory=dict)

    def score(self, alpha: float) -> InterpolatedScores:
        """Scores of the mix with this share of the fine-tuned weights, 0 to 1."""
        self.encoder.load_state_dict(mixed_weights(self.start, self.tuned, alpha=alpha))
        console = NamedConsole(self.console, name=f"alpha {alpha:g}")
        if self.norms and 0 < alpha < 1:
            self.statistics[alpha] = self._estimated(console)
        rows = self.task.rows.tolist()
        embeddings = embed_rows(self.encoder, self.images, rows, config=self.config, console=console)
        image = named_scores(self.task, embeddings)
        if self.texts is None:
            return InterpolatedScores(image=image, text=None)
        text_scores = self.texts.query_scores(embeddings, cast(TextEncoder, self.encoder))
        return InterpolatedScores(
            image=image, text=NamedScores(values=text_scores.values(), clusters=text_scores.clusters())
        )

    def _estimated(self, console: Console) -> dict[str, Tensor]:
        device = run_device(self.config)
        encoder = self.encoder.to(device)
        rows = self.sample.ravel().tolist()
        dataset = CatalogImages(images=self.images, rows=rows, preprocessing=encoder.preprocessing)
        loader = image_loader(
            dataset,
            batch_size=self.sample.shape[1],
            workers=worker_count(self.config.data.workers, sharing=1),
            pin_memory=device.type == "cuda",
            share=Share(index=0, of=1),
        )
        return estimate_statistics(
            encoder,
            self.norms,
            console.bar(loader, len(loader), "estimating BatchNorm's statistics"),
            see=lambda batch: encoder.embed_pixels(batch.to(device).pixels),
        )
