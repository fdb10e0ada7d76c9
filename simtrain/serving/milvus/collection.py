"""A published collection: an alias that searches use, and behind it one for each encoder, index and set of columns."""

# Shapes: D dimensions of the embedding.

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simtrain.errors import SimtrainError
from simtrain.serving.milvus.fields import HASH_FIELD, ID_FIELD, LONGEST_ID, LONGEST_TEXT, VECTOR_FIELD, Field

INDEX_TYPES = ("auto", "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8", "DISKANN", "AUTOINDEX")
_FLAT_UP_TO, _HNSW_UP_TO = 20_000, 20_000_000
_PROPERTY = "simtrain"
_FORMAT_VERSION = 1
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_DIGEST_LENGTH = 16
_NOT_THERE = ("does not exist", "not found")  # of an embedded Milvus, and of a server


@dataclass(frozen=True, kw_only=True)
class MilvusIndex:
    """An index over the embeddings.

    Attributes:
        kind: One of `INDEX_TYPES` but `auto`.
        build: Parameters of its building.
    """

    kind: str
    build: dict[str, int]

    @staticmethod
    def of(kind: str, *, count: int) -> MilvusIndex:
        """The index of a kind, or for `auto` the one that fits a number of items.

        `FLAT` compares with every item and is right for 20,000; `HNSW` keeps a graph and the embeddings in memory,
        which `DISKANN` keeps on disks, for more than 20 million.
        """
        if kind == "auto":
            kind = "FLAT" if count <= _FLAT_UP_TO else "HNSW" if count <= _HNSW_UP_TO else "DISKANN"
        build = {"HNSW": {"M": 32, "efConstruction": 200}}.get(kind, {})
        if kind in ("IVF_FLAT", "IVF_SQ8"):
            build = {"nlist": max(16, min(65_536, 4 * int(max(count, 1) ** 0.5)))}
        return MilvusIndex(kind=kind, build=build)

    def search_parameters(self, k: int) -> dict[str, int]:
        """How far a search for k neighbours looks."""
        match self.kind:
            case "HNSW":
                return {"ef": max(128, 4 * k)}
            case "IVF_FLAT" | "IVF_SQ8":
                return {"nprobe": max(16, self.build["nlist"] // 8)}
            case "DISKANN":
                return {"search_list": max(100, 2 * k)}
        return {}


@dataclass(frozen=True, kw_only=True)
class Described:
    """What a collection says of itself.

    Attributes:
        fingerprint: Name of the embedding space.
        dimensions: D.
        bundle: Folder of the bundle that it was published from, as an absolute path; None: it was shards.
        index: Its index.
        fields: Its columns.
    """

    fingerprint: str
    dimensions: int
    bundle: str | None
    index: MilvusIndex
    fields: Sequence[Field]

    def name(self, alias: str) -> str:
        """Name of the collection behind an alias: another one for each encoder, index and set of columns."""
        told = {**asdict(self), "bundle": None}
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        return f"{alias}_{digest[:_DIGEST_LENGTH]}"


def alias_of(name: str) -> str:
    """A name for searches, made of the name of a folder.

    Raises:
        SimtrainError: if no name that Milvus takes can be made of it.
    """
    alias = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
    alias = f"_{alias}" if alias[:1].isdigit() else alias
    return checked_alias(alias or name)


def checked_alias(alias: str) -> str:
    """A name that Milvus takes.

    Raises:
        SimtrainError: for any other.
    """
    if _ALIAS.fullmatch(alias) is None:
        raise SimtrainError(f"--collection: got '{alias}'; allowed: letters, digits and _, not beginning with a digit")
    return alias


def schema_of(described: Described) -> Any:
    """The schema of a collection, for pymilvus."""
    from pymilvus import DataType, MilvusClient

    kinds = {
        "bool": DataType.BOOL,
        "int64": DataType.INT64,
        "double": DataType.DOUBLE,
        "varchar": DataType.VARCHAR,
        "json": DataType.JSON,
    }
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(ID_FIELD, DataType.VARCHAR, max_length=LONGEST_ID, is_primary=True)
    schema.add_field(VECTOR_FIELD, DataType.FLOAT_VECTOR, dim=described.dimensions)
    schema.add_field(HASH_FIELD, DataType.VARCHAR, max_length=64)
    for field in described.fields:
        longest = {"max_length": LONGEST_TEXT} if field.kind == "varchar" else {}
        schema.add_field(field.name, kinds[field.kind], nullable=True, **longest)
    return schema


def create(client: Any, name: str, described: Described) -> None:
    """Make an empty collection of this description."""
    index = client.prepare_index_params()
    index.add_index(
        VECTOR_FIELD, index_type=described.index.kind, metric_type="COSINE", params=dict(described.index.build)
    )
    note = {"format": _FORMAT_VERSION, **asdict(described)}
    client.create_collection(
        name, schema=schema_of(described), index_params=index, properties={_PROPERTY: json.dumps(note)}
    )


def describe(client: Any, name: str) -> Described | None:
    """What a collection, or an alias of one, says of itself; None: it was not published by simtrain."""
    properties = client.describe_collection(name).get("properties") or {}
    try:
        note = json.loads(properties[_PROPERTY])
        if note["format"] != _FORMAT_VERSION:
            return None
        return Described(
            fingerprint=str(note["fingerprint"]),
            dimensions=int(note["dimensions"]),
            bundle=note["bundle"],
            index=MilvusIndex(**note["index"]),
            fields=[Field(**each) for each in note["fields"]],
        )
    except (KeyError, TypeError, ValueError):
        return None


def tell_bundle(client: Any, name: str, described: Described) -> None:
    """Note where the bundle lies that a collection was published from last."""
    note = {"format": _FORMAT_VERSION, **asdict(described)}
    client.alter_collection_properties(name, properties={_PROPERTY: json.dumps(note)})


def behind(client: Any, alias: str) -> str | None:
    """The collection that an alias stands for; None: there is no such alias."""
    from pymilvus import MilvusException

    try:
        return str(client.describe_alias(alias)["collection_name"])
    except MilvusException as error:
        if any(words in str(error) for words in _NOT_THERE):
            return None
        raise


def published_aliases(client: Any) -> list[str]:
    """The aliases of collections that simtrain has published."""
    found: list[str] = []
    for name in client.list_collections():
        if describe(client, name) is not None:
            found += client.list_aliases(name).get("aliases", [])
    return sorted(found)


def chosen_collection(client: Any, wanted: str | None, *, where: str) -> tuple[str, str, Described]:
    """The collection to search in: the one that is wanted, or else the only one.

    Args:
        client: Of pymilvus.
        wanted: Its alias, as the user named it; None: not named.
        where: Address of the Milvus, which opens errors.

    Returns:
        Its alias, the collection behind it, and what that says of itself.

    Raises:
        SimtrainError: if it is not there, or there are none or several.
    """
    there = [wanted] if wanted is not None else published_aliases(client)
    if len(there) != 1:
        hint = "; name one with --collection" if there else "; publish a bundle: simtrain publish BUNDLE --to …"
        raise SimtrainError(f"{where}: published collections: {', '.join(there) or 'none'}{hint}")
    name = behind(client, there[0])
    described = None if name is None else describe(client, name)
    if name is None or described is None:
        listed = ", ".join(published_aliases(client)) or "none"
        raise SimtrainError(f"{where}: no collection '{there[0]}' that simtrain has published; there are: {listed}")
    return there[0], name, described


def switch(client: Any, alias: str, name: str) -> None:
    """Have an alias stand for a collection, in one step, and remove what it stood for before and unfinished ones."""
    before = behind(client, alias)
    if before is None:
        client.create_alias(name, alias)
    elif before != name:
        client.alter_alias(name, alias)
    pattern = re.compile(rf"{re.escape(alias)}_[0-9a-f]{{{_DIGEST_LENGTH}}}")
    for other in client.list_collections():
        if other != name and pattern.fullmatch(other) and describe(client, other) is not None:
            client.drop_collection(other)


def refuse_stranger(client: Any, alias: str, *, where: str) -> None:
    """Refuse an alias that something else in Milvus has as its name.

    Raises:
        SimtrainError: if there is a collection of this name, or the alias is one of a collection of somebody else's.
    """
    if alias in client.list_collections():
        raise SimtrainError(
            f"{where}: a collection '{alias}' is there that simtrain has not published; --collection NAME"
        )
    before = behind(client, alias)
    if before is not None and describe(client, before) is None:
        raise SimtrainError(
            f"{where}: '{alias}' is an alias of '{before}', which simtrain has not published; --collection NAME"
        )


def refuse_other_bundle(client: Any, alias: str, bundle: Path | None, *, where: str) -> None:
    """Refuse an alias that nobody named, made of a folder's name, where it stands for another bundle's items.

    Folders of one name, and names of other letters than Milvus takes, give one alias. A bundle that has moved is known
    by its name.

    Args:
        client: Of pymilvus.
        alias: The alias.
        bundle: Folder of the bundle that is published; None: it is shards, which do not say.
        where: Address of the Milvus, which opens errors.

    Raises:
        SimtrainError: if it is another bundle.
    """
    before = behind(client, alias)
    described = None if before is None else describe(client, before)
    if bundle is None or described is None or described.bundle is None:
        return
    other = Path(described.bundle)
    if other != bundle and (other.name != bundle.name or other.exists()):
        raise SimtrainError(
            f"{where}: '{alias}' holds the items of the bundle {other}; to replace them: --collection {alias}; "
            "to keep both: --collection NAME"
        )
