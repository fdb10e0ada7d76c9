"""Publishing to a real embedded Milvus: found as by brute force, kept in step, replaced in one step, gone on with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from simtrain.console import SILENT
from simtrain.errors import BundleError, SimtrainError
from simtrain.serving.embedding_shards import Shard, ShardTask, Space, write_record, write_shard
from simtrain.serving.milvus import publishing
from simtrain.serving.milvus.collection import MilvusIndex, behind, published_aliases
from simtrain.serving.milvus.connection import MilvusAddress, connected
from simtrain.serving.milvus.publishing import Published, publish_items
from simtrain.serving.milvus.searching import PublishedCollection, folder_published, search_collection
from simtrain.serving.milvus.source import PublishedSource, ShardsSource
from simtrain.serving.searcher import FoundItem

QUERY = np.random.default_rng(9).normal(size=8).astype(np.float32)
QUERY /= np.linalg.norm(QUERY)


def publish(source: Any, address: MilvusAddress, *, alias: str = "shop", index: str = "auto") -> Published:
    return publish_items(source, address, alias=alias, index=index, console=SILENT)


def search(address: MilvusAddress, *, k: int = 10, condition: str | None = None, **changes: Any) -> list[FoundItem]:
    settings = {"collection": None, "fingerprint": "a" * 64, **changes}
    return search_collection(address, QUERY, k=k, condition=condition, **settings)


def nearest(source: Any, *, k: int = 10, kept: Any = None) -> list[str]:
    similarities = source.embeddings.astype(np.float64) @ QUERY.astype(np.float64)
    if kept is not None:
        similarities = np.where(kept, similarities, -np.inf)
    order = np.argsort(-similarities, kind="stable")[:k]
    return [source.items["id"].iat[row] for row in order if np.isfinite(similarities[row])]


def ids(found: list[FoundItem]) -> list[str]:
    return [one.item["id"] for one in found]


@pytest.mark.parametrize("index", ["auto", "HNSW", "IVF_FLAT"])
def test_a_search_finds_what_brute_force_finds(items: Any, address: MilvusAddress, index: str) -> None:
    done = publish(items, address, index=index)
    assert (done.items, done.written, done.removed, done.replaced) == (60, 60, 0, False)
    assert done.index.kind == ("FLAT" if index == "auto" else index)
    found = search(address)
    assert ids(found) == nearest(items)
    rows = [int(name.removeprefix("sku ")) for name in ids(found)]
    assert [one.similarity for one in found] == pytest.approx((items.embeddings[rows] @ QUERY).tolist(), abs=1e-6)
    first = items.items.iloc[rows[0]]
    expected = {name: None if value is None or value != value else value for name, value in first.items()}
    assert dict(found[0].item) == expected


def test_filters_are_milvus_own(items: Any, address: MilvusAddress) -> None:
    publish(items, address)
    color, stock = items.items["color"], items.items["stock"]
    assert ids(search(address, condition='color == "red"')) == nearest(items, kept=(color == "red").to_numpy())
    both = ((stock < 30) & items.items["on_sale"]).to_numpy()
    assert ids(search(address, condition="stock < 30 and on_sale == true")) == nearest(items, kept=both)
    with pytest.raises(SimtrainError, match=r"^--filter 'color = = 1': "):
        search(address, condition="color = = 1")


def test_only_what_has_changed_is_written_and_what_is_gone_is_removed(items: Any, address: MilvusAddress) -> None:
    publish(items, address)
    again = publish(items, address)
    assert (again.written, again.removed, again.replaced) == (0, 0, False)
    table = items.items.iloc[5:].reset_index(drop=True)
    table.loc[0, "color"] = "green"
    vectors = items.embeddings[5:].copy()
    vectors[1] = QUERY
    changed = publish(replace(items, items=table, embeddings=vectors), address)
    assert (changed.items, changed.written, changed.removed) == (55, 2, 5)
    found = search(address, k=60)
    assert len(found) == 55
    assert found[0].item["id"] == "sku 06"
    assert found[0].similarity == pytest.approx(1, abs=1e-6)
    assert ids(search(address, condition='color == "green"')) == ["sku 05"]


def test_another_encoder_takes_over_in_one_step_and_queries_of_the_old_one_are_refused(
    items: Any, address: MilvusAddress
) -> None:
    first = publish(items, address)
    other = publish(replace(items, fingerprint="b" * 64, embeddings=-items.embeddings), address)
    assert other.replaced
    assert other.collection != first.collection
    with connected(address, must_exist=True) as client:
        assert client.list_collections() == [other.collection]
        assert published_aliases(client) == ["shop"]
    with pytest.raises(
        BundleError, match="collection 'shop' holds embeddings of another encoder: its fingerprint is b"
    ):
        search(address)
    assert ids(search(address, fingerprint="b" * 64)) == nearest(replace(items, embeddings=-items.embeddings))


def test_a_call_that_was_ended_goes_on_and_nobody_sees_its_half(
    items: Any, address: MilvusAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_ROWS", 20)
    publish(items, address)
    other = replace(items, fingerprint="b" * 64)

    class Ended(type(other)):  # type: ignore[misc]
        def blocks(self, size: int) -> Any:
            for number, block in enumerate(super().blocks(size)):
                if number == 2:
                    raise KeyboardInterrupt
                yield block

    with pytest.raises(KeyboardInterrupt):
        publish(Ended(**vars(other)), address)
    assert ids(search(address)) == nearest(items)
    gone_on = publish(other, address)
    assert (gone_on.items, gone_on.written, gone_on.removed, gone_on.replaced) == (60, 20, 0, True)
    assert ids(search(address, fingerprint="b" * 64)) == nearest(other)


def test_two_collections_are_told_apart_by_name(items: Any, address: MilvusAddress) -> None:
    publish(items, address)
    publish(replace(items, embeddings=-items.embeddings), address, alias="other")
    with pytest.raises(SimtrainError, match="published collections: other, shop; name one with --collection"):
        search(address)
    assert ids(search(address, collection="shop")) == nearest(items)
    with pytest.raises(SimtrainError, match="no collection 'shap' that simtrain has published; there are: other, shop"):
        search(address, collection="shap")


def test_a_strangers_collection_is_left_alone(items: Any, address: MilvusAddress) -> None:
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    with connected(address, must_exist=False) as client:
        client.create_collection("shop", schema=schema)
        client.create_collection("theirs", schema=schema)
        client.create_alias("theirs", "products")
    with pytest.raises(SimtrainError, match="a collection 'shop' is there that simtrain has not published"):
        publish(items, address)
    with pytest.raises(SimtrainError, match="'products' is an alias of 'theirs', which simtrain has not published"):
        publish(items, address, alias="products")
    publish(items, address, alias="ours")
    with connected(address, must_exist=True) as opened:
        assert {"shop", "theirs"} <= set(opened.list_collections())
        assert behind(opened, "products") == "theirs"


def test_shards_are_published_in_halves_of_unit_length(items: Any, address: MilvusAddress, tmp_path: Path) -> None:
    space = Space(fingerprint="a" * 64, dimensions=8, precision="float16")
    names = items.items["id"].tolist()
    for number in range(2):
        rows = slice(30 * number, 30 * number + 30)
        shard = Shard(
            ids=names[rows], paths=names[rows], sha256=["0"] * 30, embeddings=items.embeddings[rows], left_out=[]
        )
        write_shard(tmp_path, ShardTask.of(number, []), shard, space=space)
    write_record(tmp_path, space=space, images=60, left_out=0, shards=2)
    source: PublishedSource = ShardsSource(folder=tmp_path)
    assert publish(source, address).items == 60
    assert ids(search(address)) == nearest(items)
    with pytest.raises(SimtrainError, match="the bundle that 'shop' was published from is not known; name it"):
        folder_published(address, None)


@pytest.mark.parametrize(("count", "kind"), [(1, "FLAT"), (20_000, "FLAT"), (20_001, "HNSW"), (20_000_001, "DISKANN")])
def test_auto_fits_the_number_of_items(count: int, kind: str) -> None:
    assert MilvusIndex.of("auto", count=count).kind == kind


def test_ids_with_quotes_stay_in_theirs(items: Any, address: MilvusAddress) -> None:
    names = items.items["id"].tolist()
    names[:3] = ["x' or id != '", 'a"] or id in ["sku 05', "back\\slash"]
    odd = replace(items, items=items.items.assign(id=names))
    publish(odd, address)
    with PublishedCollection.opened(address, None) as published:
        for row in (0, 1, 2, 5):
            found = published.item(names[row])
            assert found is not None
            assert (found[0]["id"], found[0]["stock"]) == (names[row], row)
        assert published.item("x' or 1 == 1") is None
    rest = replace(odd, items=odd.items.iloc[3:].reset_index(drop=True), embeddings=odd.embeddings[3:])
    assert (publish(rest, address).removed, len(search(address, k=100))) == (3, 57)


def test_a_gone_alias_is_told_with_what_is_there(items: Any, address: MilvusAddress) -> None:
    publish(items, address)
    with pytest.raises(SimtrainError, match="no collection 'shoe' that simtrain has published; there are: shop"):
        search(address, collection="shoe")
