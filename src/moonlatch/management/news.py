"""What is new in a project: once, or as a stream of server-sent events for pages that follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from moonlatch.licensing.roles import Permission
from moonlatch.management.auth import CurrentCaller
from moonlatch.management.backend import Backend, CurrentBackend
from moonlatch.management.identity import Caller
from moonlatch.management.newsroom import News, look
from moonlatch.management.owned import OwnedProject
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations.context import Actor
from moonlatch.operations.refusals import NotAllowed
from moonlatch.operations.standing import still_standing
from moonlatch.storage.projects import Project

router = resource_router("events")

EVENT_STREAM = "text/event-stream"
STREAM_SECONDS = 60.0
"""Then it ends, and whoever comes again begins anew."""

ASK_AGAIN_SECONDS = 5.0
"""What is told later than this after it was last looked up whether its reader may know it waits for another look."""

SIGN_OF_LIFE_SECONDS = 15.0
RETRY_MS = 2000
_STREAMED: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}}


class ScriptNewsView(Reply):
    """How many copies of a script are alive, and its newest session."""

    model_config = example(id="SCRIPT_ID", sessions=2, instances=3, newest_session="SESSION_ID")

    id: str
    sessions: int
    instances: int
    newest_session: str | None = Field(description="its id; null also for those who may not see sessions")


class NewsView(Reply):
    """How a project is now, for up to 100 of its scripts."""

    model_config = example(
        event="EVENT_ID", scripts=[{"id": "SCRIPT_ID", "sessions": 2, "instances": 3, "newest_session": "SESSION_ID"}]
    )

    event: str | None = Field(description="id of its latest event; null also for those who may not read events")
    scripts: list[ScriptNewsView]


class NewsReply(Success):
    news: NewsView


@router.get(
    "/projects/{project_id}/news",
    summary="Follow a project",
    responses=_STREAMED,
    openapi_extra=needs(Permission.SCRIPTS_READ),
)
async def get_news(
    request: Request, project: OwnedProject, caller: CurrentCaller, backend: CurrentBackend
) -> NewsReply:
    """With `Accept: text/event-stream` the answer is a stream that says the same again whenever it changes, for a minute."""
    if EVENT_STREAM in request.headers.get("accept", ""):
        return cast("NewsReply", await _stream(backend, caller, project))
    news = await look(backend.database, backend.live, caller.account.id, project.id)
    return NewsReply(news=NewsView(**msgspec.to_builtins(_shown(news, caller.actor))))


def _shown(news: News, actor: Actor) -> News:
    """What somebody may know of the news."""
    if not actor.may(Permission.EVENTS_READ):
        news = msgspec.structs.replace(news, event=None)
    if not actor.may(Permission.SESSIONS_READ):
        without = [msgspec.structs.replace(each, newest_session=None) for each in news.scripts]
        news = msgspec.structs.replace(news, scripts=without)
    return news


async def _still_reading(backend: Backend, actor: Actor, project: Project) -> Actor | None:
    """The reader with what they may now; None for one who may no longer read this."""
    try:
        now = await still_standing(backend.database, actor, now=backend.clock())
    except NotAllowed:
        return None
    return now if now.may(Permission.SCRIPTS_READ) and now.reaches(project.id) else None


async def _stream(backend: Backend, caller: Caller, project: Project) -> StreamingResponse:
    lines = _lines(backend, caller, project)
    first = await anext(lines)  # what is refused is refused before anything is sent

    async def all_of_it() -> AsyncIterator[bytes]:
        try:
            yield first
            async for line in lines:
                yield line
        finally:
            await lines.aclose()  # type: ignore[attr-defined]

    # A proxy that collects answers before it passes them on would pass on nothing for a minute.
    return StreamingResponse(all_of_it(), media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"})


async def _lines(backend: Backend, caller: Caller, project: Project) -> AsyncIterator[bytes]:
    known: News | None = None
    said: News | None = None
    loop = asyncio.get_running_loop()
    actor, asked_at = caller.actor, loop.time()
    end = asked_at + STREAM_SECONDS
    async with backend.newsroom.reading(caller.account.id, project.id) as after:
        yield f"retry: {RETRY_MS}\n\n".encode()
        while (left := end - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left, SIGN_OF_LIFE_SECONDS)):
                    known = await after(known)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if known is None:
                return
            if loop.time() - asked_at >= ASK_AGAIN_SECONDS:
                still = await _still_reading(backend, actor, project)
                if still is None:
                    return
                actor, asked_at = still, loop.time()
            shown = _shown(known, actor)
            if shown != said:
                said = shown
                yield b"event: news\ndata: " + msgspec.json.encode(shown) + b"\n\n"
