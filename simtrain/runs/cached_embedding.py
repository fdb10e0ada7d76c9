"""Embeddings of a catalogue's images by untouched encoders, through the cache in the catalogue's folder."""

# Shapes: N images, C rows of a run's catalogue, D dimensions of the embedding.

import time
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.builders.devices import embedding_precision
from simtrain.catalog.store.reader import ImageReader, OpenedImages
from simtrain.catalog.table import Catalog, read_catalog
from simtrain.config import RunConfig
from simtrain.console import Console
from simtrain.data.changed_pictures import open_judged_images
from simtrain.data.embedding_cache import FOLDER, EmbeddingCache, encoder_fingerprint
from simtrain.encoders.arithmetic import Precision
from simtrain.encoders.base import Encoder
from simtrain.errors import error_path
from simtrain.runs.evaluation import embedding_pass
from simtrain.runs.run import data_fingerprint
from simtrain.training.rank_zero import on_rank_zero
from simtrain.training.ranks import rank_count


@dataclass(kw_only=True)
class CachedEmbedding:
    """Embedding of images through the cache, which runs, folds, evaluations and comparisons of a catalogue share.

    Rows that it is given are of the run's catalogue. A fold lacks some rows of the whole catalogue and so numbers the
    others anew; in the cache rows are always those of the whole.

    Attributes:
        config: Configuration of the run, for fold, batch size and device.
        catalog: Catalogue of the run.
        console: Shows the progress of the embedding.
        precision: Arithmetic of the network; None: as `evaluation.precision` says.
    """

    config: RunConfig
    catalog: Catalog
    console: Console
    precision: Precision | None = "32"
    _seconds: float = 0.0
    _made: int = 0
    _opened: dict[int, OpenedImages] = field(default_factory=dict)

    def images(self, image_size: int) -> OpenedImages:
        """Reader by rows of the whole catalogue, of images for an input of `image_size` pixels."""
        if image_size not in self._opened:
            self._opened[image_size] = open_judged_images(self._whole, smallest=image_size)
        return self._opened[image_size]

    def embed(self, encoder: Encoder, fingerprint: str, images: ImageReader, rows: NDArray[np.int64]) -> None:
        """Embed the images that the cache lacks; every process calls it alike.

        Args:
            encoder: Encoder; it is moved to the run's device and put in evaluation mode.
            fingerprint: Fingerprint of the encoder and its images.
            images: Reader by rows of the whole catalogue.
            rows: (N,) rows of the run's catalogue.
        """
        wanted = np.unique(self._whole_rows[rows])
        missing = on_rank_zero(lambda: self._cache.missing(fingerprint, wanted))
        if len(missing) == 0:
            return
        began = time.perf_counter()
        whole = embedding_pass(encoder, images, config=self.config, console=self.console, precision=self.precision)
        with error_path("evaluation"):
            if rank_count() == 1:
                whole.through(self._cache, fingerprint, missing)
            else:
                made = whole.block(missing, self.console)
                on_rank_zero(lambda: self._cache.add(fingerprint, made))
        self._seconds += time.perf_counter() - began
        self._made += len(missing)

    def embedded(self, encoder: Encoder, rows: NDArray[np.int64]) -> Tensor:
        """(N, D) unit vectors of rows of the run's catalogue, of which those that the cache lacks are embedded.

        What is kept of a whitened encoder is what it whitens, which comparisons, whitenings and teachers share.
        """
        plain = encoder.unwhitened()
        images = self.images(plain.preprocessing.image_size)
        precision = embedding_precision(self.config, plain) if self.precision is None else self.precision
        fingerprint = encoder_fingerprint(plain, images=images.description, precision=precision)
        self.embed(plain, fingerprint, images.reader, rows)
        whole = self._whole_rows[rows]
        found = self._cache.load(fingerprint, np.unique(whole))
        encoder.arithmetic = found.arithmetic
        return found.of(whole) if encoder.whitening is None else encoder.whitening(found.of(whole))

    def vectors(self, fingerprint: str, rows: NDArray[np.int64]) -> Tensor:
        """(N, D) unit vectors of rows of the run's catalogue that `embed` was given; for the first process alone."""
        whole = self._whole_rows[rows]
        return self._cache.load(fingerprint, np.unique(whole)).of(whole)

    def summary(self, images: str) -> str:
        """A phrase: whether these images were embedded, the seconds that it took and where the embeddings are."""
        if not self._made:
            return f"{images}: embeddings read from the cache"
        lasting = on_rank_zero(lambda: self._cache.lasting)
        where = (
            f"cached in {self.catalog.folder / FOLDER}" if lasting else "not cached: no write access to the catalogue"
        )
        return f"{images} embedded in {self._seconds:.0f} s ({where})"

    @cached_property
    def _whole(self) -> Catalog:
        return self.catalog if self.config.fold is None else read_catalog(self.catalog.folder)

    @cached_property
    def _whole_rows(self) -> NDArray[np.int64]:
        """(C,) row in the whole catalogue of each row of the run's."""
        row_of_id = {name: row for row, name in enumerate(self._whole.rows["id"])}
        return np.array([row_of_id[name] for name in self.catalog.rows["id"]], dtype=np.int64)

    @cached_property
    def _cache(self) -> EmbeddingCache:
        """Cache of the catalogue; the first process alone uses it."""
        return EmbeddingCache(self.catalog.folder / FOLDER, data=str(data_fingerprint(self.catalog)["sha256"]))
