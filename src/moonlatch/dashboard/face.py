"""Serves the dashboard's files below `/dashboard/`: bare ASGI, from memory. Whatever the page does, it does by the management API."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.types import Receive, Scope, Send

from moonlatch.dashboard.assets import ENCODINGS, Asset, built_assets
from moonlatch.web.page_headers import encoded, page_headers

PATH = "/dashboard"

_GUARDED = encoded(
    page_headers(
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HTML = b"text/html; charset=utf-8"
_FOR_GOOD = b"public, max-age=31536000, immutable"
_ASKED_AGAIN = b"no-cache"

_NOT_BUILT = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Moonlatch: the dashboard is not built</title>
<h1>The dashboard is not built</h1>
<p>This server runs from a checkout in which the page was never built. Run <code>make dashboard</code> there, and start the server again.
It needs Node 18 or newer, or fetches one from PyPI by itself.</p>
<p>Everything else works: <a href="../docs">the management API</a>.</p>
"""

_REFUSED_ENCODING = re.compile(r";\s*q=0(\.0*)?\s*$")


def is_below(path: str) -> bool:
    """Return whether a request's path is the dashboard's."""
    return path.startswith(PATH) and path[len(PATH) : len(PATH) + 1] in ("", "/")


class Dashboard:
    """The page as an ASGI application for the paths below `/dashboard`."""

    def __init__(self, assets: Mapping[str, Asset] | None = None) -> None:
        """`assets` is by default what was built into the package."""
        self._assets = built_assets() if assets is None else assets

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        path: str = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            await _say(scope, send, 405, b"only GET and HEAD\n", (b"allow", b"GET, HEAD"))
        elif path == PATH:
            # A relative address stays below a proxy's path.
            await _say(scope, send, 308, b"", (b"location", b"dashboard/"))
        elif not self._assets:
            await _say(scope, send, 503, _NOT_BUILT, (b"content-type", _HTML))
        elif asset := self._assets.get(path[len(PATH) + 1 :]):
            await _give(asset, scope, send)
        else:
            await _say(scope, send, 404, b"there is no such file\n")


async def _give(asset: Asset, scope: Scope, send: Send) -> None:
    headers = dict(scope["headers"])
    common = [
        (b"etag", asset.etag),
        (b"cache-control", _FOR_GOOD if asset.is_immutable else _ASKED_AGAIN),
        (b"vary", b"accept-encoding"),
        *_GUARDED,
    ]
    if asset.etag in headers.get(b"if-none-match", b""):
        await _send(scope, send, 304, b"", common)
        return
    common.append((b"content-type", asset.content_type))
    accepted = _accepted(headers.get(b"accept-encoding", b""))
    for encoding, _ in ENCODINGS:
        if encoding in accepted and encoding in asset.encoded:
            common.append((b"content-encoding", encoding.encode()))
            await _send(scope, send, 200, asset.encoded[encoding], common)
            return
    await _send(scope, send, 200, asset.body, common)


async def _say(scope: Scope, send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """A few words in place of a file."""
    told = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store", **dict(headers)}
    await _send(scope, send, status, body, [*told.items(), *_GUARDED])


def _accepted(header: bytes) -> set[str]:
    """The encodings that a client takes (RFC 9110 section 12.5.3)."""
    accepted = set()
    for part in header.decode("latin-1").lower().split(","):
        name = part.partition(";")[0].strip()
        if name and not _REFUSED_ENCODING.search(part):
            accepted.add(name)
    return accepted


async def _send(scope: Scope, send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = [] if status == 304 else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
