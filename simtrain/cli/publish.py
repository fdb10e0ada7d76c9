"""`simtrain publish`: arguments and output."""

from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import expanded
from simtrain.cli.output import WORK, show


def publish(
    source: Annotated[
        Path, typer.Argument(callback=expanded, help="Bundle folder, or shards written by simtrain embed.")
    ],
    to: Annotated[
        str, typer.Option(metavar="milvus:…", help="milvus:PATH.db (embedded in a file) or milvus:http://HOST:19530.")
    ],
    collection: Annotated[str | None, typer.Option(help="Name for searches; default: that of the folder.")] = None,
    index: Annotated[str, typer.Option(help="auto, FLAT, HNSW, IVF_FLAT, IVF_SQ8, DISKANN or AUTOINDEX.")] = "auto",
    bulk_files: Annotated[
        Path | None,
        typer.Option(
            callback=expanded, metavar="FOLDER", help="Write Parquet files that the server imports, for many millions."
        ),
    ] = None,
) -> None:
    """Publish items to Milvus, and bring them in step when they change; MILVUS_TOKEN says who you are."""
    from simtrain.api.publish import publish

    report = publish(source, to, collection=collection, index=index, bulk_files=bulk_files, console=WORK)
    show(report)
