"""Safe unpickling of files from other programs: plain values and records of tensors; no name in them is looked up."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from simtrain.errors import first_line

_STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_EXTENSIONS = (pickle.EXT1, pickle.EXT2, pickle.EXT4)  # find objects by number, past `find_class`


class Storage:
    """Numbers in a file that tensors are views of, read when they are first asked for.

    Args:
        dtype: Type of the numbers.
        count: Number of them, according to the file.
        read: Reads that many bytes; returns another number of them if the file is wrong.
    """

    def __init__(self, *, dtype: torch.dtype, count: int, read: Callable[[int], bytes]) -> None:
        self._dtype = dtype
        self._bytes = count * dtype.itemsize
        self._read = read
        self._values: Tensor | None = None

    def values(self) -> Tensor:
        """All of the numbers in a row.

        Raises:
            ValueError: if the file holds another number of them.
        """
        if self._values is None:
            raw = bytearray(self._read(self._bytes))
            if len(raw) != self._bytes:
                raise ValueError(f"a tensor's numbers take {len(raw)} bytes of the file instead of {self._bytes}")
            self._values = torch.frombuffer(raw, dtype=self._dtype) if raw else torch.empty(0, dtype=self._dtype)
        return self._values


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that is still in its file."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def tensor(self) -> Tensor:
        """A copy of it in memory.

        Raises:
            ValueError: if it reaches beyond its storage, or repeats its numbers.
        """
        values = self.storage.values()
        if torch.Size(self.size).numel() > len(values):
            raise ValueError(f"a tensor of size {tuple(self.size)} is made of {len(values)} numbers")
        try:
            return values.as_strided(self.size, self.stride, self.offset).clone(memory_format=torch.contiguous_format)
        except RuntimeError as error:
            raise ValueError(first_line(error)) from None


class Unbuilt(dict[Any, Any]):
    """Stands for an object of a class that is not looked up: what it was given to keep, and nothing it could do."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def take(self, state: Any) -> None:
        """What the object would have got back as its attributes."""
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, Mapping):
                self.update(part)

    def append(self, _: Any) -> None:
        """As a list would; not kept."""

    extend = add = append

    def __hash__(self) -> int:  # type: ignore[override]  # objects may be keys of a mapping, dicts may not
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class _Ordered(Unbuilt):
    """Stands for an OrderedDict, whose attributes (torch's `_metadata`) are none of its items."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__()
        self.update(items)

    def take(self, state: Any) -> None:
        pass


def _stored_tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> StoredTensor:
    if not isinstance(storage, Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return StoredTensor(storage, offset, size, stride)


def _stored_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


_BUILT: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): _stored_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _stored_tensor,
    ("torch._utils", "_rebuild_parameter"): _stored_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _stored_parameter,
    ("collections", "OrderedDict"): _Ordered,
    **{("torch", name): dtype for name, dtype in _STORAGE_DTYPES.items()},
}


class ForeignUnpickler(pickle._Unpickler):  # the one that is written in Python, so that it can be narrowed
    """Reads one pickle. What its classes and functions would have made is an `Unbuilt` each.

    Args:
        file: Binary file, positioned at the pickle.
        storage: From the key, type and count of a storage to the storage.

    Attributes:
        unbuilt: The classes and functions that were asked for, by `module.name`.
    """

    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: handler for code, handler in pickle._Unpickler.dispatch.items() if bytes([code]) not in _EXTENSIONS
    }

    def __init__(self, file: IO[bytes], *, storage: Callable[[str, torch.dtype, int], Storage]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storage = storage
        self.unbuilt: dict[str, type[Unbuilt]] = {}

    @override
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) in _BUILT:
            return _BUILT[module, name]
        qualified = f"{module}.{name}"
        if qualified not in self.unbuilt:
            self.unbuilt[qualified] = type(name, (Unbuilt,), {})
        return self.unbuilt[qualified]

    @override
    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _, count, *view = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or any(part is not None for part in view):
            raise pickle.UnpicklingError("a tensor that is stored in an unknown way")
        return self._storage(str(key), dtype, int(count))

    def _load_build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Unbuilt):
            self.stack[-1].take(state)

    dispatch[pickle.BUILD[0]] = _load_build
