"""Teacher vectors of the training images for relational distillation, made once before the first step."""

# Shapes: R catalogue rows, N training images, D dimensions of an encoder, C of the teacher's vectors.

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.builders import build_encoder, load_initial_encoder
from simtrain.builders.devices import run_device
from simtrain.builders.encoder_names import encoder_name_path, named_encoder
from simtrain.catalog.store.reader import ImageReader, open_images
from simtrain.catalog.table import Catalog
from simtrain.config import EncoderConfig, NamedCode, RelationNeeds, RunConfig
from simtrain.console import Console
from simtrain.data.altered_images import MirroredImages
from simtrain.data.embedding import device_name
from simtrain.data.embedding_cache import FOLDER, Embedded, EmbeddingCache, encoder_fingerprint, variant_fingerprint
from simtrain.encoders.base import Encoder
from simtrain.encoders.relational_teacher import TeacherSpace, mirror_average, teacher_vectors
from simtrain.errors import ConfigError, error_path, first_line, nearest
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.run import data_fingerprint
from simtrain.runs.session import RunSession
from simtrain.training.ranks import on_rank_zero

START = "start"
"""Name of the teacher that is the run's own encoder with its initial weights."""

_MIRRORED = "mirrored"
_SCALES = (4 / 7, 1, 10 / 7)  # 128, 224 and 320 for 224
_SIZE_STEP = 32  # pixels; what convolutional networks halve five times
_SMALLEST, _LARGEST = 224, 1024


def check_teacher(config: RunConfig, catalog: Catalog, encoder: Encoder) -> None:
    """Check the settings of the teacher before anything that takes long.

    Args:
        config: Configuration of the run.
        catalog: Catalogue of the run, with the columns in which neighbours differ.
        encoder: Encoder of the run.

    Raises:
        ConfigError: for a column that the catalogue does not have, a teacher of no known name, or an image size that
            the run's own network cannot read.
        CodeNotAllowedError: for a teacher of the user's own code, unless it may be imported.
    """
    needs = config.objective.needs.relations
    if needs is None:
        return
    _neighbour_columns(needs, catalog)
    if needs.settings.teacher == START:
        _image_sizes(needs, encoder.pretrained_encoder().eval())
    elif isinstance(named := _named(needs), NamedCode):
        with error_path(f"{needs.key}.teacher", whole=True), encoder_name_path(needs.settings.teacher):
            named.check_allowed()


def relational_teacher(session: RunSession) -> Tensor | None:
    """(R, C) float16 teacher vectors by catalogue row, zeros outside the training split; None without a teacher.

    All processes embed together. The embeddings are kept in the catalogue's folder: a run that goes on, another run and
    a comparison with the same encoder find them there.

    Raises:
        SimtrainError: if the teacher cannot be loaded, or cannot read an image size; for a column that does not exist.
    """
    config, catalog = session.config, session.catalog
    needs = config.objective.needs.relations
    if needs is None:
        return None
    settings, rows = needs.settings, catalog.rows_of(["train"])
    apart = _neighbour_columns(needs, catalog)
    teacher = _teacher(needs, session)
    sizes = _image_sizes(needs, teacher)
    embedding = _Embedding(config=config, catalog=catalog, rows=rows, console=session.console)
    keys = [embedding.embed(size, teacher) for size in sizes]
    space = TeacherSpace(
        whitening_power=settings.whitening_power,
        dimensions=settings.teacher_dimensions,
        neighbours=settings.teacher_neighbours,
    )

    def vectors() -> Tensor:
        parts = [embedding.vectors(key) for key in keys]
        made = teacher_vectors(parts, space=space, apart=[torch.from_numpy(codes[rows]) for codes in apart])
        vectors_by_row = torch.zeros(len(catalog.rows), made.shape[1], dtype=torch.float16)
        vectors_by_row[torch.from_numpy(rows)] = made.half()
        return vectors_by_row

    embeddings = on_rank_zero(vectors)
    pixels = ", ".join(map(str, sizes))
    session.console.line(f"teacher {settings.teacher} at {pixels} px: {embedding.summary()}")
    return embeddings


def usual_image_sizes(image_size: int) -> list[int]:
    """Image sizes in pixels, ascending, at which a teacher sees images by default, for the size it is evaluated at.

    For a small size they are those of 224: a teacher that sees no more than its student has less to teach.
    """
    base = max(image_size, _SMALLEST)
    sizes = (round(scale * base / _SIZE_STEP) * _SIZE_STEP if scale != 1 else base for scale in _SCALES)
    return sorted({min(size, _LARGEST) for size in sizes})


def _neighbour_columns(needs: RelationNeeds, catalog: Catalog) -> list[NDArray[np.int64]]:
    """(R,) numbers for each column in which the teacher's neighbours must differ."""
    for column in needs.settings.neighbours_across:
        if column not in catalog.rows.columns:
            names = list(map(str, catalog.rows.columns))
            raise ConfigError(
                f"{needs.key}.neighbours_across: {catalog.folder} has no column '{column}'{nearest(column, names)}; it "
                f"has {', '.join(names)}"
            )
    return [catalog.groups([column]) for column in needs.settings.neighbours_across]


