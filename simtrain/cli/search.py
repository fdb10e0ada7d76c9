"""`simtrain search`: arguments and output."""

from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AllowCodeOption, ImagesOption, SignedByOption, expanded
from simtrain.cli.output import WORK, show
from simtrain.own_code import code_allowed


def search(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="BUNDLE|milvus:…", show_default=False, help="Bundle folder, or a Milvus that one was published to."
        ),
    ] = None,
    image: Annotated[Path | None, typer.Option(callback=expanded, help="Query image.")] = None,
    text: Annotated[str | None, typer.Option(help="Query text, for encoders that read text.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of results.")] = 5,
    plot: Annotated[
        Path | None, typer.Option(callback=expanded, metavar="FILE.png", help="Picture of the query and its results.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="milvus:…", help="Milvus to search, instead of the bundle's index.")
    ] = None,
    collection: Annotated[
        str | None, typer.Option(help="Name of a collection in Milvus; default: the only one.")
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option("--filter", metavar="EXPRESSION", help="Condition on columns: 'color == \"red\" and price < 20'."),
    ] = None,
    images: ImagesOption = None,
    signed_by: SignedByOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Search a bundle, or a Milvus that it was published to: the items nearest to an image or to a text."""
    from simtrain.commands.search import MilvusPlace, search_milvus, search_passing, searched_place
    from simtrain.commands.search import search as search_bundle
    from simtrain.serving.opened_bundle import read_query

    searched = searched_place(
        "search", bundle, source=source, collection=collection, images=images, signed_by=signed_by
    )
    with code_allowed(allow_code):
        if searched.address is None:
            assert searched.bundle is not None
            if condition is None:
                result = search_bundle(searched.bundle, image=image, text=text, k=k, plot=plot)
            else:
                query = read_query(image, text=text, plot=plot)
                result = search_passing(searched.bundle, query=query, k=k, condition=condition)
        else:
            place = MilvusPlace(address=searched.address, collection=collection, condition=condition)
            query = read_query(image, text=text, plot=plot)
            folder = None if searched.bundle is None else searched.bundle.folder
            result = search_milvus(place, folder=folder, images=images, query=query, k=k)
    show(result, also=[] if plot is None else [f"picture: {plot}"])
    if result.tokens_read:
        WORK.aside(f"text truncated: the encoder reads its first {result.tokens_read} tokens")
    if plot is not None and result.missing_pictures:
        WORK.aside(
            f"pictures not found, grey in the plot: {result.missing_pictures} of {len(result.neighbours)}; where they "
            "lie: --images FOLDER"
        )
