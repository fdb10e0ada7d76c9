"""Safe reading of checkpoints from other programs: tensors and plain values; nothing in the file is executed."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from simtrain.encoders.foreign_pickle import ForeignUnpickler, Storage, StoredTensor
from simtrain.errors import CheckpointError, first_line

_LARGEST_PICKLE = 64 * 2**20  # bytes beside the tensors; a ResNet with its optimizer needs half a megabyte
_LEGACY_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_LEGACY_COUNT = 8  # bytes that say how many numbers follow


@dataclass(frozen=True, kw_only=True)
class ForeignCheckpoint:
    """Content of a checkpoint file.

    Attributes:
        values: The file's outermost mapping; `tensors_in` gives the tensors of a mapping within it.
        not_built: Classes and functions, as `module.name`, that the file asked for and did not get.
    """

    values: Mapping[Any, Any]
    not_built: tuple[str, ...]


def open_foreign_checkpoint(path: Path) -> ForeignCheckpoint:
    """Read a .safetensors file, or one that `torch.save` wrote in either of its formats.

    By `torch.load(weights_only=True)` where that is enough. Where the file holds objects beside the tensors (Lightning
    1 wrote `AttributeDict`, callback classes, `Namespace`), a mapping that can do nothing takes the place of each, and
    of the tensors only those are read that are asked for.

    Raises:
        CheckpointError: if it is no such file, or unpacks to more than its own size.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file")
    try:
        if path.suffix == ".safetensors":
            return ForeignCheckpoint(values=load_file(path), not_built=())
        is_archive = zipfile.is_zipfile(path)
        if is_archive:
            _check_archive(path)
        values, not_built = _unpickled(path, is_archive=is_archive)
    except CheckpointError:
        raise
    except Exception as error:  # the file's bytes decide what its reader trips over
        reason = f"{type(error).__name__}: {first_line(error, to=100)}"
        raise CheckpointError(
            f"{path}: not a checkpoint that can be read ({reason}); allowed: .safetensors, a file of torch.save"
        ) from None
    if not isinstance(values, Mapping):
        raise CheckpointError(f"{path}: holds a {type(values).__name__}; allowed: a mapping of names to tensors")
    return ForeignCheckpoint(values=values, not_built=not_built)


def tensors_in(values: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors that lie directly in a mapping, by name and in their order.

    Raises:
        ValueError: if one reaches beyond what the file holds for it.
    """
    tensors = {}
    for name, value in values.items():
        if isinstance(value, StoredTensor):
            tensors[str(name)] = value.tensor()
        elif isinstance(value, Tensor):
            tensors[str(name)] = value
    return tensors


def holds_tensors(values: Any) -> bool:
    """Whether it is a mapping with a tensor directly in it."""
    return isinstance(values, Mapping) and any(isinstance(value, Tensor | StoredTensor) for value in values.values())


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    unpacked, packed = sum(entry.file_size for entry in entries), path.stat().st_size
    if unpacked > packed:  # torch stores the numbers as they are
        raise CheckpointError(f"{path}: unpacks to {unpacked} bytes, more than the {packed} of the file")
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise CheckpointError(f"{path}: a TorchScript program; allowed: the state_dict of its model")


def _unpickled(path: Path, *, is_archive: bool) -> tuple[Any, tuple[str, ...]]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True), ()
    except Exception:  # whatever its unpickler tripped over, the reader below says what is wrong, or nothing is
        return _from_archive(path) if is_archive else _from_legacy_file(path)


def _from_archive(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The format since torch 1.6: an archive of one pickle, and of a file for each storage."""
    archive = zipfile.ZipFile(path)  # read from for as long as a storage is left that may be asked for
    names = archive.namelist()
    pickled = next((name for name in names if name.endswith("/data.pkl")), None)
    if pickled is None:
        raise ValueError("an archive without data.pkl")
    folder = pickled.removesuffix("data.pkl")
    if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("of the other byte order")
    if archive.getinfo(pickled).file_size > _LARGEST_PICKLE:
        raise ValueError(f"more than {_LARGEST_PICKLE} bytes beside the tensors")
    storages: dict[str, Storage] = {}

    def storage(key: str, dtype: torch.dtype, count: int) -> Storage:
        def read(_: int) -> bytes:
            return archive.read(f"{folder}data/{key}")

        return storages.setdefault(key, Storage(dtype=dtype, count=count, read=read))

    unpickler = ForeignUnpickler(BytesIO(archive.read(pickled)), storage=storage)
    return unpickler.load(), tuple(sorted(unpickler.unbuilt))


def _from_legacy_file(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The format before torch 1.6: five pickles, then each storage after the count of its numbers."""
    sizes: dict[str, int] = {}
    starts: dict[str, int] = {}
    storages: dict[str, Storage] = {}

    def storage(key: str, dtype: torch.dtype, count: int) -> Storage:
        def read(size: int) -> bytes:
            with path.open("rb") as file:
                file.seek(starts[key])
                return file.read(min(size, path.stat().st_size))

        sizes[key] = count * dtype.itemsize
        return storages.setdefault(key, Storage(dtype=dtype, count=count, read=read))

    with path.open("rb") as file:
        unpicklers = [ForeignUnpickler(file, storage=storage) for _ in range(5)]
        if unpicklers[0].load() != _LEGACY_MAGIC or unpicklers[1].load() != _LEGACY_VERSION:
            raise ValueError("neither an archive nor a file of torch before 1.6")
        unpicklers[2].load()  # the machine that wrote it
        values = unpicklers[3].load()
        for key in unpicklers[4].load():
            starts[key] = file.seek(_LEGACY_COUNT, 1)
            file.seek(sizes[key], 1)
    return values, tuple(sorted({name for unpickler in unpicklers for name in unpickler.unbuilt}))
