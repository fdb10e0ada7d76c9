"""Checkpoints of others, in both containers that torch writes."""

import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simtrain.encoders.foreign_checkpoint import open_foreign_checkpoint
from simtrain.errors import CheckpointError

CONTAINERS = pytest.mark.parametrize("archive", [True, False], ids=["archive", "legacy"])


def tensors() -> dict[str, Tensor]:
    """Every way in which a tensor can lie in its storage, and most types of number."""
    values = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    return OrderedDict(
        whole=values,
        turned=values.t(),
        part=values[1:3, ::2],
        learned=nn.Parameter(torch.ones(3)),
        count=torch.tensor(7),
        empty=torch.empty(0, 3),
        half=values.half(),
        brain=values.bfloat16(),
        double=values.double(),
        small=torch.tensor([-1, 2], dtype=torch.int8),
        yes=torch.tensor([True, False]),
    )


def saved(path: Path, content: Any, *, archive: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        open_foreign_checkpoint(path)
    return str(caught.value).removeprefix(f"{path}: ")


def rewritten(
    path: Path, *, pickled: bytes | None = None, compression: int = zipfile.ZIP_STORED, **extra: bytes
) -> Path:
    """The archive again with another pickle, or with further entries in it."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    folder = next(name for name in entries if name.endswith("/data.pkl")).removesuffix("data.pkl")
    entries |= {f"{folder}{name}": content for name, content in extra.items()}
    if pickled is not None:
        entries[f"{folder}data.pkl"] = pickled
    with zipfile.ZipFile(path, "w", compression=compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path
