"""`simtrain serve`: a bundle, or a collection in Milvus, behind a JSON API and a search page."""

from __future__ import annotations

import importlib.util
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from simtrain.commands.search import SearchedPlace, open_bundle
from simtrain.console import Console
from simtrain.cores import usable_cores
from simtrain.errors import SimtrainError
from simtrain.own_code import code_allowed, is_code_allowed
from simtrain.serving.app.settings import BATCHES_AT_A_TIME, ServeSettings
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.milvus.collection import behind, describe
from simtrain.serving.milvus.connection import MilvusAddress, connected, milvus_errors
from simtrain.serving.milvus.searching import PublishedCollection
from simtrain.serving.opened_bundle import OpenedBundle
from simtrain.serving.picture_folders import PictureFolders

if TYPE_CHECKING:
    from simtrain.serving.app.live_bundle import ServedPlace
    from simtrain.serving.app.served_items import ServedItems

_LIBRARIES = {"fastapi": "fastapi", "uvicorn": "uvicorn", "httpx2": "httpx2", "multipart": "python_multipart",
              "prometheus": "prometheus_client"}  # fmt: skip
_SAMPLE = 64  # items whose pictures are looked for at the start


def serve(place: SearchedPlace, *, settings: ServeSettings, console: Console) -> None:
    """Answer searches until SIGTERM or Ctrl-C; what is replaced meanwhile gives way without a pause.

    Args:
        place: A bundle, or a Milvus that one was published to.
        settings: Address, token, hosts of URLs, limits.
        console: Is told the address and each replacement.

    Raises:
        SimtrainError: for a bundle that cannot be opened, a collection of another encoder, an address that is taken,
            settings that cannot be, or libraries of the extra `serve` that are not installed.
    """
    _check(settings)
    from simtrain.serving.app.api import create_app
    from simtrain.serving.app.live_bundle import LiveBundle
    from simtrain.serving.app.metrics import ServiceMetrics
    from simtrain.serving.app.server import run_server

    metrics = ServiceMetrics()
    with _served(place) as served_place:
        live = LiveBundle(place=served_place, limits=settings.limits, metrics=metrics, console=console)

        def ready(url: str) -> None:
            with live.use() as served:
                console.line(f"{served.items}\nserving: {url}  (stop with Ctrl-C)")
                console.aside(_pictures_told(served.items, place))

        run_server(create_app(live, settings=settings, metrics=metrics), settings=settings, ready=ready)
    console.aside("stopped")


def _pictures_told(items: ServedItems, place: SearchedPlace) -> str:
    folders = items.pictures
    if any(folders.within(path) is not None for path in items.some_paths(_SAMPLE)):
        return f"pictures: {folders}"
    looked_in = f" in {folders}" if str(folders) else ""
    named = place.address if place.bundle is None else place.bundle.folder
    beside = "" if place.bundle is None or place.address is None else f" --from {place.address}"
    return f"pictures: not found{looked_in}; to show them: simtrain serve {named}{beside} --images FOLDER"


@contextmanager
def _served(place: SearchedPlace) -> Iterator[ServedPlace]:
    if place.address is None:
        assert place.bundle is not None
        yield bundle_place(place.bundle)
        return
    address = MilvusAddress.of(place.address)
    with connected(address, must_exist=True) as client:
        published = PublishedCollection.of(client, address, place.collection)
        folder = None if place.bundle is None else place.bundle.folder
        yield milvus_place(published, folder=folder, images=place.images)


def _threads() -> int:
    """Threads of each batch that is computed, of which a service computes several at a time."""
    return max(1, usable_cores() // BATCHES_AT_A_TIME)


def bundle_place(given: GivenBundle) -> ServedPlace:
    """A bundle that is served."""
    from simtrain.serving.app.bundle_items import BundleItems
    from simtrain.serving.app.live_bundle import ServedPlace, manifest_stamp

    allowed = is_code_allowed()

    def opening() -> tuple[OpenedBundle, ServedItems]:  # also in the thread that watches the folder
        with code_allowed(allowed):
            opened = open_bundle(given, threads=_threads())
        return opened, BundleItems(opened=opened)

    return ServedPlace(what="bundle", opening=opening, stamp=lambda: manifest_stamp(given.folder))


def milvus_place(first: PublishedCollection, *, folder: Path | None, images: Path | None) -> ServedPlace:
    """A collection that is served; another one that takes its alias takes its place.

    Args:
        first: The collection that is there now; its connection stays open.
        folder: Folder of the bundle whose encoder embeds queries; None: the one that it was published from.
        images: Folder of the items' pictures; None: as noted when the bundle was made on this machine.
    """
    from simtrain.serving.app.live_bundle import ServedPlace
    from simtrain.serving.app.milvus_items import MilvusItems

    allowed, client, address, alias = is_code_allowed(), first.client, first.address, first.alias

    def opening() -> tuple[OpenedBundle, ServedItems]:
        published = PublishedCollection.of(client, address, alias)
        with code_allowed(allowed):
            given = GivenBundle(folder=folder or published.bundle_folder(verb="serve"), images=images)
            opened = open_bundle(given, threads=_threads())
        published.load(opened.bundle.fingerprint)
        # paths of shards begin in a folder that they do not name
        of_bundle = images is not None or published.described.bundle is not None
        pictures = opened.bundle.pictures if of_bundle else PictureFolders()
        return opened, MilvusItems(published=published, opened=opened, pictures=pictures)

    def stamp() -> Hashable | None:
        try:
            with milvus_errors(address.text):
                name = behind(client, alias)
                described = None if name is None else describe(client, name)
        except SimtrainError:  # away for a moment, or removed between the two calls
            return None
        return None if described is None else (name, described.bundle)

    return ServedPlace(what="collection", opening=opening, stamp=stamp)


def _check(settings: ServeSettings) -> None:
    missing = [name for name, module in _LIBRARIES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise SimtrainError(f"serve: {', '.join(missing)}: not installed; run: pip install 'simtrain[serve]'")
    if settings.token is not None and not settings.token.strip():
        raise SimtrainError("--token: is empty; give a word that others cannot guess, or leave it out")
    for host in settings.url_hosts:
        if not host or set("/@*? ") & set(host):
            raise SimtrainError(f"--url-host {host}: allowed: a host such as shop.example or shop.example:8443")
