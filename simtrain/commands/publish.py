"""`simtrain publish`: the items of a bundle, or shards of `simtrain embed`, in Milvus."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from simtrain.console import Console
from simtrain.errors import SimtrainError
from simtrain.mistaken import mistaken
from simtrain.phrases import counted
from simtrain.serving.bundle import Bundle
from simtrain.serving.embedding_shards import RECORD_FILE, has_shards
from simtrain.serving.manifest import MANIFEST_FILE
from simtrain.serving.milvus.bulk_files import SCHEMA_FILE, BulkFiles, write_bulk_files
from simtrain.serving.milvus.collection import INDEX_TYPES, alias_of, checked_alias
from simtrain.serving.milvus.connection import TOKEN_VARIABLE, MilvusAddress
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
        address = shlex.quote(done.address)
        where = f"BUNDLE --from {address}" if (self.source / RECORD_FILE).is_file() else address
        return "\n".join([*lines, f"next: simtrain search {where} --collection {done.alias} --image PATH"])


@dataclass(frozen=True, kw_only=True)
class BulkReport:
    """Files that `publish` has written for an import; `print` shows them and what comes next."""

    files: BulkFiles
    source: Path

    def __str__(self) -> str:
        done = self.files
        lines = [
            f"bulk files: {done.folder} ({counted(done.items, 'item')} in {counted(len(done.names), 'file')}), for the "
            f"empty collection '{done.collection}' in {done.address}"
        ]
        if done.cut_texts:
            lines.append(f"cut at the 65,535 bytes that Milvus takes: {counted(done.cut_texts, 'text')}")
        return "\n".join(
            [
                *lines,
                f"next: copy {shlex.quote(str(done.folder))} as '{done.folder.resolve().name}' into the bucket that "
                "Milvus reads, then",
                f"  python -c {shlex.quote(self.import_code())}",
                f"and when that job is complete: simtrain publish {shlex.quote(str(self.source))} --to "
                f"{shlex.quote(done.address)} --collection {done.alias}",
            ]
        )

    def import_code(self) -> str:
        """Python that asks the Milvus to import the files."""
        note = json.dumps(str((self.files.folder / SCHEMA_FILE).resolve()), ensure_ascii=False)
        return (
            f"import json, os; from pymilvus.bulk_writer import bulk_import; note = json.load(open({note})); "
            f'print(bulk_import("{self.files.uri}", note["collection"], files=[[file] for file in note["files"]], '
            f'api_key=os.environ.get("{TOKEN_VARIABLE}", "")).text)'
        )


def write_files(
    folder: Path, *, to: str, bulk_files: Path, collection: str | None, index: str, console: Console
) -> BulkReport:
    """Write the items of a bundle or of shards as files that a Milvus imports, and make the collection for them.

    Args:
        folder: A bundle, or a folder of `simtrain embed`.
        to: Address of a server, `milvus:URI`.
        bulk_files: Folder for the files.
        collection: Name for searches; None: that of the folder.
        index: One of `INDEX_TYPES`.
        console: Shows how many items are done.

    Raises:
        SimtrainError: for anything that the user can mend.
    """
    address = MilvusAddress.of(to)
    if address.file is not None:
        raise SimtrainError(
            f"--bulk-files: {to} is embedded, and imports no files; leave --bulk-files out, or name a server: "
            "milvus:http://HOST:19530"
        )
    source, alias = _checked(folder, collection=collection, index=index)
    files = write_bulk_files(source, address, bulk_files, alias=alias, index=index, console=console)
    return BulkReport(files=files, source=folder)


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
    source, alias = _checked(folder, collection=collection, index=index)
    published = publish_items(
        source, address, alias=alias, index=index, console=console, takes_over=collection is not None
    )
    return PublishReport(published=published, source=folder)


def _checked(folder: Path, *, collection: str | None, index: str) -> tuple[PublishedSource, str]:
    """The source, and its name for searches."""
    if index not in INDEX_TYPES:
        raise SimtrainError(f"--index: got '{index}'; allowed: {', '.join(INDEX_TYPES)}")
    if collection is not None:
        checked_alias(collection)
    source = _source(folder)
    return source, collection or alias_of(source.name)


def _source(folder: Path) -> PublishedSource:
    if has_shards(folder):
        return ShardsSource(folder=folder)
    if not (folder / MANIFEST_FILE).is_file():
        neither = f"{folder}: neither a bundle of simtrain export nor shards of simtrain embed"
        raise SimtrainError(mistaken(folder, expected="bundle") or neither)
    return BundleSource(opened=Bundle.open(folder))
