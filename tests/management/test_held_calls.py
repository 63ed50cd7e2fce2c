"""Calls that are begun while somebody may act, and end when they may no longer: who is calling is known from the head, and the body comes later."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from moonlatch.licensing.roles import Role
from moonlatch.web.origin import Place
from support.management import Api, Developer, done
from support.members import Browser, signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

Finish = Callable[[], Awaitable[tuple[int, Any]]]


def head_of(who: Developer) -> dict[str, str]:
    """What shows who is calling."""
    if isinstance(who, Browser):
        return {"Cookie": f"{Place.LOCAL.value}={who.token}", "Origin": who.origin, "X-CSRF-Token": who.csrf}
    return {"token": who.token}


@contextlib.asynccontextmanager
async def held(api: Api, who: Developer, path: str, body: Any) -> AsyncIterator[Finish]:
    """A call that was let in and whose body the server waits for; gives what sends it, for the status and the reply."""
    where = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    content = json.dumps(body).encode()
    headers = {
        "Host": where.netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "Expect": "100-continue",
        "Connection": "close",
        **head_of(who),
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    # It is asked for when the server reads the body, so behind everything that the head decides.
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")

    async def finish() -> tuple[int, Any]:
        writer.write(content)
        answered, _, reply = (await reader.read()).partition(b"\r\n\r\n")
        return int(answered.split()[1]), json.loads(reply)

    try:
        yield finish
    finally:
        writer.close()


def of_oneself(browser: Browser) -> str:
    return f"/members/{browser.member_id}/edit"


async def test_whoever_was_disabled_meanwhile_does_not_enable_themselves(api: Api, me: Developer) -> None:
    admin = await signed_in(api, me.account, Role.ADMIN)
    async with held(api, admin, of_oneself(admin), {"disabled": False}) as finish:
        done(await me.post(of_oneself(admin), {"disabled": True}))
        status, reply = await finish()
    assert (status, reply["error"]["failed"]) == (403, ["the session has ended: sign in again"])
    assert done(await me.get(f"/members/{admin.member_id}"))["member"]["state"] == "disabled"


async def test_whoever_was_removed_meanwhile_invites_nobody(api: Api, me: Developer) -> None:
    admin = await signed_in(api, me.account, Role.ADMIN)
    body = {"name": "An accomplice", "sign_in_name": admin.session_id, "role": "admin"}
    async with held(api, admin, "/members", body) as finish:
        done(await me.post(f"/members/{admin.member_id}/remove", {}))
        assert (await finish())[0] == 403
    assert done(await me.get("/members"))["members"] == []


async def test_whoever_was_signed_out_meanwhile_chooses_no_password(api: Api, me: Developer) -> None:
    thief = await signed_in(api, me.account, Role.VIEWER)
    async with held(api, thief, "/me/password", {"password": "the horse of a thief"}) as finish:
        done(await me.post(f"/members/{thief.member_id}/sign_out", {}))
        assert (await finish())[0] == 403
    kinds = [each["kind"] for each in done(await me.get("/events"))["events"]]
    assert "member.password_changed" not in kinds


async def test_whoever_was_lowered_meanwhile_may_what_they_may_now(api: Api, me: Developer, project: str) -> None:
    admin = await signed_in(api, me.account, Role.ADMIN)
    async with held(api, admin, "/projects", {"name": "One more"}) as finish:
        done(await me.post(of_oneself(admin), {"role": "viewer"}))
        status, reply = await finish()
    assert (status, reply["error"]["failed"]) == (403, ["this needs the permission projects:write"])
    other = await signed_in(api, me.account, Role.ADMIN)
    elsewhere = await me.new_project("Elsewhere")
    async with held(api, other, f"/projects/{elsewhere}/edit", {"name": "Mine"}) as finish:
        done(await me.post(of_oneself(other), {"projects": [project]}))
        assert (await finish())[0] == 404


async def test_a_token_that_was_revoked_meanwhile_makes_no_other(api: Api, me: Developer) -> None:
    made = done(await me.post("/account/tokens", {"name": "leaked"}))
    leaked = Developer(me.account, made["secret"], me.http)
    async with held(api, leaked, "/account/tokens", {"name": "kept"}) as finish:
        done(await me.post(f"/account/tokens/{made['token']['id']}/revoke", {}))
        status, reply = await finish()
    assert (status, reply["error"]["failed"]) == (403, ["invalid token"])
    assert [each["name"] for each in done(await me.get("/account/tokens"))["tokens"]] == ["test", "leaked"]


async def test_the_token_of_somebody_who_was_disabled_meanwhile_changes_nothing(api: Api, me: Developer) -> None:
    admin = await signed_in(api, me.account, Role.ADMIN)
    bot = Developer(me.account, done(await admin.post("/account/tokens", {"name": "bot"}))["secret"], me.http)
    async with held(api, bot, of_oneself(admin), {"disabled": False}) as finish:
        done(await me.post(of_oneself(admin), {"disabled": True}))
        assert (await finish())[0] == 403


async def test_whoever_was_disabled_or_narrowed_meanwhile_does_nothing_to_what_runs(
    api: Api, me: Developer, project: str
) -> None:
    client = await api.running_script(project, free_for_all=True)
    await api.session(client)
    (session,) = done(await me.post(f"/scripts/{client.script}/sessions"))["sessions"]
    other = await me.new_project("Other")
    for path, body in (
        (f"/sessions/{session['id']}/message", {"key": "give"}),
        ("/sessions/message", {"session_ids": [session["id"]], "key": "give"}),
        (f"/sessions/{session['id']}/disconnect", {}),
        ("/sessions/disconnect", {"session_ids": [session["id"]]}),
        (f"/scripts/{client.script}/sessions", {}),
    ):
        admin = await signed_in(api, me.account, Role.ADMIN)
        async with held(api, admin, path, body) as finish:
            done(await me.post(of_oneself(admin), {"disabled": True}))
            assert (await finish())[0] == 403, path
        admin = await signed_in(api, me.account, Role.ADMIN)
        async with held(api, admin, path, body) as finish:
            done(await me.post(of_oneself(admin), {"projects": [other]}))
            status, reply = await finish()
        if path == "/sessions/message":
            assert reply["responses"] == [
                {"session_id": session["id"], "processed": False, "reason": "session not found"}
            ]
        else:
            assert (status, path) == (404, path)
    assert len(done(await me.post(f"/scripts/{client.script}/sessions"))["sessions"]) == 1


async def test_whoever_was_lowered_or_narrowed_while_it_was_protected_publishes_nothing(
    api: Api, me: Developer, project: str, script: str
) -> None:
    other = await me.new_project("Other")
    for change, status in (({"role": "viewer"}, 403), ({"projects": [other]}, 404), ({"disabled": True}, 403)):
        developer = await signed_in(api, me.account, Role.DEVELOPER)
        body = {"script": "print(1)"}
        async with held(api, developer, f"/scripts/{script}/update", body) as finish:
            done(await me.post(of_oneself(developer), change))
            assert (await finish())[0] == status, change
    assert await api.value("select count(*) from builds where script_id = :id", id=script) == 0
