"""`simtrain publish`: the items of a bundle, or shards of `simtrain embed`, in Milvus."""

from dataclasses import dataclass
from pathlib import Path

from simtrain.console import Console
from simtrain.errors import SimtrainError
from simtrain.phrases import counted
from simtrain.serving.bundle import Bundle
from simtrain.serving.embedding_shards import RECORD_FILE, shard_numbers
from simtrain.serving.manifest import MANIFEST_FILE
from simtrain.serving.milvus.collection import INDEX_TYPES, alias_of, checked_alias
from simtrain.serving.milvus.connection import MilvusAddress
from simtrain.serving.milvus.publishing import Published, publish_items
from simtrain.serving.milvus.source import BundleSource, PublishedSource, ShardsSource


@dataclass(frozen=True, kw_only=True)
class PublishReport:
    """What `publish` has done; `print` shows it."""

    published: Published
    source: Path

    def __str__(self) -> str:
        done = self.published
        kept = done.items - done.written
        lines = [
            f"published: '{done.alias}' in {done.address} ({counted(done.items, 'item')}, index {done.index.kind}): "
            f"{done.written} written, {kept} unchanged, {done.removed} removed"
        ]
        if done.replaced:
            lines.append(f"'{done.alias}' stood for another encoder, index or set of columns, which is removed")
        if done.cut_texts:
            lines.append(f"cut at the 65,535 bytes that Milvus takes: {counted(done.cut_texts, 'text')}")
        where = f"BUNDLE --from {done.address}" if (self.source / RECORD_FILE).is_file() else done.address
        return "\n".join([*lines, f"next: simtrain search {where} --collection {done.alias} --image PATH"])


def publish(folder: Path, *, to: str, collection: str | None, index: str, console: Console) -> PublishReport:
    """Bring a collection in Milvus in step with a bundle or with shards.

    Args:
        folder: A bundle, or a folder of `simtrain embed`.
        to: Address, `milvus:PATH.db` or `milvus:URI`.
        collection: Name for searches; None: that of the folder.
        index: One of `INDEX_TYPES`.
        console: Shows how many items are done.

    Raises:
        SimtrainError: for anything that the user can mend; what was published before can still be searched.
    """
    address = MilvusAddress.of(to)
    if index not in INDEX_TYPES:
        raise SimtrainError(f"--index: got '{index}'; allowed: {', '.join(INDEX_TYPES)}")
    if collection is not None:
        checked_alias(collection)
    source = _source(folder)
    alias = collection or alias_of(source.name)
    published = publish_items(source, address, alias=alias, index=index, console=console)
    return PublishReport(published=published, source=folder)


def _source(folder: Path) -> PublishedSource:
    if (folder / RECORD_FILE).is_file() or (folder.is_dir() and shard_numbers(folder)):
        return ShardsSource(folder=folder)
    if not (folder / MANIFEST_FILE).is_file():
        raise SimtrainError(f"{folder}: neither a bundle of simtrain export nor shards of simtrain embed")
    return BundleSource(opened=Bundle.open(folder))
