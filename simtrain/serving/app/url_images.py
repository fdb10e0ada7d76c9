"""Fetching of a query picture from a URL, of hosts that the operator allows."""

from urllib.parse import urlsplit

import httpx2

from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.settings import ServeSettings

_FORBIDDEN, _TOO_LARGE, _NOT_FETCHED, _OK = 403, 413, 422, 200


async def fetch_image(url: str, *, settings: ServeSettings) -> bytes:
    """The content of a URL; no redirect is followed, and no password, cookie or proxy of this machine is used.

    Args:
        url: http or https, of an allowed host.
        settings: Allowed hosts, and bounds of bytes and seconds.

    Raises:
        RequestError: 403 for a host that is not allowed, 413 for too many bytes, 422 for what cannot be fetched.
    """
    host = _checked_host(url, allowed=settings.url_hosts)
    limits, content = settings.limits, bytearray()
    try:
        async with (
            httpx2.AsyncClient(timeout=limits.seconds, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url, headers={"accept-encoding": "identity"}) as response,
        ):
            if response.status_code != _OK:
                raise RequestError(f"url: {host} answered with status {response.status_code}", status=_NOT_FETCHED)
            async for part in response.aiter_raw():
                content += part
                if len(content) > limits.upload_bytes:
                    raise RequestError(
                        f"url: more than {limits.upload_bytes / 1e6:g} MB, which is the limit", status=_TOO_LARGE
                    )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise RequestError(f"url: cannot be fetched: {type(error).__name__}", status=_NOT_FETCHED) from None
    return bytes(content)


def _checked_host(url: str, *, allowed: tuple[str, ...]) -> str:
    if not allowed:
        raise RequestError("url: this service fetches no URLs; upload the picture", status=_FORBIDDEN)
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "") + (f":{parts.port}" if parts.port is not None else "")
    except ValueError:
        raise RequestError("url: not a URL", status=_NOT_FETCHED) from None
    if parts.scheme not in ("http", "https") or parts.username is not None or host not in allowed:
        raise RequestError(f"url: allowed: http or https of {', '.join(allowed)}", status=_FORBIDDEN)
    return host