def _named(needs: RelationNeeds) -> EncoderConfig:
    try:
        return named_encoder(needs.settings.teacher)
    except ConfigError as error:
        reason = str(error).removeprefix("encoders: ").replace("allowed: ", f"allowed: {START}, ")
        raise ConfigError(f"{needs.key}.teacher: {reason}") from None


def _teacher(needs: RelationNeeds, session: RunSession) -> Encoder:
    if needs.settings.teacher != START:
        name = needs.settings.teacher
        with torch.random.fork_rng(devices=[]), error_path(f"{needs.key}.teacher", whole=True), encoder_name_path(name):
            return build_encoder(_named(needs), load=True).eval()
    config = session.config
    start = session.encoder.merged() if session.begins else load_initial_encoder(config.encoder, session.folder)
    # A layer that is new has nothing to teach; what another run has trained, has.
    return (start if config.init_from is not None else start.pretrained_encoder()).eval()


def _image_sizes(needs: RelationNeeds, teacher: Encoder) -> Sequence[int]:
    own, wanted = teacher.preprocessing.image_size, needs.settings.teacher_image_sizes
    if wanted is None:
        return [size for size in usual_image_sizes(own) if _refused(teacher, size) is None] or [own]
    for size in wanted:
        reason = _refused(teacher, size)
        if reason is not None:
            raise ConfigError(
                f"{needs.key}.teacher_image_sizes: the teacher '{needs.settings.teacher}' takes {own} pixels, and "
                f"cannot read {size}: {reason}"
            )
    return sorted(set(wanted))


def _refused(teacher: Encoder, size: int) -> str | None:
    """Reason why a network cannot read images of a size; None if it can."""
    device = next(teacher.parameters(), torch.zeros(0)).device
    try:
        embedding = _at_size(teacher, size).embed_pixels(
            torch.zeros(1, size, size, 3, dtype=torch.uint8, device=device)
        )
    except Exception as error:  # each network says so in its own way
        return first_line(error)
    if embedding.shape[1] != teacher.embedding_size:
        return f"its embedding has {embedding.shape[1]} dimensions there, not {teacher.embedding_size}"
    return None


def _at_size(teacher: Encoder, size: int) -> Encoder:
    """The teacher at an image size; images and mirror images are embedded apart, as a comparison needs them."""
    return teacher.with_preprocessing(replace(teacher.preprocessing, image_size=size, flip_averaging=False))


@dataclass(frozen=True, kw_only=True)
class _CacheKeys:
    """Fingerprints in the cache of a teacher at one image size, for images and for mirror images."""

    plain: str
    mirrored: str


@dataclass(kw_only=True)
class _Embedding:
    """Embedding of the training images, through the cache in the catalogue's folder.

    Attributes:
        config: Configuration of the run, for batch size and device.
        catalog: Catalogue of the run.
        rows: (N,) catalogue rows of the training images, ascending.
        console: Shows the progress of the embedding.
    """

    config: RunConfig
    catalog: Catalog
    rows: NDArray[np.int64]
    console: Console
    _seconds: float = 0.0
    _made: int = 0

    def embed(self, size: int, teacher: Encoder) -> _CacheKeys:
        """Embed images and mirror images at a size where the cache lacks them; every process calls it alike."""
        encoder, images = _at_size(teacher, size), open_images(self.catalog, smallest=size)
        plain = encoder_fingerprint(encoder, images=images.description)
        keys = _CacheKeys(plain=plain, mirrored=variant_fingerprint(plain, _MIRRORED))
        self._embed_missing(encoder, keys.plain, images.reader)
        self._embed_missing(encoder, keys.mirrored, MirroredImages(images=images.reader))
        return keys

    def vectors(self, keys: _CacheKeys) -> Tensor:
        """(N, D) unit vectors at an image size, averaged over mirror images; for the first process alone."""
        plain, mirrored = (self._cache.load(name, self.rows).vectors for name in (keys.plain, keys.mirrored))
        return mirror_average(plain, mirrored)

    def summary(self) -> str:
        """Number of embedded images, the seconds that it took and where they are stored, for a console line."""
        count = f"{len(self.rows)} training images and their mirror images"
        if not self._made:
            return f"{count}: embeddings read from the cache"
        lasting = on_rank_zero(lambda: self._cache.lasting)
        where = (
            f"cached in {self.catalog.folder / FOLDER}" if lasting else "not cached: no write access to the catalogue"
        )
        return f"{count} embedded in {self._seconds:.0f} s ({where})"

    def _embed_missing(self, encoder: Encoder, fingerprint: str, images: ImageReader) -> None:
        missing = on_rank_zero(lambda: self._cache.missing(fingerprint, self.rows))
        if len(missing) == 0:
            return
        began = time.perf_counter()
        vectors = embed_rows(encoder, images, missing.tolist(), config=self.config, console=self.console)
        seconds = time.perf_counter() - began
        device = device_name(run_device(self.config))
        made = Embedded(rows=missing, vectors=vectors, seconds=seconds, images=len(missing), device=device)
        on_rank_zero(lambda: self._cache.add(fingerprint, made))
        self._seconds += seconds
        self._made += len(missing)

    @cached_property
    def _cache(self) -> EmbeddingCache:
        """Cache of the catalogue; the first process alone uses it."""
        fingerprint = str(data_fingerprint(self.catalog)["sha256"])
        return EmbeddingCache(self.catalog.folder / FOLDER, data=fingerprint)
