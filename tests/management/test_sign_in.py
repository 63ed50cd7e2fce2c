"""Signing in: by password, with a second factor, by links; and what a browser's session is good for."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import pytest

from moonlatch import proofs
from moonlatch.clock import DAY_MS, HOUR_MS, MINUTE_MS
from moonlatch.licensing.roles import PERMISSIONS, Role
from moonlatch.web.origin import Place
from support.management import Api, Developer, done, invalid, refused
from support.members import PASSWORD, Browser, accepted, browser_from, invited, signed_in, visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

INVALID = "unauthorized or invalid request"
ENDED = ["the session has ended: sign in again"]


async def member(api: Api, me: Developer, role: Role = Role.SUPPORT, **fields: Any) -> tuple[Browser, str]:
    """A member who took an invitation, and the name they sign in with."""
    link = await invited(me, role, **fields)
    return await accepted(api, me.account, link["secret"]), link["member"]["sign_in_name"]


async def sign_in(api: Api, name: str, password: str = PASSWORD, **fields: Any) -> Any:
    return await visit(api, "/auth/sign_in", {"sign_in_name": name, "password": password, **fields})


async def events(me: Developer, kind: str) -> list[Any]:
    return done(await me.get("/events", params={"kind": kind}))["events"]


async def event_of(me: Developer, kind: str) -> Any:
    """The one event of a kind that is written after an answer."""
    for _ in range(200):
        found = await events(me, kind)
        if found:
            (event,) = found
            return event
        await asyncio.sleep(0.05)
    raise AssertionError(f"no event {kind}")


async def test_an_invitation_is_taken_once_and_signs_in(api: Api, me: Developer) -> None:
    link = await invited(me, Role.DEVELOPER, name="Ana")
    assert link["member"]["state"] == "invited"
    assert link["url"].endswith(f"/dashboard/#/invite/{link['secret']}")
    shown = done(await visit(api, "/auth/link", {"secret": link["secret"]}))["link"]
    assert shown == {
        "kind": "invitation",
        "account_name": me.account.name,
        "name": "Ana",
        "sign_in_name": link["member"]["sign_in_name"],
        "role": "developer",
    }
    ana = await accepted(api, me.account, link["secret"])
    who = done(await ana.get("/me"))["me"]
    assert (who["kind"], who["role"], who["account_id"]) == ("member", "developer", me.account.id)
    assert set(who["permissions"]) == PERMISSIONS[Role.DEVELOPER]
    again = await visit(api, "/auth/accept", {"secret": link["secret"], "password": PASSWORD})
    refused(again, 404, 1, "link is not valid")
    refused(await visit(api, "/auth/link", {"secret": link["secret"]}), 404, 1, "link is not valid")
    assert done(await me.get("/members"))["members"][0]["state"] == "active"
    kinds = [each["kind"] for each in done(await me.get("/events"))["events"]]
    assert kinds == ["member.signed_in", "member.accepted", "member.invited"]


async def test_of_two_who_take_a_link_at_once_one_gets_in(api: Api, me: Developer) -> None:
    link = await invited(me)
    body = {"secret": link["secret"], "password": PASSWORD}
    replies = await asyncio.gather(*(visit(api, "/auth/accept", body) for _ in range(4)))
    assert sorted(reply.status_code for reply in replies) == [200, 404, 404, 404]


async def test_a_link_ends_by_time_by_another_one_and_when_it_is_taken_back(api: Api, me: Developer) -> None:
    link = await invited(me)
    path = f"/members/{link['member']['id']}/link"
    newer = done(await me.post(path, {}))
    refused(await visit(api, "/auth/link", {"secret": link["secret"]}), 404, 1, "link is not valid")
    done(await visit(api, "/auth/link", {"secret": newer["secret"]}))
    api.clock.ahead_ms = 48 * HOUR_MS + 1
    refused(await visit(api, "/auth/link", {"secret": newer["secret"]}), 404, 1, "link is not valid")
    newest = done(await me.post(path, {}))
    done(await me.post(f"{path}/revoke", {}))
    refused(
        await visit(api, "/auth/accept", {"secret": newest["secret"], "password": PASSWORD}),
        404,
        1,
        "link is not valid",
    )
    assert await api.value("select count(*) from member_links where member_id = :id", id=link["member"]["id"]) == 0


@pytest.mark.parametrize(
    ("password", "error"),
    [
        ("short", "must have at least 12 characters"),
        ("x" * 257, "must have at most 256 characters"),
        ("aaaaaaaaaaaaaaaa", "must not be one character again and again"),
    ],
)
async def test_a_password_has_to_be_long_enough_and_no_more(api: Api, me: Developer, password: str, error: str) -> None:
    link = await invited(me)
    reply = await visit(api, "/auth/accept", {"secret": link["secret"], "password": password})
    assert invalid(reply)["password"][0].endswith(error.removeprefix("must "))
    done(await visit(api, "/auth/link", {"secret": link["secret"]}))


async def test_a_password_may_not_be_the_name(api: Api, me: Developer) -> None:
    link = await invited(me)
    name = link["member"]["sign_in_name"]
    reply = await visit(api, "/auth/accept", {"secret": link["secret"], "password": name.upper()})
    assert invalid(reply) == {"password": ["must not be the sign-in name"]}


async def test_a_password_signs_in_however_its_name_and_characters_are_written(api: Api, me: Developer) -> None:
    link = await invited(me)
    await accepted(api, me.account, link["secret"], "stra\u00dfe caf\u00e9 noir")
    reply = await sign_in(api, link["member"]["sign_in_name"].upper(), "stra\u00dfe cafe\u0301 noir")
    browser = browser_from(api, me.account, reply)
    assert done(await browser.get("/account"))["account"]["id"] == me.account.id


async def test_a_wrong_password_and_a_wrong_name_get_the_same_answer(api: Api, me: Developer) -> None:
    _, name = await member(api, me)
    wrong, nobody = await sign_in(api, name, "wrong horse battery"), await sign_in(api, "nobody@example.com")
    refused(wrong, 401, 1, "sign-in failed")
    refused(nobody, 401, 1, "sign-in failed")
    assert "set-cookie" not in wrong.headers
    event = await event_of(me, "member.sign_in_failed")
    assert event["changes"] == {"wrong": [None, "password"]}
    assert (event["resource"]["kind"], event["actor"]["address"]) == ("member", "127.0.0.1")


async def test_many_failures_leave_one_event(api: Api, me: Developer) -> None:
    _, name = await member(api, me)
    for _ in range(4):
        refused(await sign_in(api, name, "wrong horse battery"), 401, 1, "sign-in failed")
    await event_of(me, "member.sign_in_failed")
    done(await sign_in(api, name))
    assert len(await events(me, "member.sign_in_failed")) == 1


async def test_a_name_that_nobody_has_takes_as_long_as_a_wrong_password(api: Api, me: Developer) -> None:
    _, name = await member(api, me)

    async def seconds(who: str) -> float:
        started = time.perf_counter()
        await sign_in(api, who, "wrong horse battery")
        return time.perf_counter() - started

    known, unknown = [], []
    for _ in range(7):
        known.append(await seconds(name))
        unknown.append(await seconds("nobody@example.com"))
    # An answer without the hashing would take a twentieth of the time.
    assert 0.4 < statistics.median(unknown) / statistics.median(known) < 2.5


async def test_an_invited_and_a_disabled_member_do_not_sign_in(api: Api, me: Developer) -> None:
    link = await invited(me)
    refused(await sign_in(api, link["member"]["sign_in_name"], PASSWORD), 401, 1, "sign-in failed")
    browser, name = await member(api, me)
    done(await me.post(f"/members/{browser.member_id}/edit", {"disabled": True}))
    refused(await sign_in(api, name), 401, 1, "sign-in failed")
    refused(await browser.get("/me"), 401, -1, INVALID, failed=ENDED)
    done(await me.post(f"/members/{browser.member_id}/edit", {"disabled": False}))
    done(await sign_in(api, name))


async def test_the_cookie_is_for_this_server_alone_and_out_of_reach_for_scripts(api: Api, me: Developer) -> None:
    _, name = await member(api, me)
    reply = await sign_in(api, name)
    assert reply.headers["set-cookie"].partition("; ")[2] == "Path=/; Max-Age=604800; HttpOnly; SameSite=Strict"
    held = reply.headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert len(held) == 43
    kept = await api.value("select hash from member_sessions where id = :id", id=done(reply)["me"]["session_id"])
    assert bytes(kept) == proofs.secret_hash(held)


async def test_signing_in_needs_a_page_of_this_server(api: Api, me: Developer) -> None:
    _, name = await member(api, me)
    body = {"sign_in_name": name, "password": PASSWORD}
    for origin in ("https://evil.example", "http://127.0.0.1:1", "null", "http://127.0.0.1.evil.example", "x"):
        reply = await api.http.post("/auth/sign_in", json=body, headers={"Origin": origin})
        assert reply.status_code == 403, origin
    assert (await api.http.post("/auth/sign_in", json=body)).status_code == 403
    # A name that leads to this machine by somebody's choice, and a proxy on this machine.
    rebound = {"Origin": "http://evil.example", "Host": "evil.example"}
    assert (await api.http.post("/auth/sign_in", json=body, headers=rebound)).status_code == 403
    proxied = {"Origin": api.url, "X-Forwarded-For": "192.0.2.1"}
    assert (await api.http.post("/auth/sign_in", json=body, headers=proxied)).status_code == 403


async def test_a_session_ends_when_it_is_not_used_and_when_it_is_old(api: Api, me: Developer) -> None:
    browser, _ = await member(api, me)
    api.clock.ahead_ms = 11 * HOUR_MS
    done(await browser.get("/me"))
    for _ in range(200):  # the use is written after the answer
        if await api.value(
            "select last_used_at - created_at from member_sessions where id = :id", id=browser.session_id
        ):
            break
        await asyncio.sleep(0.05)
    api.clock.ahead_ms = 22 * HOUR_MS
    done(await browser.get("/me"))
    await asyncio.sleep(0)
    api.clock.ahead_ms = 22 * HOUR_MS + 13 * HOUR_MS
    refused(await browser.get("/me"), 401, -1, INVALID, failed=ENDED)
    api.clock.ahead_ms = 0
    old = await signed_in(api, me.account)
    now = api.clock()
    await api.change(
        "update member_sessions set created_at = :at where id = :id", at=now - 7 * DAY_MS + 5_000, id=old.session_id
    )
    done(await old.get("/me"))
    api.clock.ahead_ms = 10_000
    refused(await old.get("/me"), 401, -1, INVALID, failed=ENDED)


async def test_sessions_are_listed_and_ended_one_by_one_and_all_at_once(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    other = browser_from(api, me.account, await sign_in(api, name))
    stranger, _ = await member(api, me)
    listed = done(await browser.get("/me/sessions"))["sessions"]
    assert [(each["id"], each["current"]) for each in listed] == [
        (browser.session_id, True),
        (other.session_id, False),
    ]
    assert listed[0]["address"] == "127.0.0.1"
    assert "python" in listed[0]["user_agent"] or listed[0]["user_agent"]
    foreign = await browser.post(f"/me/sessions/{stranger.session_id}/revoke", {})
    refused(foreign, 404, -1, INVALID, failed=["session not found"])
    done(await browser.post(f"/me/sessions/{other.session_id}/revoke", {}))
    refused(await other.get("/me"), 401, -1, INVALID, failed=ENDED)
    third = browser_from(api, me.account, await sign_in(api, name))
    reply = await browser.post("/me/sessions/revoke", {})
    done(reply)
    assert f"{Place.LOCAL.value}=; Path=/; Max-Age=0" in reply.headers["set-cookie"]
    for gone in (browser, third):
        refused(await gone.get("/me"), 401, -1, INVALID, failed=ENDED)
    done(await stranger.get("/me"))


async def test_signing_out_ends_this_session_alone(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    other = browser_from(api, me.account, await sign_in(api, name))
    done(await browser.post("/me/sign_out", {}))
    refused(await browser.get("/me"), 401, -1, INVALID, failed=ENDED)
    done(await other.get("/me"))


async def test_signing_in_again_replaces_the_browsers_session(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    body = {"sign_in_name": name, "password": PASSWORD}
    reply = await visit(api, "/auth/sign_in", body, Cookie=f"{Place.LOCAL.value}={browser.token}")
    again = browser_from(api, me.account, reply)
    refused(await browser.get("/me"), 401, -1, INVALID, failed=ENDED)
    assert len(done(await again.get("/me/sessions"))["sessions"]) == 1


async def test_a_browser_that_holds_an_ended_session_can_sign_in(api: Api, me: Developer) -> None:
    _, name = await member(api, me)
    body = {"sign_in_name": name, "password": PASSWORD}
    done(await visit(api, "/auth/sign_in", body, Cookie=f"{Place.LOCAL.value}={proofs.new_secret()}"))


async def test_a_new_password_needs_a_recent_sign_in_and_ends_the_other_sessions(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    other = browser_from(api, me.account, await sign_in(api, name))
    api.clock.ahead_ms = 15 * MINUTE_MS + 1
    reply = await browser.post("/me/password", {"password": "another horse battery"})
    refused(reply, 403, 0, "sign in again")
    fresh = browser_from(api, me.account, await sign_in(api, name))
    done(await fresh.post("/me/password", {"password": "another horse battery"}))
    refused(await other.get("/me"), 401, -1, INVALID, failed=ENDED)
    done(await fresh.get("/me"))
    refused(await sign_in(api, name), 401, 1, "sign-in failed")
    done(await sign_in(api, name, "another horse battery"))
    assert len(await events(me, "member.password_changed")) == 1


async def test_a_lost_password_is_replaced_by_a_link_which_ends_all_sessions(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    link = done(await me.post(f"/members/{browser.member_id}/link", {}))
    assert done(await visit(api, "/auth/link", {"secret": link["secret"]}))["link"]["kind"] == "password"
    await accepted(api, me.account, link["secret"], "another horse battery")
    refused(await browser.get("/me"), 401, -1, INVALID, failed=ENDED)
    refused(await sign_in(api, name), 401, 1, "sign-in failed")


async def test_one_changes_ones_own_names(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    _, taken = await member(api, me)
    refused(await browser.post("/me/edit", {}), 400, 1, "cannot edit nothing")
    refused(await browser.post("/me/edit", {"sign_in_name": taken.upper()}), 409, 2, "sign-in name is taken")
    done(await browser.post("/me/edit", {"name": "Ana B.", "sign_in_name": f"B{name}"}))
    done(await sign_in(api, f"b{name}"))
    api.clock.ahead_ms = 15 * MINUTE_MS + 1
    refused(await browser.post("/me/edit", {"sign_in_name": name}), 403, 0, "sign in again")
    done(await browser.post("/me/edit", {"name": "Ana C."}))
    assert done(await browser.get("/me"))["me"]["name"] == "Ana C."


async def with_totp(api: Api, browser: Browser) -> tuple[str, list[str]]:
    """Switch one-time codes on; gives their secret and the recovery codes."""
    begun = done(await browser.post("/me/totp/begin", {}))
    assert begun["url"].startswith("otpauth://totp/Moonlatch%3A")
    codes = done(await browser.post("/me/totp/enable", {"code": code_of(api, begun["secret"])}))
    return begun["secret"], codes["recovery_codes"]


def code_of(api: Api, secret: str, ahead: int = 0) -> str:
    return proofs.totp_code(secret, api.clock() // 30_000 + ahead)


async def test_one_time_codes_are_asked_for_once_they_were_proven_to_work(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    api.clock.stand_still(api.clock())
    try:
        refused(await browser.post("/me/totp/enable", {"code": "000000"}), 409, 2, "one-time codes were not begun")
        secret = done(await browser.post("/me/totp/begin", {}))["secret"]
        done(await sign_in(api, name))
        wrong = "000000" if code_of(api, secret) != "000000" else "111111"
        refused(await browser.post("/me/totp/enable", {"code": wrong}), 403, 3, "wrong code")
        enabled = done(await browser.post("/me/totp/enable", {"code": code_of(api, secret)}))
        assert len(enabled["recovery_codes"]) == 10
        refused(await browser.post("/me/totp/begin", {}), 409, 1, "one-time codes are on")
        refused(await browser.post("/me/totp/enable", {"code": "123456"}), 409, 1, "one-time codes are on")
        refused(await sign_in(api, name), 401, 2, "second factor required")
        refused(await sign_in(api, name, "wrong horse battery", code="1"), 401, 1, "sign-in failed")
        # The code that switched them on is used up; the next step's is good for a clock that is ahead, once.
        refused(await sign_in(api, name, code=code_of(api, secret)), 401, 1, "sign-in failed")
        done(await sign_in(api, name, code=code_of(api, secret, 1)))
        refused(await sign_in(api, name, code=code_of(api, secret, 1)), 401, 1, "sign-in failed")
        refused(await sign_in(api, name, code=code_of(api, secret, 2)), 401, 1, "sign-in failed")
    finally:
        api.clock.stands_at_ms = None
    sealed = await api.value("select totp_secret from members where id = :id", id=browser.member_id)
    assert secret.encode() not in bytes(sealed)


async def test_of_two_who_use_a_code_at_once_one_gets_in(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    secret, _ = await with_totp(api, browser)
    code = code_of(api, secret, 1)
    replies = await asyncio.gather(*(sign_in(api, name, code=code) for _ in range(3)))
    assert sorted(reply.status_code for reply in replies) == [200, 401, 401]


async def test_a_recovery_code_is_good_once_and_until_there_are_new_ones(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    _, codes = await with_totp(api, browser)
    done(await sign_in(api, name, code=codes[0].upper().replace("-", " ")))
    refused(await sign_in(api, name, code=codes[0]), 401, 1, "sign-in failed")
    newer = done(await browser.post("/me/recovery_codes", {}))["recovery_codes"]
    refused(await sign_in(api, name, code=codes[1]), 401, 1, "sign-in failed")
    done(await sign_in(api, name, code=newer[0]))
    kept = await api.value("select count(*) from recovery_codes where member_id = :id", id=browser.member_id)
    assert kept == 9


async def test_codes_of_one_member_are_tried_five_at_a_time(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    await api.change(
        "update members set totp_enabled = true, totp_secret = :s where id = :id", s=b"x", id=browser.member_id
    )
    statuses = [(await sign_in(api, name, code="abcdefgh")).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert int((await sign_in(api, name, code="abcdefgh")).headers["retry-after"]) > 30


async def test_one_time_codes_are_switched_off_again(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    refused(await browser.post("/me/totp/disable", {}), 409, 1, "one-time codes are off")
    refused(await browser.post("/me/recovery_codes", {}), 409, 1, "one-time codes are off")
    await with_totp(api, browser)
    done(await browser.post("/me/totp/disable", {}))
    done(await sign_in(api, name))
    api.clock.ahead_ms = 15 * MINUTE_MS + 1
    for path in ("totp/begin", "totp/disable", "recovery_codes"):
        refused(await browser.post(f"/me/{path}", {}), 403, 0, "sign in again")
    refused(await browser.post("/me/totp/enable", {"code": "123456"}), 403, 0, "sign in again")


async def test_a_link_does_not_stand_for_the_second_factor(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    secret, _ = await with_totp(api, browser)
    link = done(await me.post(f"/members/{browser.member_id}/link", {}))
    reply = await visit(api, "/auth/accept", {"secret": link["secret"], "password": "another horse battery"})
    assert (done(reply)["signed_in"], done(reply)["me"], "set-cookie" in reply.headers) == (False, None, False)
    refused(await sign_in(api, name, "another horse battery"), 401, 2, "second factor required")
    done(await sign_in(api, name, "another horse battery", code=code_of(api, secret, 1)))


async def test_somebody_elses_second_factor_is_taken_away_with_their_sessions(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    await with_totp(api, browser)
    done(await me.post(f"/members/{browser.member_id}/reset_second_factor", {}))
    refused(await browser.get("/me"), 401, -1, INVALID, failed=ENDED)
    done(await sign_in(api, name))
    assert len(await events(me, "member.second_factor_reset")) == 1


async def test_a_token_has_no_browser_and_no_password(api: Api, me: Developer) -> None:
    who = done(await me.get("/me"))["me"]
    assert (who["kind"], who["csrf"], who["account_name"]) == ("token", None, me.account.name)
    for method, path, body in (
        ("GET", "/me/sessions", None),
        ("POST", "/me/password", {"password": PASSWORD}),
        ("POST", "/me/totp/begin", {}),
    ):
        reply = await me.call(method, path, body)
        refused(reply, 403, -1, INVALID, failed=["this is for members who have signed in, not for tokens"])


async def test_what_was_tried_changes_nothing(api: Api, me: Developer) -> None:
    browser, name = await member(api, me)
    for path, body in (
        ("/me/password", {"password": "another horse battery"}),
        ("/me/totp/begin", {}),
        ("/me/sessions/revoke", {}),
        ("/me/sign_out", {}),
    ):
        reply = await browser.post(path, body, params={"dry_run": "true"})
        assert done(reply)["dry_run"] is True
        assert "set-cookie" not in reply.headers
    done(await sign_in(api, name))
    done(await browser.get("/me"))


async def test_what_a_member_is_answered_once_is_replayed_to_nobody_else(api: Api, me: Developer) -> None:
    one, other = await signed_in(api, me.account), await signed_in(api, me.account)
    key = {"Idempotency-Key": "first"}
    secret = done(await one.post("/me/totp/begin", {}, headers=key))["secret"]
    reply = await other.post("/me/totp/begin", {}, headers=key)
    refused(reply, 422, -1, "idempotency key was used for another request")
    assert done(await one.post("/me/totp/begin", {}, headers=key))["secret"] == secret
