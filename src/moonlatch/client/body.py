"""Reads a request's body, as much as the protocol allows and no longer than a client may take."""

from __future__ import annotations

import asyncio

from moonlatch.client.replies import invalid
from moonlatch.web.bounds import BODY_SECONDS, MAX_BODY_BYTES
from moonlatch.web.socket import Receive

TOO_SLOW = f"the body did not arrive within {BODY_SECONDS} seconds"
TOO_LARGE = f"the body may have at most {MAX_BODY_BYTES} bytes"
_CLOSE = [(b"connection", b"close")]


class HungUpError(Exception):
    """The client hung up before its request was complete."""


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises RefusedError when it is too large or too slow, HungUpError when it will never come."""
    # `asyncio.timeout` in three lines; it has a task and a state of its own, and most bodies are here already.
    task = asyncio.current_task()
    assert task is not None
    timer = asyncio.get_running_loop().call_later(BODY_SECONDS, task.cancel, TOO_SLOW)
    try:
        return await _read(receive)
    except asyncio.CancelledError as cancelled:
        if cancelled.args != (TOO_SLOW,):
            raise
        task.uncancel()
        raise invalid(TOO_SLOW, headers=_CLOSE) from None
    finally:
        timer.cancel()


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise HungUpError
        part: bytes = message.get("body", b"")
        body = body + part if body else part
        if len(body) > MAX_BODY_BYTES:
            raise invalid(TOO_LARGE, 413, _CLOSE)
        if not message.get("more_body"):
            return body
