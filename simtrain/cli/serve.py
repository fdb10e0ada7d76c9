"""`simtrain serve`: arguments."""

from typing import Annotated

import typer

from simtrain.cli.arguments import AllowCodeOption, ImagesOption, SignedByOption
from simtrain.cli.output import WORK


def serve(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="BUNDLE|milvus:…", show_default=False, help="Bundle folder, or a Milvus that one was published to."
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="milvus:…", help="Milvus to search, instead of the bundle's index.")
    ] = None,
    collection: Annotated[
        str | None, typer.Option(help="Name of a collection in Milvus; default: the only one.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.")] = 8000,
    images: ImagesOption = None,
    signed_by: SignedByOption = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="SIMTRAIN_SERVE_TOKEN", show_envvar=True, help="Word that every request has to bring."),
    ] = None,
    url_host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Fetch query pictures from URLs of this host; repeatable. Default: none."),
    ] = None,
    upload_megabytes: Annotated[float, typer.Option(min=0.001, help="Largest query picture in MB.")] = 20.0,
    megapixels: Annotated[float, typer.Option(min=0.001, help="Largest query picture in millions of pixels.")] = 64.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="Longest time to send a request, and to answer it.")] = 20.0,
    allow_code: AllowCodeOption = False,
) -> None:
    """Search page and JSON API of a bundle, or of a Milvus that it was published to; --host lets others in."""
    from simtrain.api.serve import serve as run_serve

    run_serve(
        bundle,
        source=source,
        collection=collection,
        host=host,
        port=port,
        images=images,
        signed_by=signed_by,
        token=token,
        url_hosts=url_host or (),
        upload_megabytes=upload_megabytes,
        megapixels=megapixels,
        seconds=seconds,
        allow_code=allow_code,
        console=WORK,
    )
