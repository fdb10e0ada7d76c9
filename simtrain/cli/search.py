"""`simtrain search`: arguments and output."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simtrain.cli.console import print_table, say, say_aside

if TYPE_CHECKING:
    from simtrain.commands.search import SearchResult


def search(
    bundle: Annotated[Path, typer.Argument(help="A bundle of simtrain export.")],
    image: Annotated[Path | None, typer.Option(help="Query image.")] = None,
    text: Annotated[str | None, typer.Option(help="Query text, for encoders that read text.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours.")] = 5,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw query and neighbours.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """The products nearest to an image or to a text."""
    from simtrain.commands.search import search as run_search

    result = run_search(bundle, image=image, text=text, k=k, plot=plot)
    if as_json:
        print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        print_neighbours(result)
        if plot is not None:
            say(f"picture: {plot}")
    if result.tokens_read:
        say_aside(f"the text is longer than the encoder reads: only its first {result.tokens_read} tokens count")
    if plot is not None and result.missing_pictures:
        say_aside(
            f"{result.missing_pictures} of {len(result.neighbours)} pictures are no longer where the bundle saw them"
        )


def print_neighbours(result: "SearchResult") -> None:
    """One line per neighbour, nearest first, with the share of right results that so similar ones have."""
    promised = bool(result.promises) and not result.by_text
    columns: list[tuple[str, Any]] = [("rank", "right"), ("similarity", "right")]
    columns += [("precision", "right")] if promised else []
    rows = []
    for found in result.neighbours:
        share = [f">= {found.precision:g}" if found.precision is not None else ""] if promised else []
        rows.append([str(found.rank), f"{found.similarity:.3f}", *share, found.id, found.caption or found.label or ""])
    print_table([*columns, ("id", "left"), ("what", "left")], rows)
    if promised:
        same = " + ".join(result.relevance)
        levels = ", ".join(f"{each.precision:g} from {each.similarity:.3f}" for each in reversed(result.promises))
        say(f"precision: share of results at least so similar that have the same {same}, on val: {levels}")
    elif result.promises:
        say("precision is told of image queries only; a text's similarities are others")
