"""Files of a bundle, and damage to them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import BundleError
from simtrain.files import sha256_of_file
from simtrain.serving.bundle import Bundle
from simtrain.serving.manifest import write_manifest

Factory = Callable[[dict[str, Any], Preprocessing], Encoder]
HASHED = (
    "encoder/model.safetensors",
    "encoder/encoder.json",
    "encoder/golden.safetensors",
    "index.faiss",
    "items.parquet",
)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuses(folder: Path, message: str) -> None:
    with pytest.raises(BundleError, match=f"^{re.escape(message)}"):
        Bundle.open(folder)


def forge(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and make its hashes and its checksum right again, as a careless script might."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"] = {name: sha256_of_file(folder / name) for name in manifest["files"]}
    change(manifest)
    write_manifest(folder, {key: value for key, value in manifest.items() if key != "checksum"})
