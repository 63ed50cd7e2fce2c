"""Every field that takes a time: milliseconds and nothing else, and not the past where the past makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.clock import DAY_MS
from support.management import Api, Developer, done, invalid

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIELDS = {
    "a new key's expiry": ("/projects/{project}/users", {}, "key_expires"),
    "a key's expiry": ("/users/{key}/edit", {}, "key_expires"),
    "a blacklisting's end": ("/users/{key}/blacklist", {}, "expires"),
    "a token's expiry": ("/account/tokens", {"name": "bot"}, "expires_at"),
}
every_field = pytest.mark.parametrize("field", FIELDS)


async def errors(me: Developer, project: str, key: str, field: str, value: Any) -> list[str]:
    path, body, name = FIELDS[field]
    found = invalid(await me.post(path.format(project=project, key=key), {**body, name: value}))
    assert list(found) == [name]
    return found[name]


@every_field
async def test_seconds_are_refused_with_the_milliseconds_that_were_meant(
    api: Api, me: Developer, project: str, key: str, field: str
) -> None:
    before = await me.user(key)
    in_30_days = (api.clock() + 30 * DAY_MS) // 1000
    (error,) = await errors(me, project, key, field, in_30_days)
    assert "must be a time in Unix milliseconds" in error
    assert f"{in_30_days} looks like seconds, which would be {in_30_days * 1000}" in error
    assert await me.user(key) == before


@every_field
async def test_microseconds_are_refused_with_the_milliseconds_that_were_meant(
    api: Api, me: Developer, project: str, key: str, field: str
) -> None:
    later = api.clock() + DAY_MS
    (error,) = await errors(me, project, key, field, later * 1000)
    assert f"looks like microseconds, which would be {later}" in error


@every_field
@pytest.mark.parametrize("value", [0, 1, -1, 99_999_999_999, 253_402_300_800_000, 1_770_624_500_000_000_000, 10**400])
async def test_a_number_that_cannot_be_a_time_in_milliseconds_is_refused(
    me: Developer, project: str, key: str, field: str, value: int
) -> None:
    (error,) = await errors(me, project, key, field, value)
    assert "must be a time in Unix milliseconds, between 100000000000 and 253402300799999" in error


@every_field
@pytest.mark.parametrize("value", [True, 1_770_624_500_000.5, "tomorrow", "2030-01-31", [], {}, " 1770624500000"])
async def test_what_is_not_a_number_is_refused_with_the_unit(
    me: Developer, project: str, key: str, field: str, value: Any
) -> None:
    (error,) = await errors(me, project, key, field, value)
    assert error.startswith("must be a time in Unix milliseconds")


@pytest.mark.parametrize("field", [field for field in FIELDS if field != "a key's expiry"])
async def test_what_begins_now_cannot_have_ended(api: Api, me: Developer, project: str, key: str, field: str) -> None:
    assert await errors(me, project, key, field, api.clock() - 1) == ["must be in the future"]


async def test_a_past_time_is_listed_beside_the_other_faults(api: Api, me: Developer, project: str) -> None:
    body = {"key_expires": api.clock() - 1, "amount": 0}
    assert set(invalid(await me.post(f"/projects/{project}/users", body))) == {"key_expires", "amount"}


async def test_a_key_may_be_ended_by_an_expiry_that_has_passed(api: Api, me: Developer, key: str) -> None:
    now = api.clock()
    assert done(await me.post(f"/users/{key}/edit", {"key_expires": now - 1}))["user"]["key_expires"] == now - 1


@pytest.mark.parametrize("value", [1, 3600, 59_000, 86_400, 604_800, 3_600_001, True, "1 day", 253_402_300_800_000])
async def test_a_cooldown_that_cannot_be_milliseconds_is_refused(me: Developer, project: str, value: Any) -> None:
    found = invalid(await me.post(f"/projects/{project}/edit", {"fingerprint_reset_cooldown": value}))
    (error,) = found["fingerprint_reset_cooldown"]
    assert "milliseconds" in error


@pytest.mark.parametrize("value", [0, 60_000, 90_000, DAY_MS, 1e7])
async def test_a_cooldown_in_milliseconds_is_taken(me: Developer, project: str, value: int) -> None:
    edited = done(await me.post(f"/projects/{project}/edit", {"fingerprint_reset_cooldown": value}))
    assert edited["project"]["fingerprint_reset_cooldown"] == value
