"""The service: its JSON API and the files of its page."""

import asyncio
import importlib.resources
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, File, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import SimtrainError
from simtrain.serving.app.decoding import DecodingProcesses
from simtrain.serving.app.guard import Guard
from simtrain.serving.app.live_bundle import LiveBundle
from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.pictures import small_picture
from simtrain.serving.app.queries import PictureQuery, SearchParameters, answer, relevance
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.served_bundle import ServedBundle
from simtrain.serving.app.settings import ServeSettings
from simtrain.serving.app.url_images import fetch_image
from simtrain.serving.opened_bundle import neighbour_record
from simtrain.version import VERSION

_PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_WRONG, _BUSY, _ENDING = 422, 503, 503
_POLL_SECONDS, _LONGEST_POLL_SECONDS = 1.0, 60.0
_DECODING_THREADS = 4
_PICTURE_SECONDS = 300  # that a browser keeps a picture


def create_app(live: LiveBundle, *, settings: ServeSettings, metrics: ServiceMetrics) -> Guard:
    """The service over a bundle, as an ASGI application.

    Args:
        live: The bundle; closed when the service ends.
        settings: Who may ask, and for what.
        metrics: Counts requests.
    """
    decoding = DecodingProcesses(count=_DECODING_THREADS, limits=settings.limits)
    app = FastAPI(
        title="simtrain serve", version=VERSION, lifespan=_life_of(live, decoding), docs_url=None, redoc_url=None
    )  # FastAPI's own pages of documentation load assets of other sites
    threads = ThreadPoolExecutor(max_workers=_DECODING_THREADS, thread_name_prefix="decoding")
    _add_errors(app)
    _add_page(app)
    _add_state(app, live, metrics)
    _add_search(app, live, settings, _Decoding(processes=decoding, threads=threads))
    _add_items(app, live, settings, threads)
    return Guard(app, settings=settings, metrics=metrics)


