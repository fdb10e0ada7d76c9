"""Small Parquet files with the images inside, and what is extracted from them."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from simtrain.catalog.sources.embedded import embedded_files, extract_embedded
from simtrain.catalog.sources.embedded_layout import EmbeddedFiles
from simtrain.console import SILENT
from simtrain.errors import CatalogError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["mug", "کفش"], "_type": "ClassLabel"}}


def picture(seed: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def write(path: Path, columns: dict[str, Any], *, features: dict[str, Any] | None = None, rows: int = 1000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=rows)
    return path


def cells(*contents: bytes | None, path: str | None = None) -> pa.Array:
    return pa.array([{"bytes": content, "path": path} for content in contents], type=IMAGE)


def shard(path: Path, seeds: Iterable[int]) -> Path:
    seeds = list(seeds)
    labels = pa.array([seed % 2 for seed in seeds], type=pa.int64())
    columns = {"image": cells(*map(picture, seeds), path="../../x.png"), "label": labels, "seed": pa.array(seeds)}
    return write(path, columns, features=FEATURES, rows=40)


def extract(*files: Path, image_column: str | None = None) -> pa.Table:
    folder = files[0].parent / "out"
    return pq.read_table(extract_embedded(of(*files), folder, image_column=image_column, console=SILENT))


def of(*files: Path) -> EmbeddedFiles:
    return EmbeddedFiles(files=list(files), root=files[0].parent, problems=[])


def found_in(folder: Path) -> list[Path]:
    tables = [path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")]
    return embedded_files(folder, tables).files


def refused(*files: Path, image_column: str | None = None) -> str:
    with pytest.raises(CatalogError) as told:
        extract(*files, image_column=image_column)
    return str(told.value)
