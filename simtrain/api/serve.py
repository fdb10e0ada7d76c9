"""`simtrain.serve`: a bundle, or a collection in Milvus, behind a JSON API and a search page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simtrain.console import TERMINAL, Console
from simtrain.own_code import code_allowed


def serve(
    bundle: str | Path | None = None,
    *,
    source: str | None = None,
    collection: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    images: str | Path | None = None,
    signed_by: str | Path | None = None,
    token: str | None = None,
    url_hosts: Sequence[str] = (),
    upload_megabytes: float = 20.0,
    megapixels: float = 64.0,
    seconds: float = 20.0,
    allow_code: bool = False,
    console: Console | None = None,
) -> None:
    """Answer searches over HTTP until SIGTERM or Ctrl-C.

    Args:
        bundle: Folder of the bundle, or `milvus:PATH_OR_URI` that one was published to; what replaces it meanwhile
            takes over; None: `source` alone is given.
        source: `milvus:PATH_OR_URI` that is searched instead of the bundle's own index; None: the index is.
        collection: Name of a collection in Milvus; None: the only one.
        host: Address to listen on; 0.0.0.0 lets other machines in.
        port: Port to listen on, 0 to 65535; 0: a free one.
        images: Folder of the items' pictures; None: as noted when the bundle was made on this machine.
        signed_by: File of the Ed25519 key that the bundle must be signed with, and each that replaces it; None: any or
            none. Not for a collection in Milvus, which is not signed.
        token: Word that every request has to bring; None: none.
        url_hosts: Hosts that query pictures may be fetched from, as `shop.example` or `shop.example:8443`.
        upload_megabytes: Largest query picture in MB; above 0.
        megapixels: Largest query picture in millions of pixels; above 0.
        seconds: Longest time to send a request, and to answer it; above 0.
        allow_code: Whether code that the bundle names (`kind: python`) may be imported.
        console: Is told the address and each replacement; None: the terminal.

    Raises:
        SimtrainError: for anything that the user can mend.
    """
    from simtrain.commands.search import searched_place
    from simtrain.commands.serve import serve
    from simtrain.serving.app.settings import ServeSettings, usual_limits

    named = None if bundle is None else str(bundle)
    place = searched_place("serve", named, source=source, collection=collection, images=images, signed_by=signed_by)
    settings = ServeSettings(
        host=host,
        port=port,
        token=token,
        url_hosts=tuple(name.lower() for name in url_hosts),
        limits=usual_limits(upload_megabytes=upload_megabytes, megapixels=megapixels, seconds=seconds),
    )
    with code_allowed(allow_code):
        serve(place, settings=settings, console=TERMINAL if console is None else console)
