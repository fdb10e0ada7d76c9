"""Reference embeddings of a run: training images by the initial encoder, once in the memory of each machine."""

# Shapes: C rows of the catalogue, N training images, D dimensions of the embedding.

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from simtrain.builders.objective import needs_reference
from simtrain.data.row_vectors import map_halves
from simtrain.errors import CheckpointError, first_line
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.session import RunSession
from simtrain.training.ranks import Ranks, gather_objects

REFERENCE_FILE = "untouched_embeddings.safetensors"
_TENSOR = "embeddings"
_IMAGES_AT_ONCE = 8192


def reference_embeddings(session: RunSession) -> torch.Tensor | None:
    """(C, D) float16 unit embeddings of the training images by the initial encoder, zeros elsewhere.

    None where the objective needs none. A run that has a checkpoint reads them from its folder. They are mapped from a
    file, whose pages the processes of a machine share; every process calls it alike.

    Raises:
        CheckpointError: if they cannot be read there.
    """
    if not needs_reference(session.config):
        return None
    if not session.begins:
        path = session.folder / REFERENCE_FILE
        try:
            return torch.from_numpy(map_halves(path, name=_TENSOR))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path}: cannot be read: {first_line(error)}") from None
    catalog, encoder = session.catalog, session.encoder
    rows, shape = catalog.rows_of(["train"]), (len(catalog.rows), encoder.embedding_size)
    batch = session.config.evaluation.batch_size
    block = max(1, _IMAGES_AT_ONCE // batch) * batch  # whole batches, so that they are those of one pass
    with _shared_file(session.ranks, size=2 * shape[0] * shape[1]) as path:
        shared = np.memmap(path, dtype=np.float16, mode="r+", shape=shape)
        for start in range(0, len(rows), block):
            own = rows[start : start + block]
            embeddings = embed_rows(
                encoder, session.images.reader, own.tolist(), config=session.config, console=session.console
            )
            if session.ranks.local_rank == 0:
                shared[own] = embeddings.half().numpy()
        gather_objects(None)  # the file is complete
        return torch.from_numpy(np.memmap(path, dtype=np.float16, mode="c", shape=shape))


def save_reference(reference: torch.Tensor, folder: Path) -> None:
    """Write reference embeddings to a run's folder, where a resumed run reads them.

    Raises:
        CheckpointError: if they cannot be written.
    """
    try:
        save_file({_TENSOR: reference}, folder / REFERENCE_FILE)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder / REFERENCE_FILE}: cannot be written: {first_line(error)}") from None


@contextmanager
def _shared_file(ranks: Ranks, *, size: int) -> Iterator[Path]:
    """A temporary file of zeros for the processes of each machine, which lives on without a name where it is mapped."""
    own = None
    if ranks.local_rank == 0:
        handle, own = tempfile.mkstemp(prefix="simtrain-reference-")
        os.truncate(handle, size)
        os.close(handle)
    path = gather_objects(own)[ranks.rank - ranks.local_rank]
    assert path is not None
    try:
        yield Path(path)
        gather_objects(None)  # everybody has it open
    finally:
        if own is not None:
            Path(own).unlink()
