"""Many callers at once: limits hold exactly, and what must be unique is."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from support.management import Api, Developer, done

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLERS = 64


def outcomes(responses: list[httpx.Response]) -> Counter[tuple[int, str]]:
    """How often each status and message was answered."""
    return Counter(
        (response.status_code, response.json().get("error", {}).get("message", "")) for response in responses
    )


async def at_once(me: Developer, path: str, body: Any = None, callers: int = CALLERS) -> list[httpx.Response]:
    return await asyncio.gather(*(me.post(path, body) for _ in range(callers)))


async def test_so_many_projects_as_there_are_places(api: Api) -> None:
    me = await api.developer(tier="tiny")
    seen = outcomes(await at_once(me, "/projects", {"name": "x"}))
    assert seen == {(200, ""): 2, (403, "max projects reached"): 62}
    assert done(await me.get("/account"))["account"]["projects"]["used"] == 2


async def test_so_many_scripts_as_there_are_places(api: Api) -> None:
    me = await api.developer(tier="tiny")
    seen = outcomes(await at_once(me, f"/projects/{await me.new_project()}/scripts", {"name": "x"}))
    assert seen == {(200, ""): 2, (403, "max scripts reached"): 62}


async def test_so_many_users_as_there_are_places_all_or_none(api: Api) -> None:
    me = await api.developer(tier="tiny")
    seen = outcomes(await at_once(me, f"/projects/{await me.new_project()}/users", {"amount": 2}))
    assert seen == {(200, ""): 1, (403, "max users reached"): 63}


async def test_one_key_gets_a_discord_id_that_many_want(me: Developer, project: str) -> None:
    path = f"/projects/{project}/users"
    seen = outcomes(await at_once(me, path, {"discord_id": "1"}))
    assert seen == {(200, ""): 1, (409, "key already exists with this discord"): 63}
    keys = [user["key"] for user in done(await me.post(path, {"amount": 16}))["users"]]
    edits = await asyncio.gather(*(me.post(f"/users/{key}/edit", {"discord_id": "2"}) for key in keys))
    assert outcomes(list(edits)) == {(200, ""): 1, (409, "key already exists with this discord"): 15}


async def test_of_many_who_bring_a_user_back_one_does(me: Developer, project: str, key: str) -> None:
    done(await me.post(f"/users/{key}/remove"))
    seen = outcomes(await at_once(me, f"/projects/{project}/users/restore", {"keys": [key]}))
    assert seen == {(200, ""): 1, (409, "user was not removed"): 63}
    assert (await me.user(key))["key"] == key


async def test_a_discord_id_goes_to_one_of_those_who_come_back_and_those_who_are_new(
    me: Developer, project: str
) -> None:
    keys = []
    for _ in range(8):
        keys.append(await me.new_user(project, discord_id="4"))
        done(await me.post(f"/users/{keys[-1]}/remove"))
    new, restore = f"/projects/{project}/users", f"/projects/{project}/users/restore"
    calls = [me.post(restore, {"keys": [key]}) for key in keys] + [me.post(new, {"discord_id": "4"}) for _ in range(8)]
    seen = outcomes(await asyncio.gather(*calls))
    assert seen == {(200, ""): 1, (409, "key already exists with this discord"): 15}


async def test_edits_of_different_fields_at_once_are_all_kept(me: Developer, project: str, key: str) -> None:
    changes = [
        {"note": "n"},
        {"discord_id": "3"},
        {"max_instances": 4},
        {"max_executions": 5},
        {"key_expires": 1_600_000_000_006},
    ]
    await asyncio.gather(*(me.post(f"/users/{key}/edit", change) for change in changes))
    user = await me.user(key)
    for change in changes:
        assert user | change == user


async def test_one_of_many_blacklists_and_one_of_many_resets_counts(
    api: Api, me: Developer, project: str, key: str
) -> None:
    await (await api.running_script(project)).execute(key=key)
    seen = outcomes(await at_once(me, f"/users/{key}/reset_fingerprint", {"force": True}))
    assert seen == {(200, ""): 1, (409, "no fingerprint assigned"): 63}
    assert (await me.user(key))["total_fingerprint_resets"] == 1
    seen = outcomes(await at_once(me, f"/users/{key}/blacklist"))
    assert seen == {(200, ""): 1, (409, "user already blacklisted"): 63}


@pytest.mark.parametrize("noun", ["script", "user", "project"])
async def test_one_of_many_removals_removes(me: Developer, project: str, script: str, key: str, noun: str) -> None:
    path = {"script": f"/scripts/{script}", "user": f"/users/{key}", "project": f"/projects/{project}"}[noun]
    seen = outcomes(await at_once(me, f"{path}/remove"))
    assert seen == {(200, ""): 1, (404, "unauthorized or invalid request"): 63}


async def test_nothing_is_created_in_a_project_that_is_removed_meanwhile(api: Api, me: Developer, project: str) -> None:
    creations = [me.post(f"/projects/{project}/users", {}) for _ in range(32)]
    replies = await asyncio.gather(*creations[:16], me.post(f"/projects/{project}/remove"), *creations[16:])
    assert {response.status_code for response in replies} <= {200, 404}
    assert await api.value("select count(*) from users where project_id = :id", id=project) == 0


async def test_a_token_that_many_revoke_is_refused_from_the_first_reply_on(api: Api, me: Developer) -> None:
    created = done(await me.post("/account/tokens", {"name": "bot"}))
    bot = Developer(me.account, created["secret"], me.http)
    revoke = f"/account/tokens/{created['token']['id']}/revoke"
    after_first: list[int] = []

    async def revoke_and_try() -> None:
        assert (await me.post(revoke)).status_code == 200
        after_first.append((await bot.get("/account")).status_code)

    await asyncio.gather(*(revoke_and_try() for _ in range(32)))
    assert after_first == [401] * 32


async def test_the_bound_on_tokens_holds(api: Api, me: Developer) -> None:
    for _ in range(95):
        await api.token(me.account)
    seen = outcomes(await at_once(me, "/account/tokens", {"name": "x"}, callers=32))
    assert seen == {(200, ""): 4, (403, "max tokens reached"): 28}
