"""Files for an import: what they hold, and a publish that finds them imported."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from simtrain.console import SILENT
from simtrain.errors import SimtrainError
from simtrain.serving.milvus import bulk_files
from simtrain.serving.milvus.bulk_files import BulkFiles, write_bulk_files
from simtrain.serving.milvus.collection import behind
from simtrain.serving.milvus.connection import MilvusAddress, connected
from simtrain.serving.milvus.publishing import publish_items
from simtrain.serving.milvus.searching import search_collection


def written(source: Any, address: MilvusAddress, folder: Path) -> BulkFiles:
    return write_bulk_files(source, address, folder, alias="shop", index="auto", console=SILENT)


def rows_of(done: BulkFiles) -> list[dict[str, Any]]:
    return [row for name in done.names for row in pq.ParquetFile(done.folder / name).read().to_pylist()]


@pytest.fixture
def tagged(items: Any) -> Any:
    """Items with lists and with values that are missing."""
    tags = [None if row % 3 else ["new", {"size": row}] for row in range(len(items.items))]
    return replace(items, items=items.items.assign(tags=tags))


def test_files_hold_the_items(
    tagged: Any, address: MilvusAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_files, "_FILE_BYTES", 2000)
    done = written(tagged, address, tmp_path / "bulk")
    assert done.items == 60
    assert len(done.names) > 1
    rows = rows_of(done)
    assert [row["id"] for row in rows] == tagged.items["id"].tolist()
    assert np.array([row["embedding"] for row in rows], dtype=np.float32) == pytest.approx(tagged.embeddings, abs=0)
    for column, name in (("path", "path"), ("stock", "stock"), ("on_sale", "on_sale")):
        assert [row[name] for row in rows] == tagged.items[column].tolist()
    prices = [None if np.isnan(price) else price for price in tagged.items["Preis €"]]
    assert [row["Preis"] for row in rows] == prices
    colors = [None if row % 5 == 0 else ["red", "blue"][row % 2] for row in range(60)]
    assert [row["color"] for row in rows] == colors
    assert [json.loads(row["tags"]) for row in rows] == tagged.items["tags"].tolist()
    assert sorted(path.name for path in (tmp_path / "bulk").iterdir()) == sorted([*done.names, "schema.json"])


def test_the_schema_beside_them_describes_the_collection(items: Any, address: MilvusAddress, tmp_path: Path) -> None:
    done = written(items, address, tmp_path / "bulk")
    note = json.loads((tmp_path / "bulk" / "schema.json").read_text())
    assert (note["collection"], note["alias"], note["items"]) == (done.collection, "shop", 60)
    assert note["files"] == ["bulk/part-00001.parquet"]
    assert [(field["name"], field["type"]) for field in note["schema"]["fields"]] == [
        ("id", "VARCHAR"),
        ("embedding", "FLOAT_VECTOR"),
        ("row_hash", "VARCHAR"),
        ("path", "VARCHAR"),
        ("Preis", "DOUBLE"),
        ("color", "VARCHAR"),
        ("stock", "INT64"),
        ("on_sale", "BOOL"),
    ]
    assert note["index"] == {"field": "embedding", "metric": "COSINE", "kind": "FLAT", "build": {}}
    assert note["fingerprint"] == "a" * 64


def test_after_the_import_publish_writes_nothing_and_gives_the_name(
    tagged: Any, address: MilvusAddress, tmp_path: Path
) -> None:
    done = written(tagged, address, tmp_path / "bulk")
    with connected(address, must_exist=True) as client:
        assert behind(client, "shop") is None  # a search cannot see half of an import
        rows = [{**row, "tags": json.loads(row["tags"])} for row in rows_of(done)]
        client.insert(done.collection, rows)  # an embedded Milvus imports no files
        client.flush(done.collection)
    published = publish_items(tagged, address, alias="shop", index="auto", console=SILENT)
    assert (published.collection, published.written, published.removed) == (done.collection, 0, 0)
    query = tagged.embeddings[11]
    found = search_collection(address, query, collection="shop", fingerprint="a" * 64, k=1, condition=None)
    assert found[0].item["id"] == "sku 11"
    with pytest.raises(SimtrainError, match=r"^--bulk-files: 'shop' in .* holds 60 of these items, or of earlier ones"):
        written(tagged, address, tmp_path / "again")


def test_a_folder_of_other_files_stays_as_it_is(items: Any, address: MilvusAddress, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(SimtrainError, match=r"^--bulk-files .*photos: holds other files; name an empty or a new"):
        written(items, address, tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.jpg"]
    written(items, address, tmp_path / "bulk")
    smaller = replace(items, items=items.items.iloc[:9], embeddings=items.embeddings[:9])
    assert len(rows_of(written(smaller, address, tmp_path / "bulk"))) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bulk", "photos", "shop.db"]


def test_rows_that_the_writer_loses_are_told(
    items: Any, address: MilvusAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_files, "row_count", lambda _: 58)
    with pytest.raises(SimtrainError, match=r"bulk: pymilvus wrote 58 of 60 items; is the disk full\?"):
        written(items, address, tmp_path / "bulk")
    assert not (tmp_path / "bulk").exists()
