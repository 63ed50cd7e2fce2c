"""Notes which of its own errors each endpoint answered while the tests ran, so that one that no test provokes is found.

Every process of a run writes into the folder that a variable names; the first of them reads it all at the end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "ANSWERED_IN_TESTS"

Answer = tuple[str, str, int, str]
"""Method, path template, code and message."""


def noting(application: Any) -> Any:
    """The ASGI application, whose own errors are noted. A test whose run has no folder notes nothing."""
    from moonlatch.management.routes import Route

    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return application
    notes = Path(folder) / f"{os.getpid()}.jsonl"

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        status = 0
        body = bytearray()

        async def sending(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status >= 400:
                body.extend(message.get("body", b""))
            await send(message)

        await application(scope, receive, sending)
        route = scope.get("route")
        if status >= 400 and isinstance(route, Route):
            error = json.loads(body)["error"]
            with notes.open("a") as file:
                file.write(json.dumps([scope["method"], route.path, error["code"], error["message"]]) + "\n")

    return noted


def answered(folder: Path) -> set[Answer]:
    """What was noted by all processes."""
    lines = (line for notes in folder.glob("*.jsonl") for line in notes.read_text().splitlines())
    return {(method, path, code, message) for method, path, code, message in map(json.loads, lines)}


def declared() -> set[Answer]:
    """What endpoints say they answer, beside the errors that every endpoint has."""
    return set(_declared())


def _declared() -> Iterator[Answer]:
    # Late, because every test process reads this module, and few of them anything of the API.
    from moonlatch.management.application import ROUTERS
    from moonlatch.management.routes import Route

    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, Route):
                for refusal in route.refusals.values():
                    for method in route.methods or ():
                        yield method, route.path, refusal.code, refusal.message
