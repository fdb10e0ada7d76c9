"""`simtrain index`: arguments and output."""

from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import (
    AllowCodeOption,
    EmbeddingsOption,
    ImagesOption,
    SetOption,
    SignedByOption,
    SignOption,
    expanded,
)
from simtrain.cli.output import WORK, show, verb
from simtrain.errors import SimtrainError, system_reason

app = typer.Typer(
    no_args_is_help=True,
    help="Keep a bundle in step with its catalogue. Searches go on meanwhile; a killed process changes nothing.",
)
BundleArgument = Annotated[Path, typer.Argument(callback=expanded, help="Bundle folder, written by simtrain export.")]
SourceArgument = Annotated[
    str, typer.Argument(help="Catalogue of simtrain prepare, folder of images, table, or shards of simtrain embed.")
]


@verb(app, "add")
def add(
    bundle: BundleArgument,
    source: SourceArgument,
    images: ImagesOption = None,
    sign: SignOption = None,
    embeddings: EmbeddingsOption = None,
    overrides: SetOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Add items with new ids; an id that is there with another image is refused."""
    from simtrain.api import index

    report = index.add(
        bundle,
        source,
        images=images,
        sign=sign,
        embeddings=embeddings,
        overrides=overrides or [],
        allow_code=allow_code,
        console=WORK,
    )
    show(report)


@verb(app, "update")
def update(
    bundle: BundleArgument,
    source: SourceArgument,
    images: ImagesOption = None,
    sign: SignOption = None,
    embeddings: EmbeddingsOption = None,
    overrides: SetOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Add new items, and replace those that have changed; what the source does not name stays."""
    from simtrain.api import index

    report = index.update(
        bundle,
        source,
        images=images,
        sign=sign,
        embeddings=embeddings,
        overrides=overrides or [],
        allow_code=allow_code,
        console=WORK,
    )
    show(report)


@verb(app, "remove")
def remove(
    bundle: BundleArgument,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of items.")] = None,
    listed: Annotated[
        Path | None, typer.Option("--ids", callback=expanded, metavar="FILE", help="Text file, an id a line.")
    ] = None,
    sign: SignOption = None,
) -> None:
    """Remove items by their ids."""
    from simtrain.api import index

    named = [*(ids or []), *(_lines(listed) if listed is not None else [])]
    if not named:
        raise SimtrainError("index remove: name ids, or a file with an id a line: --ids FILE")
    show(index.remove(bundle, named, sign=sign))


@verb(app, "verify")
def verify(
    bundle: BundleArgument,
    images: ImagesOption = None,
    signed_by: SignedByOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Check every file, the encoder, and the embeddings of some images."""
    from simtrain.api import index

    report = index.verify(bundle, images=images, signed_by=signed_by, allow_code=allow_code, console=WORK)
    show(report)


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise SimtrainError(f"{path}: is no text in UTF-8") from None
    except OSError as error:
        raise SimtrainError(f"{path}: cannot be read: {system_reason(error)}") from None
