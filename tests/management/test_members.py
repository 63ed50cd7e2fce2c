"""Members of an account: nobody gives more than they have, and what is taken away is gone with the next call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moonlatch.clock import HOUR_MS
from moonlatch.licensing.roles import PERMISSIONS, Permission, Role
from support.management import NOBODY, Api, Developer, done, invalid, refused
from support.members import browser_of, invited, member_of, signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

INVALID = "unauthorized or invalid request"
ENDED = ["the session has ended: sign in again"]


def invitation(role: str, name: str = "b@example.com", **fields: Any) -> dict[str, Any]:
    return {"name": "B", "sign_in_name": name, "role": role, **fields}


async def test_a_sign_in_name_is_taken_once_on_the_whole_server(api: Api, me: Developer) -> None:
    link = await invited(me)
    stranger = await api.developer()
    taken = link["member"]["sign_in_name"].upper()
    refused(await stranger.post("/members", invitation("viewer", taken)), 409, 2, "sign-in name is taken")


@pytest.mark.parametrize("name", ["", "a", "a b", "a\0b", "ä@example.com", "x" * 255, "a/b", "a\nb"])
async def test_a_sign_in_name_that_nobody_could_type_is_refused(me: Developer, name: str) -> None:
    assert list(invalid(await me.post("/members", invitation("viewer", name)))) == ["sign_in_name"]


@pytest.mark.parametrize("role", list(Role))
async def test_nobody_gives_a_role_that_may_do_more_than_they(api: Api, role: Role) -> None:
    me = await api.developer()
    giver = await signed_in(api, me.account, role)
    for given in Role:
        reply = await giver.post("/members", invitation(given, f"{given}-by-{role}-{giver.member_id}"))
        may = Permission.MEMBERS_WRITE in PERMISSIONS[role] and PERMISSIONS[given] <= PERMISSIONS[role]
        assert reply.status_code == (200 if may else 403), (role, given)


async def test_an_admin_does_nothing_to_an_owner(api: Api, me: Developer) -> None:
    owner = await member_of(api, me.account)
    await member_of(api, me.account)  # so that it is not the last one that is kept
    admin = await signed_in(api, me.account, Role.ADMIN)
    for path, body in (
        ("edit", {"role": "viewer"}),
        ("edit", {"disabled": True}),
        ("remove", {}),
        ("link", {}),
        ("link/revoke", {}),
        ("reset_second_factor", {}),
        ("sign_out", {}),
    ):
        reply = await admin.post(f"/members/{owner.id}/{path}", body)
        failed = ["this member may do more than you: account:write"]
        refused(reply, 403, -1, INVALID, failed=failed)
    support = await member_of(api, me.account, Role.SUPPORT)
    raised = await admin.post(f"/members/{support.id}/edit", {"role": "owner"})
    refused(raised, 403, -1, INVALID, failed=["you may not give the role owner: you lack account:write"])
    own = await admin.post(f"/members/{admin.member_id}/edit", {"role": "owner"})
    assert own.status_code == 403


async def test_whoever_reaches_some_projects_has_to_do_with_members_of_those_alone(
    api: Api, me: Developer, project: str
) -> None:
    other = await me.new_project("Other")
    there = await member_of(api, me.account, Role.SUPPORT, projects=(project,))
    elsewhere = await member_of(api, me.account, Role.SUPPORT, projects=(project, other))
    everywhere = await member_of(api, me.account, Role.SUPPORT)
    admin = await signed_in(api, me.account, Role.ADMIN, projects=(project,))
    seen = {each["id"] for each in done(await admin.get("/members"))["members"]}
    assert seen == {there.id, admin.member_id}
    for foreign in (elsewhere.id, everywhere.id, NOBODY):
        assert (await admin.get(f"/members/{foreign}")).status_code == 404
        for path in ("edit", "remove", "link", "link/revoke", "reset_second_factor", "sign_out"):
            reply = await admin.post(f"/members/{foreign}/{path}", {})
            refused(reply, 404, -1, INVALID, failed=["member not found"])
    for unreached in (other, NOBODY):
        reply = await admin.post("/members", invitation("viewer", f"c-{admin.member_id}", projects=[unreached]))
        assert invalid(reply) == {"projects": ["must be some of those that you reach"]}
        reply = await admin.post(f"/members/{there.id}/edit", {"projects": [project, unreached]})
        assert invalid(reply) == {"projects": ["must be some of those that you reach"]}
    reply = await me.post(f"/members/{there.id}/edit", {"projects": [NOBODY]})
    assert "is not one" in invalid(reply)["projects"][0]
    # All that they reach is what "all" means.
    invited_here = done(await admin.post("/members", invitation("viewer", f"d-{admin.member_id}")))
    assert invited_here["member"]["projects"] == [project]
    widened = done(await admin.post(f"/members/{there.id}/edit", {"projects": ""}))
    assert widened["member"]["projects"] == [project]
    assert (await admin.post("/members", invitation("owner", f"e-{admin.member_id}"))).status_code == 403


async def test_a_token_that_ends_makes_no_member_who_stays(api: Api, me: Developer) -> None:
    member = await member_of(api, me.account, Role.VIEWER)
    failed = ["a token that expires, or is for some addresses only, may not give access that does neither"]
    for columns in ({"expires_at": api.clock() + HOUR_MS}, {"ip_allow": ("127.0.0.0/8",)}):
        brief = Developer(me.account, await api.token(me.account, **columns), me.http)
        for path, body in (
            ("/members", invitation("viewer")),
            (f"/members/{member.id}/link", {}),
            (f"/members/{member.id}/edit", {"role": "support"}),
        ):
            refused(await brief.post(path, body), 403, -1, INVALID, failed=failed)
        done(await brief.post(f"/members/{member.id}/edit", {"disabled": True}))
        refused(await brief.post(f"/members/{member.id}/edit", {"disabled": False}), 403, -1, INVALID, failed=failed)
        done(await me.post(f"/members/{member.id}/edit", {"disabled": False}))


async def test_an_owner_reaches_every_project(me: Developer, project: str) -> None:
    reply = await me.post("/members", invitation("owner", projects=[project]))
    assert list(invalid(reply)) == ["projects"]


async def test_the_last_owner_stays(api: Api, me: Developer) -> None:
    owner = await signed_in(api, me.account)
    await invited(me, Role.OWNER)  # who has not come yet
    gone = await member_of(api, me.account, disabled_at=1)
    path = f"/members/{owner.member_id}"
    for where, body in (("edit", {"role": "admin"}), ("edit", {"disabled": True}), ("remove", {})):
        refused(await owner.post(f"{path}/{where}", body), 409, 2, "account needs an owner")
        refused(await me.post(f"{path}/{where}", body), 409, 2, "account needs an owner")
    done(await me.post(f"/members/{gone.id}/remove", {}))
    second = await signed_in(api, me.account)
    done(await second.post(f"{path}/edit", {"role": "viewer"}))
    assert (await owner.post("/projects", {"name": "x"})).status_code == 403


async def test_of_two_owners_who_remove_each_other_one_stays(api: Api, me: Developer) -> None:
    one, other = await signed_in(api, me.account), await signed_in(api, me.account)
    await asyncio.gather(
        one.post(f"/members/{other.member_id}/remove", {}), other.post(f"/members/{one.member_id}/remove", {})
    )
    assert len(done(await me.get("/members"))["members"]) == 1


async def test_a_lowered_member_may_less_with_the_next_call(api: Api, me: Developer, project: str) -> None:
    member = await signed_in(api, me.account, Role.ADMIN)
    other = await me.new_project("Other")
    done(await member.get(f"/projects/{other}"))
    edited = done(await me.post(f"/members/{member.member_id}/edit", {"role": "viewer", "projects": [project]}))
    assert (edited["member"]["role"], edited["member"]["projects"]) == ("viewer", [project])
    assert (await member.get(f"/projects/{other}")).status_code == 404
    assert (await member.post("/projects", {"name": "x"})).status_code == 403
    done(await me.post(f"/members/{member.member_id}/edit", {"projects": ""}))
    done(await member.get(f"/projects/{other}"))


async def test_a_removed_member_is_gone_with_sessions_and_tokens(api: Api, me: Developer) -> None:
    member = await signed_in(api, me.account, Role.ADMIN)
    made = done(await member.post("/account/tokens", {"name": "bot"}))
    assert made["token"]["member_id"] == member.member_id
    bot = Developer(me.account, made["secret"], me.http)
    child = Developer(me.account, done(await bot.post("/account/tokens", {"name": "child"}))["secret"], me.http)
    done(await child.get("/account"))
    done(await me.post(f"/members/{member.member_id}/remove", {}))
    refused(await member.get("/me"), 401, -1, INVALID, failed=ENDED)
    for token in (bot, child):
        refused(await token.get("/me"), 401, -1, INVALID, failed=["invalid token"])
    listed = {each["name"]: each["revoked_at"] for each in done(await me.get("/account/tokens"))["tokens"]}
    assert listed["bot"] is not None
    assert listed["child"] is not None
    events = done(await me.get("/events"))["events"]
    assert [each["kind"] for each in events[:3]] == ["member.removed", "token.revoked", "token.revoked"]


async def test_a_members_token_may_never_do_more_than_they_may_now(api: Api, me: Developer, project: str) -> None:
    other = await me.new_project("Other")
    member = await signed_in(api, me.account, Role.OWNER)
    await member_of(api, me.account)
    bot = Developer(me.account, done(await member.post("/account/tokens", {"name": "bot"}))["secret"], me.http)
    assert set(done(await bot.get("/me"))["me"]["permissions"]) == set(Permission)
    done(await me.post(f"/members/{member.member_id}/edit", {"role": "support", "projects": [project]}))
    who = done(await bot.get("/me"))["me"]
    assert (set(who["permissions"]), who["projects"]) == (PERMISSIONS[Role.SUPPORT], [project])
    assert (await bot.get(f"/projects/{other}")).status_code == 404
    assert (await bot.post("/projects", {"name": "x"})).status_code == 403
    done(await me.post(f"/members/{member.member_id}/edit", {"disabled": True}))
    refused(await bot.get("/me"), 401, -1, INVALID, failed=["invalid token"])
    done(await me.post(f"/members/{member.member_id}/edit", {"disabled": False, "role": "owner"}))
    assert set(done(await bot.get("/me"))["me"]["permissions"]) == set(Permission)


async def test_a_members_token_whose_row_lost_its_member_is_refused(api: Api, me: Developer) -> None:
    token = await api.token(me.account, member_id=NOBODY)
    assert (await Developer(me.account, token, me.http).get("/me")).status_code == 401


async def test_two_who_edit_a_member_are_told(api: Api, me: Developer) -> None:
    member = await member_of(api, me.account, Role.VIEWER)
    read = await me.get(f"/members/{member.id}")
    tag = {"If-Match": read.headers["etag"]}
    edited = await me.post(f"/members/{member.id}/edit", {"role": "support"}, headers=tag)
    assert done(edited)["member"]["role"] == "support"
    again = await me.post(f"/members/{member.id}/edit", {"role": "viewer"}, headers=tag)
    refused(again, 412, -1, "changed meanwhile", etag=edited.headers["etag"])
    refused(await me.post(f"/members/{member.id}/edit", {}), 400, 1, "cannot edit nothing")


async def test_a_disabled_member_gets_no_link(api: Api, me: Developer) -> None:
    member = await member_of(api, me.account, Role.VIEWER, disabled_at=1)
    refused(await me.post(f"/members/{member.id}/link", {}), 409, 1, "member is disabled")


async def test_a_member_is_signed_out_by_another(api: Api, me: Developer) -> None:
    member = await member_of(api, me.account, Role.VIEWER)
    one, two = await browser_of(api, me.account, member), await browser_of(api, me.account, member)
    done(await me.post(f"/members/{member.id}/sign_out", {}))
    for browser in (one, two):
        refused(await browser.get("/me"), 401, -1, INVALID, failed=ENDED)


async def test_an_account_has_a_bounded_number_of_members(api: Api, me: Developer) -> None:
    for _ in range(200):
        await member_of(api, me.account, Role.VIEWER)
    refused(await me.post("/members", invitation("viewer")), 403, 1, "max members reached")


async def test_what_a_member_does_is_ascribed_to_them(api: Api, me: Developer) -> None:
    member = await signed_in(api, me.account)
    done(await member.post("/projects", {"name": "Theirs"}))
    (event,) = done(await me.get("/events", params={"kind": "project.created"}))["events"]
    assert (event["actor"]["kind"], event["actor"]["id"]) == ("member", member.member_id)


async def test_a_removed_account_takes_its_members_along(api: Api, me: Developer) -> None:
    member = await signed_in(api, me.account)
    await api.change("delete from accounts where id = :id", id=me.account.id)
    assert (await member.get("/me")).status_code == 401
    assert await api.value("select count(*) from members where account_id = :id", id=me.account.id) == 0
