"""Everything that members do and that is done to them leaves exactly its events: once, and none when it is tried, repeated or refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moonlatch import proofs
from moonlatch.crypto import new_id
from moonlatch.licensing.roles import Role
from moonlatch.operations.kinds import EventKind
from support.management import Api, Developer, done
from support.members import PASSWORD, Browser, accepted, browser_of, member_of, signed_in, visit
from support.passkeys import SoftPasskey

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_MEMBERS = {kind for kind in EventKind if kind.startswith("member.")}


class Watched:
    """An account whose events are looked at after each step."""

    def __init__(self, me: Developer) -> None:
        self.me = me
        self.kinds: list[str] = []
        self.seen: set[str] = set()

    async def left(self) -> list[str]:
        """What was left since it was last asked, oldest first."""
        listed = done(await self.me.get("/events", params={"limit": "1000"}))["events"]
        kinds = [event["kind"] for event in reversed(listed)]
        new, self.kinds = kinds[len(self.kinds) :], kinds
        self.seen.update(new)
        return new

    async def step(self, who: Developer, path: str, body: Any, *expected: str) -> Any:
        """A change: tried, made with a key, and sent again with it."""
        tried = await who.post(f"{path}?dry_run=true", body)
        assert done(tried)["dry_run"] is True
        assert await self.left() == [], path
        headers = {"Idempotency-Key": new_id()}
        made = await who.post(path, body, headers=headers)
        shown = done(made)
        assert await self.left() == list(expected), path
        again = await who.post(path, body, headers=headers)
        if again.status_code != 401:  # it has ended its own session
            assert (again.json(), again.headers["idempotency-replayed"]) == (shown, "true")
        assert await self.left() == [], path
        return shown

    async def refused(self, who: Developer, path: str, body: Any, status: int, *expected: str) -> None:
        assert (await who.post(path, body)).status_code == status, path
        assert await self.left() == list(expected), path


async def test_each_change_leaves_exactly_its_events(api: Api, me: Developer) -> None:
    watched = Watched(me)
    body = {"name": "Ana", "sign_in_name": f"{new_id().lower()}@example.com", "role": "support"}
    made = await watched.step(me, "/members", body, "member.invited")
    ana = made["member"]["id"]
    await watched.refused(me, "/members", body, 409)
    viewer = await signed_in(api, me.account, Role.VIEWER)
    await watched.refused(viewer, "/members", body, 403, "permission.refused")
    path = f"/members/{ana}"
    newer = await watched.step(me, f"{path}/link", {}, "member.link_created")
    await watched.step(me, f"{path}/link/revoke", {}, "member.link_revoked")
    done(await me.post(f"{path}/link/revoke", {}))
    assert await watched.left() == []
    for secret in (made["secret"], newer["secret"]):
        assert (await visit(api, "/auth/accept", {"secret": secret, "password": PASSWORD})).status_code == 404
    newest = await watched.step(me, f"{path}/link", {}, "member.link_created")
    browser = await accepted(api, me.account, newest["secret"])
    assert await watched.left() == ["member.accepted", "member.signed_in"]
    await watched.step(me, f"{path}/edit", {"role": "viewer"}, "member.edited")
    await watched.refused(me, f"{path}/edit", {}, 400)
    await of_herself(api, me, browser, watched, str(body["sign_in_name"]))
    again = await browser_of(api, me.account, await member_of(api, me.account, Role.VIEWER))
    await watched.step(me, f"/members/{again.member_id}/sign_out", {}, "member.signed_out")
    done(await me.post(f"/members/{again.member_id}/sign_out", {}))
    assert await watched.left() == []
    await watched.step(me, f"{path}/reset_second_factor", {}, "member.second_factor_reset")
    admin = await signed_in(api, me.account, Role.ADMIN)
    await watched.step(admin, "/account/tokens", {"name": "bot"}, "token.created")
    await watched.step(me, f"/members/{admin.member_id}/remove", {}, "token.revoked", "member.removed")
    owner = await signed_in(api, me.account)
    await watched.refused(me, f"/members/{owner.member_id}/remove", {}, 409)
    await watched.step(me, f"{path}/remove", {}, "member.removed")
    assert watched.seen >= OF_MEMBERS, "a kind that no step leaves needs a step"


async def of_herself(api: Api, me: Developer, browser: Browser, watched: Watched, name: str) -> None:
    """What a member does to herself."""
    await watched.step(browser, "/me/edit", {"name": "Ana B."}, "member.edited")
    await watched.step(browser, "/me/password", {"password": "another horse battery"}, "member.password_changed")
    secret = (await watched.step(browser, "/me/totp/begin", {}))["secret"]
    step = api.clock() // 30_000
    code = proofs.totp_code(secret, step)
    wrong = "000000" if code != "000000" else "111111"
    await watched.refused(browser, "/me/totp/enable", {"code": wrong}, 403)
    await watched.step(browser, "/me/totp/enable", {"code": code}, "member.totp_enabled")
    codes = (await watched.step(browser, "/me/recovery_codes", {}, "member.recovery_codes_made"))["recovery_codes"]
    sign_in = {"sign_in_name": name, "password": "another horse battery"}
    assert (await visit(api, "/auth/sign_in", sign_in)).status_code == 401
    assert await watched.left() == []
    done(await visit(api, "/auth/sign_in", {**sign_in, "code": codes[0]}))
    assert await watched.left() == ["member.signed_in"]
    assert (await visit(api, "/auth/sign_in", {**sign_in, "password": PASSWORD})).status_code == 401
    for _ in range(200):  # it is written after the answer
        if found := await watched.left():
            break
        await asyncio.sleep(0.05)
    assert found == ["member.sign_in_failed"]
    await watched.step(browser, "/me/totp/disable", {}, "member.totp_disabled")
    key = SoftPasskey.at(api.world.signing_in.url)
    asked = done(await browser.post("/me/passkeys/challenge", {}))
    credential = key.create(asked["options"])
    added = done(
        await browser.post(
            "/me/passkeys", {"challenge_id": asked["challenge_id"], "name": "key", "credential": credential}
        )
    )
    assert await watched.left() == ["member.passkey_added"]
    await watched.step(browser, f"/me/passkeys/{added['passkey']['id']}/remove", {}, "member.passkey_removed")
    (other,) = [each for each in done(await browser.get("/me/sessions"))["sessions"] if not each["current"]]
    await watched.step(browser, f"/me/sessions/{other['id']}/revoke", {}, "member.signed_out")
    await watched.step(browser, "/me/sign_out", {}, "member.signed_out")
