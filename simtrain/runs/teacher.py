"""Teacher vectors of the training images for relational distillation, made once before the first step."""

# Shapes: R catalogue rows, N training images, D dimensions of an encoder, C of the teacher's vectors.

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.builders.encoder import build_encoder
from simtrain.builders.saved_encoder import load_initial_encoder
from simtrain.catalog.table import Catalog
from simtrain.config import EncoderConfig, NamedCode, RelationNeeds, RunConfig
from simtrain.config.encoder_names import encoder_name_path, named_encoder
from simtrain.console import NamedConsole
from simtrain.data.altered_images import MirroredImages
from simtrain.data.embedding_cache import encoder_fingerprint, variant_fingerprint
from simtrain.encoders.base import Encoder
from simtrain.encoders.relational_teacher import TeacherSpace, mirror_average, teacher_vectors
from simtrain.errors import ConfigError, error_path, first_line, nearest
from simtrain.runs.cached_embedding import CachedEmbedding
from simtrain.runs.session import RunSession
from simtrain.training.rank_zero import on_rank_zero

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
    embedding = CachedEmbedding(config=config, catalog=catalog, console=session.console)
    keys = []
    for size in sizes:
        embedding.console = NamedConsole(session.console, name=f"teacher at {size} px")
        keys.append(_embed(teacher, size, rows, embedding))
    space = TeacherSpace(
        whitening_power=settings.whitening_power,
        dimensions=settings.teacher_dimensions,
        neighbours=settings.teacher_neighbours,
    )

    def vectors() -> Tensor:
        parts = [
            mirror_average(embedding.vectors(key.plain, rows), embedding.vectors(key.mirrored, rows)) for key in keys
        ]
        made = teacher_vectors(parts, space=space, apart=[torch.from_numpy(codes[rows]) for codes in apart])
        vectors_by_row = torch.zeros(len(catalog.rows), made.shape[1], dtype=torch.float16)
        vectors_by_row[torch.from_numpy(rows)] = made.half()
        return vectors_by_row

    embeddings = on_rank_zero(vectors)
    pixels = ", ".join(map(str, sizes))
    told = embedding.summary(f"{len(rows)} training images and their mirror images")
    session.console.line(f"teacher {settings.teacher} at {pixels} px: {told}")
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


def _embed(teacher: Encoder, size: int, rows: NDArray[np.int64], embedding: CachedEmbedding) -> _CacheKeys:
    """Embed images and mirror images at a size where the cache lacks them; every process calls it alike."""
    encoder, images = _at_size(teacher, size), embedding.images(size)
    plain = encoder_fingerprint(encoder, images=images.description)
    keys = _CacheKeys(plain=plain, mirrored=variant_fingerprint(plain, _MIRRORED))
    embedding.embed(encoder, keys.plain, images.reader, rows)
    embedding.embed(encoder, keys.mirrored, MirroredImages(images=images.reader), rows)
    return keys
