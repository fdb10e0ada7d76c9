"""`simtrain.publish`: items of a bundle or of shards in Milvus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from simtrain.api.inputs import or_terminal
from simtrain.console import Console

if TYPE_CHECKING:
    from simtrain.commands.publish import BulkReport, PublishReport


def publish(
    source: str | Path,
    to: str,
    *,
    collection: str | None = None,
    index: str = "auto",
    bulk_files: str | Path | None = None,
    console: Console | None = None,
) -> PublishReport | BulkReport:
    """Bring a collection in Milvus in step with a bundle, or with shards of `embed`, as `simtrain publish` does.

    Items that are new or have changed are written, those that are gone are removed; a call that was ended goes on.
    Another encoder or other columns make a new collection, which takes the name in one step once it is whole.

    Args:
        source: Folder of a bundle, or of `embed`.
        to: `milvus:PATH.db`, embedded in a file, or a server such as `milvus:https://HOST:19530`, with the user in the
            variable `MILVUS_TOKEN`.
        collection: Name for searches; None: that of the folder.
        index: `auto`, `FLAT`, `HNSW`, `IVF_FLAT`, `IVF_SQ8`, `DISKANN` or `AUTOINDEX`; similarities are exact in any.
        bulk_files: Folder for Parquet files that a server imports by itself, with their `schema.json`; only its empty
            collection is made then, and `print` of the answer shows what comes next. None: items are written.
        console: Shows progress; None: the terminal.

    Raises:
        SimtrainError: for anything that the user can mend; what was published before can still be searched.
    """
    from simtrain.commands.publish import publish, write_files

    if bulk_files is not None:
        return write_files(
            Path(source).expanduser(),
            to=to,
            bulk_files=Path(bulk_files).expanduser(),
            collection=collection,
            index=index,
            console=or_terminal(console),
        )
    return publish(Path(source).expanduser(), to=to, collection=collection, index=index, console=or_terminal(console))
