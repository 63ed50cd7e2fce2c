"""Counts the answers of an application that does not count them itself."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from moonlatch.clock import monotonic_seconds
from moonlatch.metrics.counts import Traffic

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_GONE = 499
"""Of a peer that hung up before it was answered."""


def counted(app: ASGIApp, traffic: Traffic, route_of: Callable[[str], str]) -> ASGIApp:
    """The application with its answers in `traffic`. `route_of` gives the template that a path is of, and nothing of the path."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        began, status = monotonic_seconds(), _GONE

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, sending)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            traffic.route(method, route_of(scope["path"])).add(status, monotonic_seconds() - began)

    return answer
