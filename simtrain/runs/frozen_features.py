"""Features of a frozen network, computed once, and the last layer that is trained on them."""

# Shapes: N training images, M versions of each, n validation images, F features, D dimensions of the embedding.

import json
import time
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simtrain.builders.data import build_batches, build_transform
from simtrain.builders.saved_encoder import load_initial_encoder
from simtrain.catalog.store.reader import ImageReader, OpenedImages
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig, TwoTowersConfig
from simtrain.console import Console
from simtrain.data.altered_images import MirroredImages
from simtrain.data.cached_features import AugmentedImages, CachedData, CachedImages, CachedViews
from simtrain.data.embedding_cache import encoder_fingerprint, variant_fingerprint
from simtrain.encoders.base import Encoder
from simtrain.errors import ConfigError
from simtrain.runs.cached_embedding import CachedEmbedding
from simtrain.runs.session import RunSession
from simtrain.training.ranks import Ranks

_MIRRORED = "mirrored"


def refuse_several_processes(ranks: Ranks | None) -> None:
    """Refuse a last layer that several processes would train together.

    Raises:
        ConfigError: if torchrun or SLURM has launched this process among others.
    """
    if ranks is not None and ranks.size > 1:
        raise ConfigError(
            f"trainer.freeze_encoder: a frozen network is trained by one process, and {ranks.size} were launched; "
            "launch one"
        )


def with_last_layer(config: RunConfig, encoder: Encoder) -> RunConfig:
    """Give a frozen encoder the layer that is trained; other runs are left as they are.

    The layer of a network for images alone starts where the network ends, and is no new one.

    Args:
        config: Configuration of the run.
        encoder: Encoder of the run, changed in place.

    Returns:
        The configuration with the encoder's embedding size filled in.
    """
    if not config.trainer.freeze_encoder or isinstance(config.encoder, TwoTowersConfig):
        return config
    encoder.add_last_layer()
    encoder.last_layer_is_new = False
    settled = config.encoder.model_copy(update={"embedding_size": encoder.embedding_size})
    return config.model_copy(update={"encoder": settled})


def frozen_data(session: RunSession) -> CachedData:
    """Features of the training and validation images, from the cache in the catalogue's folder or computed now.

    The last layer of a run that begins is set to its start; what another run has trained is left as it is.

    Args:
        session: Session of the run, whose encoder `with_last_layer` has given its layer.

    Raises:
        SimtrainError: if images or the initial encoder cannot be read, or the catalogue cannot fill the batches.
    """
    config, catalog, encoder, task = session.config, session.catalog, session.encoder, session.validation
    start = encoder if session.begins else load_initial_encoder(config.encoder, session.folder)
    network = start.pretrained_encoder().eval()
    plain = network.with_preprocessing(replace(network.preprocessing, flip_averaging=False))
    embedding = _Embedding(config=config, catalog=catalog, network=plain, console=session.console)
    began = time.perf_counter()
    rows = catalog.rows_of(["train"])
    versions = [embedding.augmented(rows, version=version) for version in range(1, config.trainer.frozen_views)]
    features = torch.stack([embedding.plain(rows), *versions], dim=1)
    validation = None
    if task is not None:
        mirrored = [embedding.mirrored(task.rows)] if network.preprocessing.flip_averaging else []
        validation = torch.stack([embedding.plain(task.rows), *mirrored], dim=1)
    seconds, images = time.perf_counter() - began, len(rows) * features.shape[1]
    session.console.line(f"frozen network: {images} features of {len(rows)} training images in {seconds:.0f} s")
    if session.begins and not encoder.last_layer_is_new and config.init_from is None:
        start_last_layer(encoder.last_layer, features[:, 0])
    batches, labels, views = build_batches(config, catalog, session.inputs.texts)
    return CachedData(
        training=CachedViews(features=features, rows=rows, labels=labels, views=views, seed=config.seed),
        batches=batches,
        validation=None if validation is None else CachedImages(features=validation),
        validation_size=0 if validation is None else len(validation),
        evaluation_batch_size=config.evaluation.batch_size,
    )


def start_last_layer(layer: nn.Module, features: Tensor) -> None:
    """Set the layer's weights so that inner products of the features change as little as they can.

    Args:
        layer: Linear layer from F to D without bias.
        features: (N, F) features of the training images.

    The identity where D = F; else the first D principal axes, not centred, which is the best of rank D (Eckart and
    Young), and of more than there are, random ones at right angles.
    """
    assert isinstance(layer, nn.Linear)
    size, dimensions = layer.in_features, layer.out_features
    with torch.no_grad():
        if size == dimensions:
            nn.init.eye_(layer.weight)
        elif dimensions < size:
            gram = (features.double().T @ features.double()).cpu()
            axes = torch.linalg.eigh(gram).eigenvectors.flip(1)[:, :dimensions].T
            layer.weight.copy_(axes.to(layer.weight))


@dataclass(kw_only=True)
class _Embedding:
    """Embedding of a catalogue's images through the cache in its folder.

    Attributes:
        config: Configuration of the run, for augmentation, batch size and device.
        catalog: Catalogue of the run.
        network: Network whose embeddings are the features, without averaging over mirror images.
        console: Shows how far the embedding is.
    """

    config: RunConfig
    catalog: Catalog
    network: Encoder
    console: Console

    def plain(self, rows: NDArray[np.int64]) -> Tensor:
        """(len(rows), F) unit features of images as they are evaluated."""
        return self._features(rows, self._images.reader, self._fingerprint)

    def mirrored(self, rows: NDArray[np.int64]) -> Tensor:
        """(len(rows), F) unit features of mirror images."""
        return self._features(
            rows, MirroredImages(images=self._images.reader), variant_fingerprint(self._fingerprint, _MIRRORED)
        )

    def augmented(self, rows: NDArray[np.int64], *, version: int) -> Tensor:
        """(len(rows), F) unit features of augmented views, another view for each version."""
        config, preprocessing = self.config, self.network.preprocessing
        views = AugmentedImages(
            images=self._images.reader,
            preprocessing=preprocessing,
            transform=build_transform(config.augmentation, image_size=preprocessing.image_size),
            seed=config.seed,
            version=version,
        )
        about = {"augmentation": config.augmentation.model_dump(mode="json"), "seed": config.seed, "version": version}
        return self._features(rows, views, variant_fingerprint(self._fingerprint, json.dumps(about, sort_keys=True)))

    def _features(self, rows: NDArray[np.int64], images: ImageReader, fingerprint: str) -> Tensor:
        self._cached.embed(self.network, fingerprint, images, rows)
        return self._cached.vectors(fingerprint, rows)

    @cached_property
    def _images(self) -> OpenedImages:
        return self._cached.images(self.network.preprocessing.image_size)

    @cached_property
    def _fingerprint(self) -> str:
        return encoder_fingerprint(self.network, images=self._images.description)

    @cached_property
    def _cached(self) -> CachedEmbedding:
        return CachedEmbedding(config=self.config, catalog=self.catalog, console=self.console)
