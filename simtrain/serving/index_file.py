"""Files of FAISS indexes: written whole, read memory-mapped and within the bounds of the file's size."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from simtrain.errors import BundleError, first_line, system_reason
from simtrain.files import sha256_of_file, whole_file
from simtrain.serving.replacement import check_hash

_LIMITS = threading.Lock()


def write_index_file(index: Any, path: Path) -> None:
    """Write a FAISS index whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    try:
        with whole_file(path) as temporary:
            faiss.write_index(index, str(temporary))
    except RuntimeError as error:  # FAISS's name for a full disk or a folder that cannot be written
        reason = system_reason(error)
        raise OSError(reason if reason != first_line(error) else f"{path}: {faiss_reason(error)}") from None


def read_index_file(path: Path, *, sha256: str) -> Any:
    """Open a FAISS index over inner products whose ids are 0..N-1; its vectors are read where they are looked at.

    Args:
        path: The file.
        sha256: Of its content.

    Raises:
        BundleError: if it is missing, damaged, another file, or another kind of index.
    """
    if not path.is_file():
        raise BundleError(f"{path}: no such index")
    before = path.stat()
    check_hash(path, sha256_of_file(path), expected=sha256)
    index = _mapped_index(path, size=before.st_size)
    after = path.stat()
    if (before.st_dev, before.st_ino, before.st_mtime_ns) != (after.st_dev, after.st_ino, after.st_mtime_ns):
        raise BundleError(f"{path}: replaced while it was opened; try again")
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise BundleError(f"{path}: not an index of simtrain: expected inner products")
    _check_ids(path, index)
    return index


def _mapped_index(path: Path, *, size: int) -> Any:
    """An index over the mapped bytes of its file, to the last of them.

    FAISS's own mapping (`IO_FLAG_MMAP_IFC`) looks beyond the end of a file that is cut in the middle of a number.
    """
    try:
        content = np.memmap(path, dtype=np.uint8, mode="r")
        mapped = faiss.swig_ptr(content)
        reader = faiss.ZeroCopyIOReader(mapped, len(content))  # type: ignore[attr-defined]  # its stubs lack it
        with _bounded_by(size):
            index: Any = faiss.read_index(reader)
    except (OSError, RuntimeError, MemoryError, ValueError) as error:  # ValueError: nothing is in it
        raise BundleError(f"{path}: not an index that FAISS can read: {faiss_reason(error)}") from None
    if reader.rp_ != len(content):
        raise BundleError(f"{path}: damaged index: {len(content)} bytes long, where it should be {reader.rp_}")
    index.referenced_objects = [content]  # its vectors lie there
    return index


@contextmanager
def _bounded_by(size: int) -> Iterator[None]:
    """Let FAISS allocate no more than a file of this size can hold; its limits are those of the process."""
    with _LIMITS:
        vectors, loops = faiss.get_deserialization_vector_byte_limit(), faiss.get_deserialization_loop_limit()
        faiss.set_deserialization_vector_byte_limit(size)
        faiss.set_deserialization_loop_limit(max(1, size))
        try:
            yield
        finally:
            faiss.set_deserialization_vector_byte_limit(vectors)
            faiss.set_deserialization_loop_limit(loops)


def _check_ids(path: Path, index: Any) -> None:
    """See that each of 0..N-1 is there once."""
    inverted = faiss.try_extract_index_ivf(index)
    if isinstance(index, faiss.IndexIDMap):
        parts = [faiss.vector_to_array(index.id_map)]
    elif inverted is not None:
        lists: Any = inverted.invlists
        sizes = [lists.list_size(number) for number in range(lists.nlist)]
        parts = [
            faiss.rev_swig_ptr(lists.get_ids(number), size).copy() for number, size in enumerate(sizes) if size > 0
        ]
    else:
        raise BundleError(f"{path}: not an index of simtrain: expected ids (an id map, or inverted lists)")
    ids = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    if len(ids) != index.ntotal or not np.array_equal(np.sort(ids), np.arange(len(ids))):
        raise BundleError(f"{path}: damaged index: its ids are not the rows 0 to {index.ntotal - 1} of the items")


def faiss_reason(error: Exception) -> str:
    """FAISS's message without the C++ signature before it."""
    if isinstance(error, MemoryError):
        return "it claims more memory than there is"
    text = " ".join(str(error).split())
    return text.rpartition("Error: ")[2].strip()[:160] or type(error).__name__
