"""`simtrain.index`: keeps a bundle in step with its catalogue, as `simtrain index` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simtrain.api.inputs import or_terminal
from simtrain.config import load_prepare_config
from simtrain.config.overrides import Overrides, override_lines
from simtrain.console import Console
from simtrain.own_code import code_allowed
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.signature import SigningKey

if TYPE_CHECKING:
    from simtrain.commands.index import IndexReport, ItemsSource, VerifyReport


def add(
    bundle: str | Path,
    source: str | Path,
    *,
    images: str | Path | None = None,
    sign: str | Path | None = None,
    embeddings: str | Path | None = None,
    overrides: Overrides = (),
    allow_code: bool = False,
    console: Console | None = None,
) -> IndexReport:
    """Add the items of a source whose ids a bundle does not have; only these are embedded.

    Args:
        bundle: Folder of the bundle.
        source: A catalogue of `prepare`, of which the images with `gallery` count, what `prepare` takes, or a folder of
            `embed`, whose images come with their embeddings.
        images: Folder that the bundle's paths of pictures start from; None: as noted when it was made on this machine.
        sign: File of the Ed25519 key that the bundle is signed with, before and after; None: it is not.
        embeddings: Folder of `embed` whose embeddings are taken for the same images; None: none.
        overrides: Settings of `prepare` that say how the source is read, such as `{"columns.path": "file"}`.
        allow_code: Whether code that the bundle names (`kind: python`) may be imported.
        console: Shows progress; None: the terminal.

    Raises:
        SimtrainError: for anything that the user can mend, such as an id that the bundle has with another image; the
            bundle is then as it was.
    """
    items = _items(source, overrides=overrides, embeddings=embeddings)
    given, key = GivenBundle.of(bundle, images=images), _key(sign)
    from simtrain.commands.index import change

    with code_allowed(allow_code):
        return change(given, items, mode="add", sign=key, console=or_terminal(console))


def update(
    bundle: str | Path,
    source: str | Path,
    *,
    images: str | Path | None = None,
    sign: str | Path | None = None,
    embeddings: str | Path | None = None,
    overrides: Overrides = (),
    allow_code: bool = False,
    console: Console | None = None,
) -> IndexReport:
    """Add the new items of a source and replace those that it has otherwise.

    Replaced are their columns, and where the content of the file differs their embeddings. Items that the source does
    not name stay. Arguments and errors are those of `add`, but that an id may have another image.
    """
    items = _items(source, overrides=overrides, embeddings=embeddings)
    given, key = GivenBundle.of(bundle, images=images), _key(sign)
    from simtrain.commands.index import change

    with code_allowed(allow_code):
        return change(given, items, mode="update", sign=key, console=or_terminal(console))


def remove(bundle: str | Path, ids: Sequence[str], *, sign: str | Path | None = None) -> IndexReport:
    """Remove items from a bundle by their ids.

    Args:
        bundle: Folder of the bundle.
        ids: Ids of the items.
        sign: File of the Ed25519 key that the bundle is signed with, before and after; None: it is not.

    Raises:
        SimtrainError: for an id that the bundle does not have, or if none would be left; the bundle is then as it was.
    """
    from simtrain.commands.index import remove

    return remove(Path(bundle).expanduser(), list(ids), sign=_key(sign))


def verify(
    bundle: str | Path,
    *,
    images: str | Path | None = None,
    signed_by: str | Path | None = None,
    allow_code: bool = False,
    console: Console | None = None,
) -> VerifyReport:
    """Check every file of a bundle, its encoder, and the embeddings of some of its images.

    Args:
        bundle: Folder of the bundle.
        images: Folder that the items' paths start from; None: as noted when the bundle was made on this machine.
        signed_by: File of the Ed25519 key that it must be signed with; None: any or none.
        allow_code: Whether code that the bundle names (`kind: python`) may be imported.
        console: Shows progress; None: the terminal.

    Raises:
        SimtrainError: for the first thing that is wrong.
    """
    from simtrain.commands.index import verify

    with code_allowed(allow_code):
        return verify(GivenBundle.of(bundle, images=images, signed_by=signed_by), console=or_terminal(console))


def _key(sign: str | Path | None) -> SigningKey | None:
    return None if sign is None else SigningKey.read(Path(sign).expanduser())


def _items(source: str | Path, *, overrides: Overrides, embeddings: str | Path | None) -> ItemsSource:
    config = load_prepare_config({}, override_lines(overrides))
    from simtrain.commands.index import ItemsSource

    shards = None if embeddings is None else Path(embeddings).expanduser()
    return ItemsSource(named=str(source), config=config, embeddings=shards)
