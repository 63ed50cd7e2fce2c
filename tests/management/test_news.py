"""What is new in a project: told at once, and as a stream whenever it changes, to those who may know, and not without end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from moonlatch.licensing.roles import Role
from moonlatch.management import news
from support.management import Api, Developer, done
from support.members import signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAM = {"Accept": "text/event-stream"}


@asynccontextmanager
async def stream(me: Developer, project: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The news as they are told."""
    headers = {"token": me.token, **STREAM}
    async with me.http.stream("GET", f"/projects/{project}/news", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"

        async def told() -> AsyncIterator[dict[str, Any]]:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

        yield told()


async def soon(told: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    return await asyncio.wait_for(anext(told), 20)


async def test_news_are_told_at_once_and_whenever_something_is_done(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    script = await me.new_script(project)
    first = done(await me.get(f"/projects/{project}/news"))["news"]
    assert first["scripts"] == [{"id": script, "sessions": 0, "instances": 0, "newest_session": None}]
    async with stream(me, project) as told:
        assert await soon(told) == first
        done(await me.post(f"/projects/{project}/edit", {"name": "Another"}))
        second = await soon(told)
        assert second["event"] != first["event"]
        latest = done(await me.get(f"/projects/{project}/events", params={"limit": 1}))["events"]
        assert second["event"] == latest[0]["id"]


async def test_who_comes_and_goes_is_told(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    client = await api.running_script(project, free_for_all=True)
    async with stream(me, project) as told:
        assert (await soon(told))["scripts"][0]["sessions"] == 0
        wire = await api.session(client)
        news = await soon(told)
        while news["scripts"][0]["sessions"] == 0:
            news = await soon(told)
        (session,) = done(await me.post(f"/scripts/{client.script}/sessions"))["sessions"]
        assert news["scripts"] == [
            {"id": client.script, "sessions": 1, "instances": 1, "newest_session": session["id"]}
        ]
        await wire.socket.close()
        while news["scripts"][0]["sessions"] == 1:
            news = await soon(told)


async def test_it_is_anothers_only_like_anything_else_and_events_only_for_who_may_read_them(api: Api) -> None:
    me, other = await api.developer(), await api.developer()
    project = await me.new_project()
    assert (await other.get(f"/projects/{project}/news", headers=STREAM)).status_code == 404
    reader = Developer(me.account, await api.token(me.account, permissions=("scripts:read",)), api.http)
    assert done(await reader.get(f"/projects/{project}/news"))["news"]["event"] is None
    async with stream(reader, project) as told:
        assert (await soon(told))["event"] is None
    nobody = Developer(me.account, await api.token(me.account, permissions=("events:read",)), api.http)
    assert (await nobody.get(f"/projects/{project}/news", headers=STREAM)).status_code == 403


async def test_sessions_are_named_only_to_who_may_see_them(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    await api.session(await api.running_script(project, free_for_all=True))
    assert done(await me.get(f"/projects/{project}/news"))["news"]["scripts"][0]["newest_session"] is not None
    reader = Developer(me.account, await api.token(me.account, permissions=("scripts:read",)), api.http)
    (script,) = done(await reader.get(f"/projects/{project}/news"))["news"]["scripts"]
    assert (script["sessions"], script["newest_session"]) == (1, None)


@pytest.mark.parametrize("change", [{"disabled": True}, {"projects": True}, {"role": "viewer"}], ids=str)
async def test_whoever_may_no_longer_read_is_told_nothing_more(
    api: Api, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.setattr(news, "ASK_AGAIN_SECONDS", 0)
    me = await api.developer()
    project, other = await me.new_project(), await me.new_project("Other")
    if "projects" in change:
        change = {"projects": [other]}
    admin = await signed_in(api, me.account, Role.ADMIN)
    made = done(await admin.post("/account/tokens", {"name": "bot", "permissions": ["scripts:read", "tokens:read"]}))
    async with stream(Developer(me.account, made["secret"], api.http), project) as told:
        await soon(told)
        done(await me.post(f"/members/{admin.member_id}/edit", change))
        await api.session(await api.running_script(project, free_for_all=True))
        if "role" in change:  # a viewer reads scripts too
            assert len((await soon(told))["scripts"]) == 1
        else:
            with pytest.raises(StopAsyncIteration):
                await soon(told)


async def test_a_stream_ends_by_itself_and_frees_its_place(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    me = await api.developer()
    project = await me.new_project()
    monkeypatch.setattr(news, "STREAM_SECONDS", 0.3)
    async with stream(me, project) as told:
        await soon(told)
        with pytest.raises(StopAsyncIteration):
            await soon(told)
    assert api.app.state.backend.newsroom.readers == 0


async def test_one_stream_too_many_is_refused_and_one_that_was_left_makes_room(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    newsroom = api.app.state.backend.newsroom
    async with stream(me, project) as first:
        await soon(first)
        newsroom.max_readers_of_account = 1
        try:
            answer = await me.get(f"/projects/{project}/news", headers=STREAM)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
            await first.aclose()  # type: ignore[attr-defined]
        finally:
            newsroom.max_readers_of_account = 30
    for _ in range(200):
        if newsroom.readers == 0:
            break
        await asyncio.sleep(0.05)
    assert newsroom.readers == 0
    async with stream(me, project) as again:
        await soon(again)


async def test_a_server_that_stops_lets_its_readers_go(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    readiness = api.app.state.backend.readiness
    async with stream(me, project) as told:
        await soon(told)
        readiness.is_draining = True
        try:
            with pytest.raises(StopAsyncIteration):
                await soon(told)
        finally:
            readiness.is_draining = False
