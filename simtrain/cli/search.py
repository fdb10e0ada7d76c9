"""`simtrain search`: arguments and output."""

from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AllowCodeOption, expanded
from simtrain.cli.console import TERMINAL, writes_unicode
from simtrain.files import json_text
from simtrain.own_code import code_allowed


def search(
    bundle: Annotated[Path, typer.Argument(callback=expanded, help="Bundle folder, written by simtrain export.")],
    image: Annotated[Path | None, typer.Option(callback=expanded, help="Query image.")] = None,
    text: Annotated[str | None, typer.Option(help="Query text, for encoders that read text.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of results.")] = 5,
    plot: Annotated[
        Path | None, typer.Option(callback=expanded, metavar="FILE.png", help="Picture of the query and its results.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    allow_code: AllowCodeOption = False,
) -> None:
    """Search a bundle: the items nearest to an image or to a text."""
    from simtrain.commands.search import search as run_search

    with code_allowed(allow_code):
        result = run_search(bundle, image=image, text=text, k=k, plot=plot)
    if as_json:
        print(json_text(result.to_dict(), ascii_only=not writes_unicode()))
    else:
        TERMINAL.line(str(result))
        if plot is not None:
            TERMINAL.line(f"picture: {plot}")
    if result.tokens_read:
        TERMINAL.aside(f"text truncated: the encoder reads its first {result.tokens_read} tokens")
    if plot is not None and result.missing_pictures:
        TERMINAL.aside(
            f"{result.missing_pictures} of {len(result.neighbours)} image files are missing; the picture shows "
            f"grey tiles"
        )
