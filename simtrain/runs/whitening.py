"""Whitening of embeddings, learned from a catalogue's training images and stored with a run."""

# Shapes: N training images, D dimensions of the embedding.

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from simtrain.builders.encoder import whitening_of
from simtrain.builders.validation import build_validation
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog
from simtrain.config import EncoderWhiteningConfig, RunConfig
from simtrain.console import Console
from simtrain.data.embedding_cache import encoder_fingerprint
from simtrain.encoders.base import Encoder
from simtrain.encoders.whitening import Whitening, fit_whitening, load_whitening
from simtrain.errors import CheckpointError
from simtrain.files import sha256_of_file, whole_file
from simtrain.phrases import counted
from simtrain.runs.cached_embedding import CachedEmbedding
from simtrain.runs.evaluation import embed_rows, evaluate_embeddings
from simtrain.runs.interpolation_record import chosen_alpha
from simtrain.runs.run import Run, configured_catalog, read_run_catalog
from simtrain.runs.tuned_encoder import of_one_checkpoint, tuned_encoder
from simtrain.training.file_names import BEST
from simtrain.training.rank_zero import on_rank_zero

WHITENING_FILE = "whitening.safetensors"
"""Below a run's folder."""


def whiten_untouched(encoder: Encoder, catalog: Catalog, *, config: RunConfig, console: Console) -> None:
    """Whiten, in place, an encoder that no run has trained, if its configuration says so.

    The embeddings of the training images are kept in the catalogue's folder, where teachers and comparisons find them.

    Args:
        encoder: Built as `config.encoder` says.
        catalog: Catalogue whose training images are embedded.
        config: Encoder, batch size, device.
        console: Shows how many batches are embedded.

    Raises:
        SimtrainError: if the training images cannot be read, or do not differ.
    """
    settings = whitening_of(config.encoder)
    if settings is None:
        return
    cached, rows = CachedEmbedding(config=config, catalog=catalog, console=console), catalog.rows_of(["train"])
    images = cached.images(encoder.preprocessing.image_size)
    fingerprint = encoder_fingerprint(encoder, images=images.description)
    cached.embed(encoder, fingerprint, images.reader, rows)
    console.line(f"whitening: {cached.summary(counted(len(rows), 'training image'))}")
    encoder.whiten(on_rank_zero(lambda: _fit(cached.vectors(fingerprint, rows), settings)))


def run_encoder(run: Run, *, alpha: float | None, console: Console) -> Encoder:
    """The encoder of a run as it is evaluated, exported and searched: `tuned_encoder`, whitened if it says so.

    The whitening is the one in the run's folder, if it is of these weights and settings; else it is learned anew from
    the run's training images. All of it belongs to one checkpoint, also where training replaces it meanwhile.

    Args:
        run: With a `best.ckpt`.
        alpha: Share of the fine-tuned weights in a mix with the initial ones, 0 to 1; None: what `interpolate` chose,
            or 1 where it was never run.
        console: Shows how many batches are embedded.

    Raises:
        SimtrainError: as `tuned_encoder`; if the training images are needed, and are not what they were.
    """
    return of_one_checkpoint(run.folder, lambda: _run_encoder(run, alpha=alpha, console=console))


def _run_encoder(run: Run, *, alpha: float | None, console: Console) -> Encoder:
    share = chosen_alpha(run.folder) if alpha is None else alpha
    encoder = tuned_encoder(run.config, run.folder, alpha=share)
    settings = whitening_of(run.config.encoder)
    if settings is None:
        return encoder
    whitening = _stored(run.folder, _subject(run.config, encoder, run.folder, alpha=share))
    if whitening is None:
        own = replace(run, config=run.config.model_copy(update={"catalog": run.own_catalog}))
        whitening = _fitted(encoder, read_run_catalog(own), settings, config=run.config, console=console)
    encoder.whiten(whitening)
    return encoder


