"""`GET /loader/:script_id`: the script's loader as source text."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Callable
from typing import NamedTuple

from moonlatch.client.kept import Kept
from moonlatch.client.replies import respond
from moonlatch.storage.interface import Database, StorageError
from moonlatch.storage.licences import loader_of, loader_source
from moonlatch.web.address import header
from moonlatch.web.socket import Scope, Send

TEXT = b"text/plain; charset=utf-8"
_REVALIDATE = (b"cache-control", b"no-cache")
_VARY = (b"vary", b"accept-encoding")
_GZIP = (b"content-encoding", b"gzip")
MAX_KEPT_BYTES = 32 * 1024 * 1024
_MISSING = (
    "This script does not exist, or has no version to run yet. Check the loader line, or ask the script's developer."
)
_UNAVAILABLE = "The server cannot be asked for this script at the moment. Try again in a minute."
_TOO_MANY = "Too many loaders were fetched from your network. Try again in {} seconds."

logger = logging.getLogger(__name__)


class _Source(NamedTuple):
    """A loader's text, and the same in gzip (RFC 1952)."""

    plain: bytes
    compressed: bytes


class LoaderEndpoint:
    """Serves the loaders that updates have built; `missing_source` makes Lua that raises a message as an error."""

    def __init__(self, database: Database, missing_source: Callable[[str], bytes]) -> None:
        self._database = database
        self._missing_source = missing_source
        self._missing = missing_source(_MISSING)
        self._unavailable = missing_source(_UNAVAILABLE)
        self._kept: Kept[tuple[str, str], _Source] = Kept(
            MAX_KEPT_BYTES, lambda source: len(source.plain) + len(source.compressed)
        )

    async def answer(self, scope: Scope, send: Send, script_id: str) -> int:
        """Send the loader, or Lua that says why there is none; gives the status."""
        try:
            return await self._answer(scope, send, script_id)
        except StorageError as error:
            logger.warning("no loader could be read: %s", type(error).__name__)
            await respond(send, 503, TEXT, self._unavailable, [_REVALIDATE])
            return 503

    async def refuse(self, send: Send, retry_after_seconds: int) -> int:
        """Send Lua that says that this is one too many; gives the status."""
        wait = b"%d" % retry_after_seconds
        source = self._missing_source(_TOO_MANY.format(retry_after_seconds))
        await respond(send, 429, TEXT, source, [(b"retry-after", wait), (b"cache-control", b"no-store")])
        return 429

    async def _answer(self, scope: Scope, send: Send, script_id: str) -> int:
        # No database can be asked for a NUL.
        loader = None if "\0" in script_id else await loader_of(self._database, script_id)
        if loader is None:
            await respond(send, 404, TEXT, self._missing, [_REVALIDATE])
            return 404
        # A loader never changes after it was built, so its id is its entity tag; compressed it is another representation.
        plain, compressed = f'"{loader}"'.encode(), f'"{loader}-gzip"'.encode()
        is_compressed = _takes_gzip(header(scope["headers"], b"accept-encoding"))
        headers = [(b"etag", compressed if is_compressed else plain), _REVALIDATE, _VARY]
        if _names(header(scope["headers"], b"if-none-match"), plain, compressed):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return 304
        source = await self._source(script_id, loader)
        if source is None:  # the script was removed just now
            await respond(send, 404, TEXT, self._missing, [_REVALIDATE])
            return 404
        if is_compressed:
            await respond(send, 200, TEXT, source.compressed, [*headers, _GZIP])
        else:
            await respond(send, 200, TEXT, source.plain, headers)
        return 200

    async def _source(self, script_id: str, loader: str) -> _Source | None:
        kept = self._kept.get((script_id, loader))
        if kept is not None:
            return kept
        plain = await loader_source(self._database, script_id, loader)
        if plain is None:
            return None
        source = _Source(plain, await asyncio.to_thread(gzip.compress, plain))
        self._kept.put((script_id, loader), source)
        return source


def _takes_gzip(accepted: bytes | None) -> bool:
    """Return whether an `Accept-Encoding` (RFC 9110 section 12.5.3) names gzip, and not as what is unwanted."""
    for one in (accepted or b"").lower().split(b","):
        name, _, weight = one.partition(b";")
        if name.strip() in (b"gzip", b"x-gzip"):
            return weight.replace(b" ", b"").removeprefix(b"q=").strip(b"0.") != b"" or not weight.strip()
    return False


def _names(condition: bytes | None, *known: bytes) -> bool:
    """Return whether an `If-None-Match` (RFC 9110 section 13.1.2, weak comparison) names one of these tags."""
    if condition is None:
        return False
    tags = [one.strip().removeprefix(b"W/") for one in condition.split(b",")]
    return any(tag in tags for tag in (*known, b"*"))
