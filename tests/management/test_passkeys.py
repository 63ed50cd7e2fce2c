"""Passkeys: a challenge is answered once, soon, by whom it is for, on a page of this server, by a device that knows its person."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from moonlatch.clock import MINUTE_MS
from moonlatch.licensing.roles import Role
from moonlatch.licensing.signing_in import passkey_site
from moonlatch.operations import member_passkeys
from support.management import NOBODY, Api, Developer, done, invalid, refused
from support.members import Browser, browser_from, browser_of, member_of, signed_in, visit
from support.passkeys import USER_PRESENT, SoftPasskey, text

pytestmark = pytest.mark.asyncio(loop_scope="module")

INVALID = "unauthorized or invalid request"


def soft_passkey(api: Api) -> SoftPasskey:
    return SoftPasskey.at(api.world.signing_in.url)


async def add(browser: Browser, key: SoftPasskey, name: str = "laptop") -> Any:
    asked = done(await browser.post("/me/passkeys/challenge", {}))
    body = {"challenge_id": asked["challenge_id"], "name": name, "credential": key.create(asked["options"])}
    return await browser.post("/me/passkeys", body)


async def ask(api: Api) -> Any:
    return done(await visit(api, "/auth/passkey/challenge", {}))


async def sign_in(api: Api, key: SoftPasskey, asked: Any = None) -> Any:
    asked = asked or await ask(api)
    body = {"challenge_id": asked["challenge_id"], "credential": key.get(asked["options"])}
    return await visit(api, "/auth/passkey", body)


async def test_a_passkey_is_added_signs_in_and_is_removed(api: Api, me: Developer) -> None:
    browser, key = await signed_in(api, me.account, Role.SUPPORT), soft_passkey(api)
    added = done(await add(browser, key))["passkey"]
    assert (added["name"], added["last_used_at"]) == ("laptop", None)
    again = browser_from(api, me.account, await sign_in(api, key))
    assert (again.member_id, again.session_id) != (browser.member_id, browser.session_id)
    assert again.member_id == browser.member_id
    (listed,) = done(await browser.get("/me/passkeys"))["passkeys"]
    assert listed["last_used_at"] is not None
    assert {each["id"]: each["passkeys"] for each in done(await me.get("/members"))["members"]} == {
        browser.member_id: 1
    }
    done(await again.post(f"/me/passkeys/{added['id']}/remove", {}))
    refused(await sign_in(api, key), 401, 1, "sign-in failed")


async def test_a_passkey_needs_no_code_beside_it(api: Api, me: Developer) -> None:
    member = await member_of(api, me.account, Role.SUPPORT, totp_enabled=True, totp_secret=b"x")
    key = soft_passkey(api)
    done(await add(await browser_of(api, me.account, member), key))
    done(await sign_in(api, key))


async def test_options_ask_for_a_device_that_knows_its_person(api: Api, me: Developer) -> None:
    browser = await signed_in(api, me.account, Role.SUPPORT)
    key = soft_passkey(api)
    done(await add(browser, key))
    options = done(await browser.post("/me/passkeys/challenge", {}))["options"]
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert (options["attestation"], options["rp"]["id"]) == ("none", "localhost")
    assert [each["id"] for each in options["excludeCredentials"]] == [text(key.credential_id)]
    asked = (await ask(api))["options"]
    assert (asked["userVerification"], asked["rpId"], asked["allowCredentials"]) == ("required", "localhost", [])


WRONG: dict[str, Callable[[SoftPasskey], SoftPasskey]] = {
    "another page": lambda key: dataclasses.replace(key, origin="https://evil.example"),
    "another host": lambda key: dataclasses.replace(key, rp_id="evil.example"),
    "nobody verified": lambda key: dataclasses.replace(key, flags=USER_PRESENT),
    "nobody there": lambda key: dataclasses.replace(key, flags=0),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_passkey_made_wrongly_is_refused(api: Api, me: Developer, wrong: str) -> None:
    browser = await signed_in(api, me.account, Role.SUPPORT)
    refused(await add(browser, WRONG[wrong](soft_passkey(api))), 409, 1, "passkey was refused")
    assert done(await browser.get("/me/passkeys"))["passkeys"] == []


@pytest.mark.parametrize("wrong", [*WRONG, "another key", "another person"])
async def test_a_passkey_used_wrongly_signs_nobody_in(api: Api, me: Developer, wrong: str) -> None:
    browser, key = await signed_in(api, me.account, Role.SUPPORT), soft_passkey(api)
    done(await add(browser, key))
    forged = {
        **WRONG,
        "another key": lambda key: dataclasses.replace(key, key=ec.generate_private_key(ec.SECP256R1())),
        "another person": lambda key: dataclasses.replace(key, user_handle=NOBODY.encode()),
    }[wrong](key)
    reply = await sign_in(api, forged)
    refused(reply, 401, 1, "sign-in failed")
    assert "set-cookie" not in reply.headers
    done(await sign_in(api, key))


async def test_a_copy_that_counts_behind_is_refused(api: Api, me: Developer) -> None:
    browser, key = await signed_in(api, me.account, Role.SUPPORT), soft_passkey(api)
    done(await add(browser, key))
    copy = dataclasses.replace(key)
    for _ in range(2):
        done(await sign_in(api, key))
    refused(await sign_in(api, copy), 401, 1, "sign-in failed")


async def test_a_challenge_is_answered_once_and_soon(api: Api, me: Developer) -> None:
    browser, key = await signed_in(api, me.account, Role.SUPPORT), soft_passkey(api)
    done(await add(browser, key))
    asked = await ask(api)
    body = {"challenge_id": asked["challenge_id"], "credential": key.get(asked["options"])}
    done(await visit(api, "/auth/passkey", body))
    refused(await visit(api, "/auth/passkey", body), 401, 1, "sign-in failed")
    late = await ask(api)
    api.clock.ahead_ms = 5 * MINUTE_MS
    refused(await sign_in(api, key, late), 401, 1, "sign-in failed")
    refused(await sign_in(api, key, {**await ask(api), "challenge_id": NOBODY}), 401, 1, "sign-in failed")


async def test_a_challenge_is_used_up_by_a_wrong_answer(api: Api, me: Developer) -> None:
    browser, key = await signed_in(api, me.account, Role.SUPPORT), soft_passkey(api)
    done(await add(browser, key))
    asked = await ask(api)
    refused(await sign_in(api, dataclasses.replace(key, flags=0), asked), 401, 1, "sign-in failed")
    refused(await sign_in(api, key, asked), 401, 1, "sign-in failed")


async def test_a_challenge_is_for_whom_and_for_what_it_was_made(api: Api, me: Developer) -> None:
    browser, other = await signed_in(api, me.account, Role.SUPPORT), await signed_in(api, me.account, Role.SUPPORT)
    key = soft_passkey(api)
    for challenge in (done(await other.post("/me/passkeys/challenge", {})), await ask(api)):
        options = done(await browser.post("/me/passkeys/challenge", {}))["options"]
        credential = key.create({**options, "challenge": challenge["options"]["challenge"]})
        body = {"challenge_id": challenge["challenge_id"], "name": "x", "credential": credential}
        refused(await browser.post("/me/passkeys", body), 409, 1, "passkey was refused")
    done(await add(browser, key))
    mine = done(await browser.post("/me/passkeys/challenge", {}))
    refused(await sign_in(api, key, mine), 401, 1, "sign-in failed")


async def test_a_passkey_is_one_persons(api: Api, me: Developer) -> None:
    one, other = await signed_in(api, me.account, Role.SUPPORT), await signed_in(api, me.account, Role.SUPPORT)
    key = soft_passkey(api)
    added = done(await add(one, key))["passkey"]
    refused(await add(other, dataclasses.replace(key)), 409, 1, "passkey was refused")
    refused(await other.post(f"/me/passkeys/{added['id']}/remove", {}), 404, -1, INVALID, failed=["passkey not found"])


async def test_an_id_longer_than_any_devices_is_refused(api: Api, me: Developer) -> None:
    browser = await signed_in(api, me.account)
    for length, status in ((1023, 200), (1024, 409), (10_000, 409)):
        key = soft_passkey(api)
        key.credential_id = os.urandom(length)
        assert (await add(browser, key)).status_code == status, length


async def test_a_disabled_member_does_not_get_in_with_a_passkey(api: Api, me: Developer) -> None:
    browser, key = await signed_in(api, me.account, Role.SUPPORT), soft_passkey(api)
    done(await add(browser, key))
    done(await me.post(f"/members/{browser.member_id}/edit", {"disabled": True}))
    refused(await sign_in(api, key), 401, 1, "sign-in failed")


async def test_adding_and_removing_needs_a_recent_sign_in(api: Api, me: Developer) -> None:
    browser, key = await signed_in(api, me.account, Role.SUPPORT), soft_passkey(api)
    added = done(await add(browser, key))["passkey"]
    asked = done(await browser.post("/me/passkeys/challenge", {}))
    api.clock.ahead_ms = 15 * MINUTE_MS + 1
    refused(await browser.post("/me/passkeys/challenge", {}), 403, 0, "sign in again")
    refused(await browser.post(f"/me/passkeys/{added['id']}/remove", {}), 403, 0, "sign in again")
    api.clock.ahead_ms = 0
    done(await browser.post("/me/passkeys/challenge", {}))
    await api.change(
        "update member_sessions set created_at = created_at - :by where id = :id",
        by=16 * MINUTE_MS,
        id=browser.session_id,
    )
    credential = soft_passkey(api).create(asked["options"])
    body = {"challenge_id": asked["challenge_id"], "name": "x", "credential": credential}
    refused(await browser.post("/me/passkeys", body), 403, 0, "sign in again")


GARBAGE: list[Any] = [{}, {"id": 1}, {"id": "ä"}, {"id": "AAAA"}, {"id": "AAAA", "response": []}, {"id": "A" * 10_000}]


@pytest.mark.parametrize("credential", GARBAGE, ids=str)
async def test_garbage_is_refused(api: Api, me: Developer, credential: Any) -> None:
    browser = await signed_in(api, me.account, Role.SUPPORT)
    asked = await ask(api)
    body = {"challenge_id": asked["challenge_id"], "credential": credential}
    refused(await visit(api, "/auth/passkey", body), 401, 1, "sign-in failed")
    asked = done(await browser.post("/me/passkeys/challenge", {}))
    body = {"challenge_id": asked["challenge_id"], "name": "x", "credential": credential}
    refused(await browser.post("/me/passkeys", body), 409, 1, "passkey was refused")


async def test_a_large_answer_is_not_read(api: Api) -> None:
    body = {"challenge_id": NOBODY, "credential": {"id": "A" * 70_000}}
    assert (await visit(api, "/auth/passkey", body)).status_code == 413
    assert list(invalid(await visit(api, "/auth/passkey", {"challenge_id": NOBODY}))) == ["credential"]


async def test_a_member_has_a_bounded_number(api: Api, me: Developer, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = await signed_in(api, me.account, Role.SUPPORT)
    asked = done(await browser.post("/me/passkeys/challenge", {}))
    monkeypatch.setattr(member_passkeys, "MAX_PASSKEYS_PER_MEMBER", 1)
    done(await add(browser, soft_passkey(api)))
    refused(await browser.post("/me/passkeys/challenge", {}), 403, 2, "max passkeys reached")
    credential = soft_passkey(api).create(asked["options"])
    body = {"challenge_id": asked["challenge_id"], "name": "x", "credential": credential}
    refused(await browser.post("/me/passkeys", body), 403, 2, "max passkeys reached")


async def test_whoever_asks_for_many_challenges_locks_nobody_out(
    api: Api, me: Developer, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, key = await signed_in(api, me.account, Role.SUPPORT), soft_passkey(api)
    done(await add(browser, key))
    begun = done(await browser.post("/me/passkeys/challenge", {}))
    await api.change(
        "delete from passkey_challenges where member_id is null"
    )  # those that tests left who moved the time
    monkeypatch.setattr(member_passkeys, "MAX_CHALLENGES", 2)
    asked = []
    for _ in range(3):
        api.clock.ahead_ms += 1000
        asked.append(await ask(api))
    refused(await sign_in(api, key, asked[0]), 401, 1, "sign-in failed")
    done(await sign_in(api, key, asked[1]))
    # What a member was asked is none of those that anybody may ask for.
    body = {
        "challenge_id": begun["challenge_id"],
        "name": "x",
        "credential": soft_passkey(api).create(begun["options"]),
    }
    done(await browser.post("/me/passkeys", body))


async def test_challenges_of_a_member_are_bounded(api: Api, me: Developer, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = await signed_in(api, me.account), await signed_in(api, me.account)
    monkeypatch.setattr(member_passkeys, "MAX_CHALLENGES_PER_MEMBER", 1)
    asked = []
    for browser in (other, one, one):
        api.clock.ahead_ms += 1000
        asked.append((browser, done(await browser.post("/me/passkeys/challenge", {}))))
    for (browser, begun), status in zip(asked, (200, 409, 200), strict=True):
        credential = soft_passkey(api).create(begun["options"])
        body = {"challenge_id": begun["challenge_id"], "name": "x", "credential": credential}
        assert (await browser.post("/me/passkeys", body)).status_code == status


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://panel.example.com", ("panel.example.com", "https://panel.example.com")),
        ("https://panel.example.com:8443", ("panel.example.com", "https://panel.example.com:8443")),
        ("http://127.0.0.1:8400", ("localhost", "http://localhost:8400")),
        ("http://localhost", ("localhost", "http://localhost")),
        ("http://[::1]:8400", ("localhost", "http://localhost:8400")),
        ("http://panel.example.com", None),
        ("http://192.0.2.1:8400", None),
        ("https://192.0.2.1", None),
    ],
)
async def test_browsers_know_passkeys_of_hosts_with_names_over_https(url: str, site: tuple[str, str] | None) -> None:
    assert passkey_site(url) == site
