"""Safetensors files that need not fit into memory: their header, and their tensors mapped into memory.

The library writes whole tensors and reads them into memory; the format: https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"I64": "<i8", "F32": "<f4", "F16": "<f2"}
_METADATA = "__metadata__"


def header_of(tensors: Mapping[str, tuple[str, Sequence[int]]], *, metadata: Mapping[str, str] | None = None) -> bytes:
    """What a file begins with; the bytes of its tensors follow, in this order.

    Args:
        tensors: Name -> type (`I64`, `F32` or `F16`) and shape.
        metadata: Texts that are written beside; None: there are none.
    """
    header: dict[str, Any] = {} if metadata is None else {_METADATA: dict(metadata)}
    end = 0
    for name, (code, shape) in tensors.items():
        begin, end = end, end + math.prod(shape) * np.dtype(_TYPES[code]).itemsize
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [begin, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(8, "little") + encoded


@dataclass(frozen=True, kw_only=True, eq=False)
class MappedTensors:
    """The tensors of a file that is mapped into memory.

    Attributes:
        content: The file.
        header: What it says of its tensors.
        begin: Where their bytes begin.
    """

    content: mmap.mmap
    header: dict[str, Any]
    begin: int

    @staticmethod
    def of(content: mmap.mmap, *, largest_header: int) -> MappedTensors:
        """Read the header.

        Args:
            content: The file.
            largest_header: Most bytes that a header may have.

        Raises:
            ValueError: if it is no such file.
        """
        length = int.from_bytes(content[:8], "little")
        if length > min(largest_header, len(content) - 8):
            raise ValueError("the header is longer than the file")
        try:
            header = json.loads(content[8 : 8 + length])
        except RecursionError as error:
            raise ValueError(str(error)) from error
        if not isinstance(header, dict):
            raise ValueError("the header names no tensors")  # noqa: TRY004 - a file of another kind
        return MappedTensors(content=content, header=header, begin=8 + length)

    def array(self, name: str, *, codes: Sequence[str]) -> NDArray[Any]:
        """A tensor, of one of some types; of its bytes those are read that are looked at.

        Raises:
            ValueError: if there is no such tensor, or it is described wrongly.
        """
        try:
            tensor = self.header[name]
            (first, end), code = map(index, tensor["data_offsets"]), tensor["dtype"]
            shape = tuple(map(index, tensor["shape"]))
            count, kind = math.prod(shape), np.dtype(_TYPES.get(code, "V1"))
            fits = code in codes and end - first == count * kind.itemsize
            fits = fits and first >= 0 and self.begin + end <= len(self.content)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{name}: {error}") from error
        if not fits:
            raise ValueError(f"a tensor is not of {' or '.join(codes)}, or not as long as it says")
        return np.frombuffer(self.content, dtype=kind, count=count, offset=self.begin + first).reshape(shape)

    def metadata(self, name: str) -> str:
        """A text that is written beside the tensors.

        Raises:
            ValueError: if there is none of this name.
        """
        texts = self.header.get(_METADATA)
        text = texts.get(name) if isinstance(texts, dict) else None
        if not isinstance(text, str):
            raise ValueError(f"{name}: is not among what is written beside the tensors")  # noqa: TRY004 - as above
        return text
