"""Guard of the service: who may ask, how much they may send and how long that may take, and headers of every answer."""

import asyncio
import hmac
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.settings import ServeSettings

COOKIE = "simtrain_token"
ROUTES = ("/", "/page.css", "/page.js", "/health", "/ready", "/metrics", "/openapi.json")
"""Paths that metrics name, besides those below /api/."""

_OPEN = ("/health", "/ready")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_BESIDE_THE_PICTURE = 64 * 1024  # bytes of a request
_READ_ON = 4  # times the limit: so much more is read and thrown away, so that the client reads why it was refused
_BODIES = 16  # times the limit: of all bodies together that are held
_UNAUTHORISED, _FORBIDDEN, _TIMEOUT, _TOO_LARGE, _MISDIRECTED, _BUSY = 401, 403, 408, 413, 421, 503
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_ASK = """<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Token</title>
<h1>This search asks for its token</h1><p>It was printed, or chosen, where the service was started.</p>
<form method="get" action="/"><label>Token <input type="password" name="token" required></label> <button>Open</button>
</form></html>"""


class Guard:
    """ASGI middleware around the whole service.

    Args:
        app: The service.
        settings: Token, hosts, bounds.
        metrics: Counts every request.
    """

    def __init__(self, app: ASGIApp, *, settings: ServeSettings, metrics: ServiceMetrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._held = 0  # bytes of all bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on with its body read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
        else:
            await self._with_body(scope, receive, send_guarded)
        path = scope["path"]
        route = path if path in ROUTES or path in self._api_paths(scope) else "other"
        self._metrics.answered(route, status=status, seconds=time.perf_counter() - began)

    def _api_paths(self, scope: Scope) -> tuple[str, ...]:
        route = scope.get("route")  # set where one was found, so that strangers' paths are not kept
        return (route.path,) if route is not None else ()

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if self._settings.host in _LOOPBACK and _host_name(headers.get("host", "")) not in _LOOPBACK:
            return _refused("host: this service listens on this machine alone", status=_MISDIRECTED)
        if path.startswith("/api/") and headers.get("sec-fetch-site", "") in ("cross-site", "same-site"):
            return _refused("pages of other sites may not ask", status=_FORBIDDEN)
        token = self._settings.token
        if token is None or path in _OPEN:
            return None
        if path == "/" and (given := parse_qs(scope["query_string"].decode("latin-1")).get("token")):
            if _equal(given[0], token):
                answer = RedirectResponse("/", status_code=303)
                answer.set_cookie(COOKIE, quote(token, safe=""), httponly=True, samesite="strict")
                return answer
        elif _equal(_bearer(headers), token) or _equal(_cookie(headers), quote(token, safe="")):
            return None
        if path == "/":
            return HTMLResponse(_ASK, status_code=_UNAUTHORISED)
        refusal = _refused("token: missing or wrong; send it as: Authorization: Bearer TOKEN", status=_UNAUTHORISED)
        refusal.headers["www-authenticate"] = "Bearer"
        return refusal

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._settings.limits.seconds):
                    await self._read(scope, receive, body)
            except TimeoutError:
                seconds = self._settings.limits.seconds
                raise RequestError(f"the request took longer than {seconds:g} s to send", status=_TIMEOUT) from None
            replayed = False

            async def receive_read() -> Message:
                nonlocal replayed
                if replayed:
                    return await receive()
                replayed = True
                return {"type": "http.request", "body": bytes(body), "more_body": False}

            await self._app(scope, receive_read, send)
        except RequestError as error:
            refusal = _refused(str(error), status=error.status)
            refusal.headers["connection"] = "close"
            await refusal(scope, receive, send)
        except ConnectionError:  # the client has gone; nobody reads an answer
            return
        finally:
            self._held -= len(body)

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> None:
        """Read the body, as far as it is within bounds; the rest is thrown away."""
        allowed = self._settings.limits.upload_bytes + _BESIDE_THE_PICTURE
        declared = Headers(scope=scope).get("content-length", "")
        total, refusal = 0, None
        if declared.isdigit() and int(declared) > _READ_ON * allowed:
            raise self._too_large()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ConnectionError
            part = message.get("body", b"")
            total += len(part)
            if total > _READ_ON * allowed:
                raise refusal or self._too_large()
            if total > allowed:
                refusal = refusal or self._too_large()
            elif self._held + len(part) > _BODIES * allowed:
                refusal = refusal or RequestError("too many uploads at a time; try again in a moment", status=_BUSY)
            if refusal is None:
                body += part
                self._held += len(part)
            if not message.get("more_body", False):
                break
        if refusal is not None:
            raise refusal

    def _too_large(self) -> RequestError:
        megabytes = self._settings.limits.upload_bytes / 1e6
        return RequestError(f"the request is too large; allowed: an image of up to {megabytes:g} MB", status=_TOO_LARGE)


def _refused(message: str, *, status: int) -> Response:
    return JSONResponse({"error": message}, status_code=status)


def _host_name(host: str) -> str:
    """Without the port, and without the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _bearer(headers: Headers) -> str:
    scheme, _, word = headers.get("authorization", "").partition(" ")
    return word.strip() if scheme.lower() == "bearer" else ""


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