@dataclass(frozen=True, kw_only=True)
class _Decoding:
    """Processes that decode strangers' pictures, and a thread for each, which waits for it."""

    processes: DecodingProcesses
    threads: ThreadPoolExecutor

    async def pixels(self, data: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
        """(S, S, 3), prepared for an encoder."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, self.processes.pixels, data, preprocessing)


def _life_of(live: LiveBundle, decoding: DecodingProcesses) -> Any:
    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        with live.use() as served:
            await asyncio.to_thread(decoding.start, served.bundle.preprocessing)
        watching = asyncio.create_task(_watch(live))
        yield
        app.state.ending = True
        watching.cancel()
        await asyncio.to_thread(live.close)
        await asyncio.to_thread(decoding.close)

    return life


async def _watch(live: LiveBundle) -> None:
    """Look for another bundle every second; less and less often while one is there that cannot be opened."""
    pause = _POLL_SECONDS
    while True:
        await asyncio.sleep(pause)
        settled = await asyncio.to_thread(live.reload)
        pause = _POLL_SECONDS if settled else min(2 * pause, _LONGEST_POLL_SECONDS)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> JSONResponse:
        headers = {"retry-after": "1"} if error.status == _BUSY else None
        return JSONResponse({"error": str(error)}, status_code=error.status, headers=headers)

    @app.exception_handler(SimtrainError)
    async def not_answered(_: Request, error: SimtrainError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=_WRONG)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return JSONResponse({"error": f"{name}: {first['msg']}"}, status_code=_WRONG)

    @app.exception_handler(HTTPException)
    async def not_there(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, status_code=error.status_code, headers=error.headers)


def _add_page(app: FastAPI) -> None:
    folder = importlib.resources.files("simtrain.serving.app") / "page"
    for path, (name, media_type) in _PAGE.items():
        app.get(path, include_in_schema=False)(_constant((folder / name).read_bytes(), media_type=media_type))


def _constant(content: bytes, *, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def page() -> Response:
        return Response(content, media_type=media_type)

    return page


def _add_state(app: FastAPI, live: LiveBundle, metrics: ServiceMetrics) -> None:
    @app.get("/health", summary="Whether the process answers.")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Whether searches are answered.")
    async def ready() -> JSONResponse:
        if getattr(app.state, "ending", False):
            return JSONResponse({"status": "ending"}, status_code=_ENDING)
        with live.use() as served:
            return JSONResponse({"status": "ready", "items": await served.asked(served.items.count)})

    @app.get("/metrics", summary="Figures for Prometheus.")
    async def figures() -> Response:
        with live.use() as served:
            try:
                items: float = await served.asked(served.items.count)
            except RequestError:  # Milvus does not answer; the other figures are told
                items = math.nan
            text = metrics.text(waiting=served.waiting, items=items)
        return Response(text, media_type="text/plain; version=0.0.4")


def _add_search(app: FastAPI, live: LiveBundle, settings: ServeSettings, decoding: _Decoding) -> None:
    limits = settings.limits

    async def picture_of(served: ServedBundle, data: bytes, kind: str) -> PictureQuery:
        pixels = await decoding.pixels(data, served.bundle.preprocessing)
        return PictureQuery(kind=kind, pixels=pixels, item=None)

    async def searched(parameters: SearchParameters, image: UploadFile | None) -> dict[str, Any]:
        if parameters.k > limits.results:
            raise RequestError(f"k: allowed: 1 to {limits.results}", status=_WRONG)
        if sum(given is not None for given in (image, parameters.url, parameters.id)) > 1:
            raise RequestError("give one of image, url and id", status=_WRONG)
        with live.use() as served:
            picture = None
            if image is not None:
                picture = await picture_of(served, await image.read(), "image")
            elif parameters.url is not None:
                picture = await picture_of(served, await fetch_image(parameters.url, settings=settings), "url")
            elif parameters.id is not None:
                picture = PictureQuery(kind="item", pixels=None, item=parameters.id)
            return await answer(served, parameters, picture=picture)

    async def in_time(parameters: SearchParameters, image: UploadFile | None) -> dict[str, Any]:
        try:
            async with asyncio.timeout(limits.seconds):
                return await searched(parameters, image)
        except TimeoutError:
            raise RequestError(f"not answered within {limits.seconds:g} s; try again later", status=_BUSY) from None

    @app.get("/api/search", summary="Search by an item, a text, a URL, or by text and one of the others.")
    async def search(parameters: Annotated[SearchParameters, Query()]) -> dict[str, Any]:
        return await in_time(parameters, None)

    @app.post("/api/search", summary="Search by an uploaded image, or by it and a text.")
    async def search_by_upload(
        parameters: Annotated[SearchParameters, Query()], image: Annotated[UploadFile, File()]
    ) -> dict[str, Any]:
        return await in_time(parameters, image)


def _add_items(app: FastAPI, live: LiveBundle, settings: ServeSettings, threads: ThreadPoolExecutor) -> None:
    @app.get("/api/bundle", summary="What is searched: items, columns, thresholds, limits.")
    async def bundle() -> dict[str, Any]:
        with live.use() as served:
            return {
                "name": served.items.name,
                "items": await served.asked(served.items.count),
                "encoder": served.bundle.encoder_config["kind"],
                "fingerprint": served.bundle.fingerprint,
                "reads_texts": served.no_texts is None,
                "no_texts": served.no_texts,
                "relevance": relevance(served),
                "thresholds": [asdict(promised) for promised in served.bundle.promises],
                "columns": [asdict(column) for column in await served.asked(served.items.columns)],
                "url_hosts": list(settings.url_hosts),
                "limits": {
                    "upload_bytes": settings.limits.upload_bytes,
                    "pixels": settings.limits.pixels,
                    "results": settings.limits.results,
                },
            }

    @app.get("/api/item", summary="An item's columns.")
    async def item(id: Annotated[str, Query(max_length=1000)]) -> dict[str, Any]:  # noqa: A002 - the parameter's name
        with live.use() as served:
            found = await served.asked(lambda: served.items.item(id))
            record = neighbour_record(found)
        return {name: value for name, value in record.items() if name not in ("rank", "similarity", "precision")}

    @app.get("/api/picture", summary="An item's picture as a small JPEG.", response_class=Response)
    async def picture(
        id: Annotated[str, Query(max_length=1000)],  # noqa: A002 - the parameter's name
        side: Annotated[int, Query(ge=16, le=1024)] = 320,
    ) -> Response:
        loop = asyncio.get_running_loop()
        with live.use() as served:
            file = await served.asked(lambda: served.items.picture(id))
        content = await loop.run_in_executor(threads, lambda: small_picture(file, side=side))
        return Response(
            content, media_type="image/jpeg", headers={"cache-control": f"private, max-age={_PICTURE_SECONDS}"}
        )
