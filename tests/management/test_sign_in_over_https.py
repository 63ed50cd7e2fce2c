"""A server that browsers reach over https at a name, and one that they reach in clear: which cookie, which origin, which passkeys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from moonlatch.licensing.roles import Role
from moonlatch.licensing.signing_in import SignInRules
from moonlatch.management.sign_in_limits import Rate, SignInRates
from support.management import Api, done, refused, running_api
from support.members import PASSWORD, accepted, invited, signed_in

PANEL = "https://panel.example.com"


async def named(api: Api) -> str:
    """What a fresh member signs in with."""
    me = await api.developer()
    link = await invited(me)
    await accepted(api, me.account, link["secret"])
    return str(link["member"]["sign_in_name"])


async def sign_in(api: Api, name: str, password: str = PASSWORD, **headers: str) -> Any:
    body = {"sign_in_name": name, "password": password}
    reply = await api.http.post("/auth/sign_in", json=body, headers=headers)
    api.http.cookies.clear()
    return reply


async def test_over_https_the_cookie_is_held_to_this_host(tmp_path: Path) -> None:
    async with running_api(tmp_path, signing_in=SignInRules(url=PANEL)) as api:
        name = await named(api)
        # What a proxy on this machine sends, and one that keeps the name of the host.
        for forwarded in ({"X-Forwarded-For": "192.0.2.9"}, {"Host": "panel.example.com"}, {}):
            reply = await sign_in(api, name, Origin=PANEL, **forwarded)
            me = done(reply)["me"]
            assert reply.headers["set-cookie"].startswith("__Host-moonlatch=")
            assert reply.headers["set-cookie"].endswith("; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict; Secure")
            held = reply.headers["set-cookie"].partition(";")[0]
            sent = {"Cookie": held, "Origin": PANEL, "X-CSRF-Token": me["csrf"], **forwarded}
            done(await api.http.post("/me/edit", json={"name": "B"}, headers=sent))
            elsewhere = {**sent, "Origin": api.url}
            assert (await api.http.post("/me/edit", json={"name": "B"}, headers=elsewhere)).status_code == 403
            # A cookie without the prefix could have been set by whoever can answer for the name in clear.
            plain = {"Cookie": held.replace("__Host-moonlatch", "moonlatch-local"), "X-Forwarded-For": "192.0.2.9"}
            assert (await api.http.get("/me", headers=plain)).status_code == 401
        for origin in (
            "http://panel.example.com",
            "https://panel.example.com.evil.example",
            "https://panel.example.com:8443",
        ):
            assert (await sign_in(api, name, Origin=origin)).status_code == 403


async def test_in_clear_nobody_signs_in(tmp_path: Path) -> None:
    async with running_api(tmp_path, signing_in=SignInRules(url="http://192.0.2.1:8400")) as api:
        name = await named(api)
        clear = {"Origin": "http://192.0.2.1:8400", "Host": "192.0.2.1:8400"}
        assert (await sign_in(api, name, **clear)).status_code == 403
        refused(
            await api.http.post("/auth/passkey/challenge", json={}, headers={"Origin": api.url}),
            409,
            3,
            "passkeys are not available here",
        )
        body = {"challenge_id": "x", "credential": {}}
        reply = await api.http.post("/auth/passkey", json=body, headers={"Origin": api.url})
        refused(reply, 409, 3, "passkeys are not available here")
        browser = await signed_in(api, (await api.developer()).account, Role.VIEWER)
        assert done(await browser.get("/me"))["me"]["passkeys_available"] is False
        refused(await browser.post("/me/passkeys/challenge", {}), 409, 3, "passkeys are not available here")
        body = {"challenge_id": "x", "name": "x", "credential": {}}
        refused(await browser.post("/me/passkeys", body), 409, 3, "passkeys are not available here")


async def test_tries_are_bounded_by_name_and_by_address(tmp_path: Path) -> None:
    rates = SignInRates(per_name=Rate(seconds=600, burst=3), per_address=Rate(seconds=600, burst=8))
    async with running_api(tmp_path, sign_in_rates=rates) as api:
        name = await named(api)  # one try of this address
        wrong = [(await sign_in(api, name, "wrong horse battery", Origin=api.url)).status_code for _ in range(4)]
        assert wrong == [401, 401, 401, 429]
        limited = await sign_in(api, name.upper(), Origin=api.url)
        assert (limited.status_code, int(limited.headers["retry-after"]) > 500) == (429, True)
        nobody = [(await sign_in(api, f"nobody{number}", Origin=api.url)).status_code for number in range(3)]
        assert nobody == [401, 401, 429]
        # Whoever has signed in already is not concerned.
        browser = await signed_in(api, (await api.developer()).account, Role.VIEWER)
        done(await browser.get("/me"))


async def test_a_flood_of_sign_ins_holds_nobody_else_up(tmp_path: Path) -> None:
    """Of many at once some are told to try again, and a call that hashes nothing is answered while the others wait."""
    async with running_api(tmp_path) as api:
        name = await named(api)
        flood = [asyncio.create_task(sign_in(api, name, "wrong horse battery", Origin=api.url)) for _ in range(200)]
        calls = 0
        while not all(task.done() for task in flood):
            assert (await api.http.get("/health/live")).status_code == 200
            calls += 1
        statuses = [task.result().status_code for task in flood]
        assert set(statuses) == {401, 429}
        assert statuses.count(401) >= 33
        assert calls > 10
