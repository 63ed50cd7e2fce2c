"""Idempotency keys: a call is carried out once, however often it is sent."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from moonlatch.clock import DAY_MS
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def send(me: Developer, key: str, path: str = "/projects", body: Any = None, **options: Any) -> httpx.Response:
    return await me.post(path, {"name": "Mine"} if body is None else body, headers={"Idempotency-Key": key}, **options)


async def names(me: Developer) -> list[str]:
    return [each["name"] for each in done(await me.get("/projects"))["projects"]]


async def test_the_same_call_gets_the_same_answer_and_is_carried_out_once(api: Api) -> None:
    me = await api.developer()
    first, second = await send(me, "one"), await send(me, '"one"')
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert (second.status_code, second.json()) == (200, first.json())
    assert await names(me) == ["Mine"]
    assert len(done(await me.get("/events"))["events"]) == 1


async def test_another_call_with_the_key_is_refused(api: Api) -> None:
    me = await api.developer()
    project = done(await send(me, "one"))["project"]["id"]
    for other in (
        await send(me, "one", body={"name": "Other"}),
        await send(me, "one", f"/projects/{project}/edit"),
        await send(me, "one", params={"dry_run": "true"}),
    ):
        refused(other, 422, -1, "idempotency key was used for another request")
    assert await names(me) == ["Mine"]


async def test_keys_of_accounts_are_apart(api: Api) -> None:
    one, other = await api.developer(), await api.developer()
    done(await send(one, "same"))
    reply = await send(other, "same")
    assert "idempotency-replayed" not in reply.headers
    assert await names(other) == ["Mine"]


async def test_what_one_token_is_answered_is_not_replayed_to_another(api: Api) -> None:
    me = await api.developer()
    done(await send(me, "same", "/account/tokens", {"name": "secret"}))
    other = Developer(me.account, await api.token(me.account), me.http)
    reply = await send(other, "same", "/account/tokens", {"name": "secret"})
    refused(reply, 422, -1, "idempotency key was used for another request")


async def test_an_answer_is_replayed_although_the_resource_is_gone(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    for _ in range(2):
        done(await send(me, "bye", f"/projects/{project}/remove", {}))


async def test_refusals_of_the_rules_are_kept_and_those_of_the_request_are_not(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    nothing = await send(me, "empty", f"/projects/{project}/edit", {})
    assert nothing.status_code == 400
    done(await send(me, "empty", f"/projects/{project}/edit", {"name": "Now something"}))
    tiny = await api.developer(tier="tiny")
    for number in range(2):
        await tiny.new_project(str(number))
    refused(await send(tiny, "third"), 403, 1, "max projects reached")
    assert "idempotency-replayed" not in (await send(tiny, "third")).headers


async def test_after_a_day_the_key_is_free_again(api: Api) -> None:
    me = await api.developer()
    done(await send(me, "daily"))
    api.clock.ahead_ms += DAY_MS + 1
    assert "idempotency-replayed" not in (await send(me, "daily")).headers
    assert await names(me) == ["Mine", "Mine"]


async def test_many_at_once_are_carried_out_once(api: Api) -> None:
    me = await api.developer()
    replies = await asyncio.gather(*(send(me, "race") for _ in range(20)))
    assert {reply.status_code for reply in replies} <= {200, 409}
    assert await names(me) == ["Mine"]
    for reply in replies:
        if reply.status_code == 409:
            refused(reply, 409, -1, "still running", retry_after=1)
            assert reply.headers["retry-after"] == "1"


@pytest.mark.parametrize("key", ["", '"', '""', "x" * 256, "tab\tinside", 'quo"te', "ünicode".encode("latin-1")])
async def test_a_wrong_key_is_named(me: Developer, key: Any) -> None:
    reply = await me.post("/projects", {"name": "x"}, headers={"Idempotency-Key": key})
    assert set(invalid(reply)) == {"Idempotency-Key"}


async def test_the_secret_of_a_new_token_is_replayed_and_not_stored_in_clear(api: Api) -> None:
    me = await api.developer()
    first = done(await send(me, "token", "/account/tokens", {"name": "bot"}))
    assert done(await send(me, "token", "/account/tokens", {"name": "bot"})) == first
    sealed = await api.value("select reply from idempotency_records where account_id = :id", id=me.account.id)
    assert first["secret"].encode() not in bytes(sealed)


async def test_an_idempotency_key_may_hold_a_secret(api: Api) -> None:
    me, other = await api.developer(), await api.developer()
    for developer in (me, other):
        done(await send(developer, "create-MYHUB-SECRET-0001"))
    find = "select key from idempotency_records where account_id = :id"
    kept, of_other = [await api.value(find, id=each.account.id) for each in (me, other)]
    assert re.fullmatch(r"[0-9a-f]{64}", kept)
    assert kept != of_other


async def test_what_an_earlier_version_kept_is_replayed(api: Api) -> None:
    me = await api.developer()
    first = done(await send(me, "before"))
    await api.change("update idempotency_records set key = 'before' where account_id = :id", id=me.account.id)
    assert done(await send(me, "before")) == first
    assert await names(me) == ["Mine"]


async def test_another_process_that_was_faster_is_replayed(api: Api) -> None:
    me = await api.developer()
    done(await send(me, "elsewhere"))
    await api.change("delete from idempotency_records where account_id = :id", id=me.account.id)
    done(await send(me, "elsewhere"))  # its answer was lost with the row: it is carried out again
    assert await names(me) == ["Mine", "Mine"]
