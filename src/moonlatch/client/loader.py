"""`GET /loader/:script_id`: the script's loader as source text."""

from __future__ import annotations

import logging
from collections.abc import Callable

from moonlatch.client.replies import respond
from moonlatch.storage.interface import Database, StorageError
from moonlatch.storage.licences import loader_of, loader_source
from moonlatch.web.address import header
from moonlatch.web.socket import Scope, Send

TEXT = b"text/plain; charset=utf-8"
_REVALIDATE = (b"cache-control", b"no-cache")
_MISSING = (
    "This script does not exist, or has no version to run yet. Check the loader line, or ask the script's developer."
)
_UNAVAILABLE = "The server cannot be asked for this script at the moment. Try again in a minute."

logger = logging.getLogger(__name__)


class LoaderEndpoint:
    """Serves the loaders that updates have built; `missing_source` makes Lua that raises a message as an error."""

    def __init__(self, database: Database, missing_source: Callable[[str], bytes]) -> None:
        self._database = database
        self._missing = missing_source(_MISSING)
        self._unavailable = missing_source(_UNAVAILABLE)

    async def answer(self, scope: Scope, send: Send, script_id: str) -> int:
        """Send the loader, or Lua that says why there is none; gives the status."""
        try:
            return await self._answer(scope, send, script_id)
        except StorageError as error:
            logger.warning("no loader could be read: %s", type(error).__name__)
            await respond(send, 503, TEXT, self._unavailable, [_REVALIDATE])
            return 503

    async def _answer(self, scope: Scope, send: Send, script_id: str) -> int:
        # No database can be asked for a NUL.
        loader = None if "\0" in script_id else await loader_of(self._database, script_id)
        if loader is None:
            await respond(send, 404, TEXT, self._missing, [_REVALIDATE])
            return 404
        # A loader never changes after it was built, so its id is its entity tag.
        tag = f'"{loader}"'.encode()
        if _names(header(scope["headers"], b"if-none-match"), tag):
            await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", tag), _REVALIDATE]})
            await send({"type": "http.response.body", "body": b""})
            return 304
        source = await loader_source(self._database, script_id, loader)
        if source is None:  # the script was removed just now
            await respond(send, 404, TEXT, self._missing, [_REVALIDATE])
            return 404
        await respond(send, 200, TEXT, source, [(b"etag", tag), _REVALIDATE])
        return 200


def _names(condition: bytes | None, tag: bytes) -> bool:
    """Whether an `If-None-Match` (RFC 9110 section 13.1.2, weak comparison) names the tag."""
    if condition is None:
        return False
    tags = [one.strip().removeprefix(b"W/") for one in condition.split(b",")]
    return tag in tags or b"*" in tags
