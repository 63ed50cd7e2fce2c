"""The account endpoints: limits, usage and API tokens."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.crypto import LURAPH_KEY
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_account_shows_its_limits_and_usage(api: Api) -> None:
    me = await api.developer(tier="free")
    project = await me.new_project()
    await me.new_script(project)
    await me.post(f"/projects/{project}/users", {"amount": 3})
    await (await api.developer()).new_project()
    assert done(await me.get("/account"))["account"] == {
        "id": me.account.id,
        "name": me.account.name,
        "tier": "free",
        "expires_at": None,
        "expired": False,
        "free_for_all": False,
        "script_bytes": 8 * 1024 * 1024,
        "luraph_key_set": False,
        "obfuscations": {"used": 0, "limit": 20, "period_end": me.account.obfuscation_period_start + 30 * DAY_MS},
        "build_seconds": {"used": 0, "limit": 1_800},
        "projects": {"used": 1, "limit": 1},
        "scripts": {"used": 1, "limit": 3},
        "users": {"used": 3, "limit": 100},
    }


async def test_obfuscations_are_counted_per_period(api: Api, me: Developer, script: str) -> None:
    await me.post(f"/scripts/{script}/update", {"script": "print(1)"})
    assert done(await me.get("/account"))["account"]["obfuscations"]["used"] == 2
    api.clock.ahead_ms = 30 * DAY_MS
    obfuscations = done(await me.get("/account"))["account"]["obfuscations"]
    assert obfuscations["used"] == 0
    assert abs(obfuscations["period_end"] - api.clock() - 30 * DAY_MS) < 60_000


async def test_an_expired_account_sees_that_it_is(api: Api, me: Developer) -> None:
    await api.expire(me)
    account = done(await me.get("/account"))["account"]
    assert (account["expires_at"], account["expired"]) == (1, True)


async def test_a_new_tokens_secret_works_and_is_never_shown_again(api: Api, me: Developer) -> None:
    body = {"name": "bot", "expires_at": api.clock() + DAY_MS, "ip_allow": ["127.0.0.1", "192.0.2.0/24", "::1"]}
    created = done(await me.post("/account/tokens", body))
    secret = created["secret"]
    assert created["token"] == {
        "id": created["token"]["id"],
        "name": "bot",
        "prefix": secret[:9],
        "permissions": None,
        "projects": None,
        "ip_allow": ["127.0.0.1/32", "192.0.2.0/24", "::1/128"],
        "created_at": created["token"]["created_at"],
        "expires_at": body["expires_at"],
        "revoked_at": None,
        "last_used_at": None,
        "last_used_from": None,
        "member_id": None,
    }
    mine = Developer(me.account, secret, me.http)
    listed = await mine.get("/account/tokens")
    assert {**done(listed)["tokens"][-1], "last_used_at": None, "last_used_from": None} == created["token"]
    assert secret not in listed.text
    assert await api.value("select count(*) from tokens where cast(hash as text) = :secret", secret=secret) == 0


async def test_a_revoked_token_is_refused_from_the_next_call_on(api: Api, me: Developer) -> None:
    created = done(await me.post("/account/tokens", {"name": "bot"}))
    revoke = f"/account/tokens/{created['token']['id']}/revoke"
    assert (await me.post(revoke)).json() == {"success": True}
    assert (await Developer(me.account, created["secret"], me.http).get("/account")).status_code == 401
    revoked_at = done(await me.get("/account/tokens"))["tokens"][-1]["revoked_at"]
    api.clock.ahead_ms = 5_000
    assert (await me.post(revoke)).json() == {"success": True}
    assert done(await me.get("/account/tokens"))["tokens"][-1]["revoked_at"] == revoked_at


async def test_what_a_revoked_token_made_goes_on_and_events_tell_what_that_is(api: Api, me: Developer) -> None:
    leaked = done(await me.post("/account/tokens", {"name": "leaked"}))
    made = done(await Developer(me.account, leaked["secret"], me.http).post("/account/tokens", {"name": "made"}))
    done(await me.post(f"/account/tokens/{leaked['token']['id']}/revoke"))
    assert (await Developer(me.account, made["secret"], me.http).get("/account")).status_code == 200
    told = done(await me.get(f"/events?actor={leaked['token']['id']}&kind=token.created"))["events"]
    assert [event["resource"]["id"] for event in told] == [made["token"]["id"]]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name"}),
        ({"name": "", "expires_at": "1", "ip_allow": "::1"}, {"name", "expires_at", "ip_allow"}),
        ({"name": "x" * 101, "ip_allow": ["::1", "home", "192.0.2.1/24"]}, {"name", "ip_allow.1", "ip_allow.2"}),
        ({"name": "x", "ip_allow": ["::1"] * 51}, {"ip_allow"}),
        ({"name": "x", "expires_at": 1}, {"expires_at"}),
        ({"name": "x", "hash": "y"}, {"hash"}),
    ],
)
async def test_every_wrong_field_of_a_new_token_is_listed(me: Developer, body: Any, fields: set[str]) -> None:
    assert set(invalid(await me.post("/account/tokens", body))) == fields


async def test_an_account_has_at_most_100_usable_tokens(api: Api, me: Developer) -> None:
    for _ in range(99):
        await api.token(me.account)
    refused(await me.post("/account/tokens", {"name": "one too many"}), 403, 0, "max tokens reached")
    oldest = done(await me.get("/account/tokens"))["tokens"][1]["id"]
    await me.post(f"/account/tokens/{oldest}/revoke")
    assert (await me.post("/account/tokens", {"name": "fits"})).status_code == 200


async def test_an_unknown_token_cannot_be_revoked(me: Developer) -> None:
    response = await me.post(f"/account/tokens/{NOBODY}/revoke")
    refused(response, 404, -1, "unauthorized or invalid request", failed=["token not found"])


async def test_a_luraph_key_can_be_set_and_forgotten_and_is_never_shown(api: Api, me: Developer) -> None:
    key = "a-luraph-key-0123456789"
    assert (await me.post("/account/luraph", {"api_key": key})).json() == {"success": True}
    shown = await me.get("/account")
    assert done(shown)["account"]["luraph_key_set"] is True
    assert key not in shown.text
    sealed = await api.value("select sealed from luraph_keys where account_id = :id", id=me.account.id)
    assert key.encode() not in bytes(sealed)
    assert api.keyring.open_secret(LURAPH_KEY, me.account.id, bytes(sealed)) == key
    assert (await me.post("/account/luraph", {"api_key": None})).json() == {"success": True}
    assert done(await me.get("/account"))["account"]["luraph_key_set"] is False
    assert await api.value("select count(*) from luraph_keys where account_id = :id", id=me.account.id) == 0


async def test_a_second_luraph_key_takes_the_place_of_the_first(api: Api, me: Developer) -> None:
    for key in ("first", "second"):
        await me.post("/account/luraph", {"api_key": key})
    sealed = await api.value("select sealed from luraph_keys where account_id = :id", id=me.account.id)
    assert api.keyring.open_secret(LURAPH_KEY, me.account.id, bytes(sealed)) == "second"


@pytest.mark.parametrize("body", [{}, *({"api_key": key} for key in ("", 5, "two words", "a\nb", "\xe9", "x" * 256))])
async def test_what_can_be_no_luraph_key_is_refused(me: Developer, body: Any) -> None:
    assert list(invalid(await me.post("/account/luraph", body))) == ["api_key"]


async def test_an_expired_account_can_forget_its_luraph_key_but_not_set_one(api: Api, me: Developer) -> None:
    await me.post("/account/luraph", {"api_key": "key"})
    await api.expire(me)
    refused(await me.post("/account/luraph", {"api_key": "other"}), 403, 0, "account expired")
    assert (await me.post("/account/luraph", {"api_key": None})).status_code == 200
    assert done(await me.get("/account"))["account"]["luraph_key_set"] is False
