"""`simtrain serve`: a bundle behind a JSON API and a search page."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from simtrain.commands.search import open_bundle
from simtrain.console import Console
from simtrain.errors import SimtrainError
from simtrain.own_code import code_allowed, is_code_allowed
from simtrain.serving.app.settings import ServeSettings
from simtrain.serving.bundle import Bundle
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.opened_bundle import OpenedBundle

_LIBRARIES = {"fastapi": "fastapi", "uvicorn": "uvicorn", "httpx2": "httpx2", "multipart": "python_multipart",
              "prometheus": "prometheus_client"}  # fmt: skip
_ELSEWHERE = ("milvus:",)
_SAMPLE = 64  # items whose pictures are looked for at the start


def given_to_serve(source: str, *, images: str | Path | None, signed_by: str | Path | None) -> GivenBundle:
    """The bundle that `serve` is asked for.

    Raises:
        SimtrainError: for anything else than a bundle, or a key that cannot be read.
    """
    if source.startswith(_ELSEWHERE):
        raise SimtrainError(f"serve: {source}: only bundles are served; give the folder of simtrain export")
    return GivenBundle.of(source, images=images, signed_by=signed_by)


def serve(given: GivenBundle, *, settings: ServeSettings, console: Console) -> None:
    """Answer searches until SIGTERM or Ctrl-C; a bundle that is replaced meanwhile takes over without a pause.

    Args:
        given: The bundle.
        settings: Address, token, hosts of URLs, limits.
        console: Is told the address and each replacement.

    Raises:
        SimtrainError: for a bundle that cannot be opened, an address that is taken, settings that cannot be, or
            libraries of the extra `serve` that are not installed.
    """
    _check(settings)
    from simtrain.serving.app.api import create_app
    from simtrain.serving.app.live_bundle import LiveBundle
    from simtrain.serving.app.metrics import ServiceMetrics
    from simtrain.serving.app.server import run_server

    folder, allowed, metrics = given.folder, is_code_allowed(), ServiceMetrics()

    def opening() -> OpenedBundle:  # also in the thread that watches the folder
        with code_allowed(allowed):
            return open_bundle(given)

    live = LiveBundle(folder=folder, opening=opening, limits=settings.limits, metrics=metrics, console=console)

    def ready(url: str) -> None:
        with live.use() as served:
            console.line(f"{served.opened}\nserving: {url}  (stop with Ctrl-C)")
            console.aside(_pictures_told(served.bundle, folder))

    run_server(create_app(live, settings=settings, metrics=metrics), settings=settings, ready=ready)
    console.aside("stopped")


def _pictures_told(bundle: Bundle, folder: Path) -> str:
    rows = range(0, len(bundle.items), max(1, len(bundle.items) // _SAMPLE))
    if any(bundle.pictures.within(str(bundle.items["path"].iat[row])) is not None for row in rows):
        return f"pictures: {bundle.pictures}"
    return f"pictures: not found{_looked_in(bundle)}; to show them: simtrain serve {folder} --images FOLDER"


def _looked_in(bundle: Bundle) -> str:
    return f" in {bundle.pictures}" if str(bundle.pictures) else ""


def _check(settings: ServeSettings) -> None:
    missing = [name for name, module in _LIBRARIES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise SimtrainError(f"serve: {', '.join(missing)}: not installed; run: pip install 'simtrain[serve]'")
    if settings.token is not None and not settings.token.strip():
        raise SimtrainError("--token: is empty; give a word that others cannot guess, or leave it out")
    for host in settings.url_hosts:
        if not host or set("/@*? ") & set(host):
            raise SimtrainError(f"--url-host {host}: allowed: a host such as shop.example or shop.example:8443")