def whiten_run(config: RunConfig, folder: Path, *, alpha: float, console: Console) -> dict[str, Any] | None:
    """Learn the whitening of a run's best weights, store it in the run's folder, and validate it.

    Every process of the run calls it alike. The epoch was chosen before and without it.

    Args:
        config: The run's configuration.
        folder: The run's folder, with its `best.ckpt`.
        alpha: Share of the fine-tuned weights in a mix with the initial ones, 0 to 1.
        console: Shows how many batches are embedded, and a line.

    Returns:
        For the run's record: `power`, `shrinkage`, `dimensions`, `alpha`, `images` (N) and `val`, the metrics with it
        and their intervals, or None without anything to validate. None where the run is not whitened.

    Raises:
        SimtrainError: if it cannot be learned or written.
    """
    settings = whitening_of(config.encoder)
    if settings is None:
        return None
    catalog = configured_catalog(config)
    encoder = tuned_encoder(config, folder, alpha=alpha)
    encoder.whiten(_fitted(encoder, catalog, settings, config=config, console=console))
    on_rank_zero(lambda: _store(encoder, folder, _subject(config, encoder, folder, alpha=alpha)))
    task = build_validation(config, catalog)
    record: dict[str, Any] = {
        **settings.model_dump(mode="json"),
        "dimensions": encoder.embedding_size,
        "alpha": alpha,
        "images": len(catalog.rows_of(["train"])),
        "val": None,
    }
    if task is not None:
        images = open_images(catalog, smallest=encoder.preprocessing.image_size)
        embeddings = embed_rows(encoder, images.reader, task.rows.tolist(), config=config, console=console)
        record["val"] = on_rank_zero(lambda: evaluate_embeddings(embeddings, task, config=config).to_dict())
    console.line(_line(record))
    return record


def _fitted(
    encoder: Encoder, catalog: Catalog, settings: EncoderWhiteningConfig, *, config: RunConfig, console: Console
) -> Whitening:
    rows = catalog.rows_of(["train"])
    images = open_images(catalog, smallest=encoder.preprocessing.image_size)
    embeddings = embed_rows(encoder, images.reader, rows.tolist(), config=config, console=console, precision="32")
    return on_rank_zero(lambda: _fit(embeddings, settings))


def _fit(embeddings: Tensor, settings: EncoderWhiteningConfig) -> Whitening:
    return fit_whitening(embeddings, dimensions=settings.dimensions, shrinkage=settings.shrinkage, power=settings.power)


def _subject(config: RunConfig, encoder: Encoder, folder: Path, *, alpha: float) -> dict[str, Any]:
    """What a stored whitening is of: other weights, images of another size or other settings need another one."""
    settings = whitening_of(config.encoder)
    return {
        "checkpoint": sha256_of_file(folder / BEST),
        "alpha": alpha,
        "preprocessing": encoder.preprocessing.to_dict(),
        "pooling": getattr(config.encoder, "pooling", None),
        "settings": None if settings is None else settings.model_dump(mode="json"),
    }


def _stored(folder: Path, subject: dict[str, Any]) -> Whitening | None:
    """The whitening in a run's folder; None if there is none, or one of something else."""
    path = folder / WHITENING_FILE
    if not path.is_file():
        return None
    whitening, note = load_whitening(path)
    return whitening if note == _plain(subject) else None


def _store(encoder: Encoder, folder: Path, subject: dict[str, Any]) -> None:
    assert encoder.whitening is not None
    with whole_file(folder / WHITENING_FILE, error=CheckpointError) as path:
        encoder.whitening.save(path, note=_plain(subject))


def _plain(subject: dict[str, Any]) -> dict[str, Any]:
    """The same with lists instead of tuples, as JSON gives them back."""
    preprocessing = {k: list(v) if isinstance(v, tuple) else v for k, v in subject["preprocessing"].items()}
    return {**subject, "preprocessing": preprocessing}


def _line(record: dict[str, Any]) -> str:
    what = f"whitened (power {record['power']:g}, learned from {record['images']} training images)"
    if record["val"] is None:
        return what
    means = {name: values["mean"] for name, values in record["val"]["metrics"].items()}
    shown = "  ".join(f"{name} {means[name]:.3f}" for name in ("map_at_r", "recall_at_1") if name in means)
    return f"{what}: on val {shown}; the epoch was chosen without whitening"
