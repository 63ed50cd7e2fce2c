"""Who may do what: every route with every role, with every single permission, and within some projects only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from moonlatch import crypto
from moonlatch.clock import DAY_MS
from moonlatch.licensing.roles import PERMISSIONS, Permission, Role
from moonlatch.management.routes import Own, Route
from support.database import first_engine_url as first_engine_url
from support.management import NOBODY, Api, Developer, done, refused
from support.members import Browser, browser_of, member_of, signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")


def guarded(api: Api) -> list[tuple[str, str, Permission]]:
    """Method, path and permission of every route that needs one."""
    return [
        (method, route.path, route.permission)
        for route in api.app.routes
        if isinstance(route, Route) and route.permission is not None
        for method in sorted(route.methods or ())
    ]


def for_somebody(api: Api) -> list[tuple[str, str]]:
    """Method and path of every route that somebody must be known for, with a permission or without."""
    return [
        (method, route.path)
        for route in api.app.routes
        if isinstance(route, Route) and route.needs is not None
        for method in sorted(route.methods or ())
    ]


async def limited(api: Api, owner: Developer, permissions: Iterable[Permission], **columns: Any) -> Developer:
    """Somebody with a token of the owner's account that has these permissions only."""
    token = await api.token(owner.account, permissions=tuple(permissions), **columns)
    return Developer(owner.account, token, owner.http)


def lacks(reply: httpx.Response, permission: Permission) -> bool:
    failed = [f"this needs the permission {permission}"]
    return reply.status_code == 403 and reply.json()["error"].get("failed") == failed


def at(path: str, value: str = NOBODY) -> str:
    before, brace, after = path.partition("{")
    return before + value + after.partition("}")[2] if brace else path


async def call(who: Developer, method: str, path: str) -> httpx.Response:
    """A call that changes nothing: of things that nobody has, or with a body that is wrong in every field."""
    return await who.call(method, path, {"no such field": 1} if method == "POST" else None)


async def test_a_route_that_names_no_permission_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="does not say what permission it needs"):
        Route("/open", call)


async def test_every_route_says_who_may_call_it(api: Api) -> None:
    public = {route.path for route in api.app.routes if not isinstance(route, Route) or route.needs is None}
    assert public == {
        "/auth/accept",
        "/auth/link",
        "/auth/passkey",
        "/auth/passkey/challenge",
        "/auth/sign_in",
        "/",
        "/docs",
        "/docs/start.js",
        "/docs/swagger-ui-bundle.js",
        "/docs/swagger-ui.css",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
    }
    assert {permission for _, _, permission in guarded(api)} <= set(Permission)
    own = {route.path for route in api.app.routes if isinstance(route, Route) and isinstance(route.needs, Own)}
    assert all(path == "/me" or path.startswith("/me/") for path in own)


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_may_what_its_permissions_say_on_every_route(api: Api, role: Role) -> None:
    who = await limited(api, await api.developer(), PERMISSIONS[role])
    for method, path, permission in guarded(api):
        reply = await call(who, method, at(path))
        assert lacks(reply, permission) == (permission not in PERMISSIONS[role]), (method, path)


@pytest.mark.parametrize("role", list(Role))
async def test_a_member_may_what_their_role_says_on_every_route(api: Api, role: Role) -> None:
    who = await signed_in(api, (await api.developer()).account, role)
    for method, path, permission in guarded(api):
        reply = await call(who, method, at(path))
        assert lacks(reply, permission) == (permission not in PERMISSIONS[role]), (method, path)
        assert reply.status_code != 401, (method, path)
    for method, path in set(for_somebody(api)) - {(method, path) for method, path, _ in guarded(api)}:
        assert (await call(who, method, at(path))).status_code == (
            200 if method == "GET" else 404 if "{" in path else 400
        ), (method, path)


async def furnished(api: Api, me: Developer) -> dict[str, str]:
    """One resource of every kind, by the name that it has in paths."""
    project = await me.new_project()
    key = await me.new_user(project)
    client = await api.running_script(project)
    session = await api.session(client, key=key)
    tokens = done(await me.get("/account/tokens"))["tokens"]
    made = done(await me.post(f"/projects/{project}/endpoints", {"url": "https://receiver.invalid/"}))["endpoint"]["id"]
    system = done(await me.post("/ads/systems/new", {"project_id": project, "name": "Free keys"}))["system_id"]
    gate = {"provider": "custom", "settings": {"url": "https://gate.example/"}}
    return {
        "system_id": system,
        "step_id": done(await me.post(f"/ads/systems/{system}/steps", gate))["step"]["id"],
        "endpoint_id": made,
        "delivery_id": done(await me.post(f"/endpoints/{made}/test", {}))["delivery"]["id"],
        "project_id": project,
        "script_id": client.script,
        "key": key,
        "session_id": session.id,
        "token_id": tokens[0]["id"],
        "member_id": (await member_of(api, me.account, Role.VIEWER)).id,
    }


@pytest.mark.parametrize("role", list(Role))
async def test_a_member_of_another_account_finds_nothing_here(api: Api, me: Developer, role: Role) -> None:
    resources = await furnished(api, me)
    stranger = await signed_in(api, (await api.developer()).account, role)
    for method, path, permission in guarded(api):
        for name, value in resources.items():
            if f"{{{name}}}" in path:
                there, nowhere = await call(stranger, method, at(path, value)), await call(stranger, method, at(path))
                assert (there.status_code, there.content) == (nowhere.status_code, nowhere.content), path
                assert there.status_code == (404 if permission in PERMISSIONS[role] else 403), path
    assert done(await me.get(f"/scripts/{resources['script_id']}"))["script"]["total_sessions"] == 1


@pytest.mark.parametrize("role", list(Role))
async def test_a_member_of_some_projects_finds_nothing_outside_of_them(api: Api, me: Developer, role: Role) -> None:
    resources = await furnished(api, me)
    mine = await me.new_project("Mine")
    who = await signed_in(api, me.account, role if role is not Role.OWNER else Role.ADMIN, projects=(mine,))
    for method, path, permission in guarded(api):
        for name, value in resources.items():
            if f"{{{name}}}" in path and name != "token_id":
                reply = await call(who, method, at(path, value))
                assert reply.status_code == 404 or lacks(reply, permission), (method, path)
                assert reply.content == (await call(who, method, at(path))).content, (method, path)
    assert [each["id"] for each in done(await who.get("/projects"))["projects"]] == [mine]


async def test_a_session_that_is_no_longer_good_opens_no_route(api: Api, me: Developer) -> None:
    member = await member_of(api, me.account)
    long_ago = api.clock() - 8 * DAY_MS
    unused = await browser_of(api, me.account, member, last_used_at=api.clock() - DAY_MS)
    old = await browser_of(api, me.account, member, created_at=long_ago)
    revoked, other = await browser_of(api, me.account, member), await browser_of(api, me.account, member)
    done(await other.post(f"/me/sessions/{revoked.session_id}/revoke", {}))
    disabled = await signed_in(api, me.account, disabled_at=1)
    uninvited = await signed_in(api, me.account, joined_at=None)
    forged = Browser(me.account, crypto.new_id(), me.http, "", api.url)
    ended = ["the session has ended: sign in again"]
    for who in (unused, old, revoked, disabled, uninvited, forged):
        for method, path in for_somebody(api):
            reply = await call(who, method, at(path))
            refused(reply, 401, -1, "unauthorized or invalid request", failed=ended)


async def test_no_change_is_made_by_a_cookie_alone(api: Api, me: Developer) -> None:
    """What another site's page can have a browser send: the cookie (of an old browser), and no header that is ours."""
    who = await signed_in(api, me.account)
    other = await signed_in(api, me.account)
    forgeries: list[dict[str, str]] = [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": other.csrf},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": api.url.replace("127.0.0.1", "localhost")},
        {"Origin": api.url.replace("http:", "https:")},
        {"X-Forwarded-For": "192.0.2.1"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ]
    for method, path in for_somebody(api):
        for forged in forgeries if method == "POST" else ():
            reply = await who.call(method, at(path), {"no such field": 1}, headers=forged)
            assert reply.status_code in (401, 403), (path, forged)
            assert not lacks(reply, Permission.ACCOUNT_WRITE)
    without = {"Cookie": f"moonlatch-local={who.token}"}
    assert (await me.http.post("/projects", json={"name": "x"}, headers=without)).status_code == 403
    assert done(await me.get("/projects"))["projects"] == []
    done(await who.post("/projects", {"name": "x"}))


async def test_a_token_counts_before_a_cookie_and_needs_no_page(api: Api, me: Developer) -> None:
    viewer = await signed_in(api, me.account, Role.VIEWER)
    cookie = {"Cookie": f"moonlatch-local={viewer.token}"}
    done(await me.post("/projects", {"name": "x"}, headers=cookie))
    assert (await me.get("/me", headers={**cookie, "token": "ml_" + "x" * 43})).status_code == 401


@pytest.mark.parametrize("one", list(Permission))
async def test_a_single_permission_opens_its_routes_and_no_others(api: Api, one: Permission) -> None:
    who = await limited(api, await api.developer(), [one])
    for method, path, permission in guarded(api):
        assert lacks(await call(who, method, at(path)), permission) == (permission is not one), (method, path)


async def test_what_an_operation_needs_is_what_its_route_names(api: Api, me: Developer, project: str) -> None:
    """With only the route's permission every change goes through, so an operation cannot ask for another one."""
    key, script = await me.new_user(project), await me.new_script(project)
    changes: list[tuple[str, Permission, Any]] = [
        ("/projects", Permission.PROJECTS_WRITE, {"name": "New"}),
        (f"/projects/{project}/edit", Permission.PROJECTS_WRITE, {"name": "New"}),
        (f"/projects/{project}/scripts", Permission.SCRIPTS_WRITE, {"name": "New"}),
        (f"/projects/{project}/users", Permission.KEYS_WRITE, {}),
        (f"/scripts/{script}/edit", Permission.SCRIPTS_WRITE, {"name": "New"}),
        (f"/scripts/{script}/update", Permission.SCRIPTS_PUBLISH, {"script": "print(1)"}),
        (f"/scripts/{script}/toggle", Permission.SCRIPTS_WRITE, {"state": False}),
        (f"/scripts/{script}/remove", Permission.SCRIPTS_WRITE, {}),
        (f"/users/{key}/edit", Permission.KEYS_WRITE, {"note": "New"}),
        (f"/users/{key}/blacklist", Permission.KEYS_WRITE, {}),
        (f"/users/{key}/unblacklist", Permission.KEYS_WRITE, {}),
        (f"/users/{key}/remove", Permission.KEYS_WRITE, {}),
        ("/sessions/disconnect", Permission.SESSIONS_STOP, {"session_ids": [NOBODY]}),
        ("/account/luraph", Permission.ACCOUNT_WRITE, {"api_key": "key"}),
        ("/account/tokens", Permission.TOKENS_WRITE, {"name": "New"}),
        (f"/projects/{project}/remove", Permission.PROJECTS_WRITE, {}),
    ]
    for path, permission, body in changes:
        done(await (await limited(api, me, [permission])).post(path, body))


async def test_what_is_outside_of_a_tokens_projects_is_not_there(api: Api, me: Developer) -> None:
    mine, other = await me.new_project("Mine"), await me.new_project("Other")
    resources = {
        "project_id": other,
        "script_id": await me.new_script(other),
        "key": await me.new_user(other),
    }
    client = await api.running_script(other)
    resources["session_id"] = (await api.session(client, key=resources["key"])).id
    who = await limited(api, me, Permission, projects=(mine,))
    for method, path, _ in guarded(api):
        for name, value in resources.items():
            if f"{{{name}}}" in path:
                there, nowhere = await call(who, method, at(path, value)), await call(who, method, at(path))
                assert (there.status_code, there.content) == (nowhere.status_code, nowhere.content), path
                assert there.status_code == 404, path
    assert [each["id"] for each in done(await who.get("/projects"))["projects"]] == [mine]
    assert (await who.post("/projects", {"name": "A third"})).status_code == 403
    assert (await who.get("/events")).status_code == 403
    assert (await who.get(f"/projects/{mine}/events")).status_code == 200
    done(await who.post("/sessions/disconnect", {"session_ids": [resources["session_id"]]}))
    assert (await me.get(f"/sessions/{resources['session_id']}")).status_code == 200


async def test_keys_are_masked_for_those_who_may_not_see_them(api: Api, me: Developer, project: str) -> None:
    key = await me.new_user(project)
    client = await api.running_script(project)
    session = (await api.session(client, key=key)).id
    viewer = await limited(api, me, PERMISSIONS[Role.VIEWER])
    masked = f"{key[:4]}…{key[-4:]}"
    user = (await me.user(key))["id"]
    assert (await viewer.user(user))["key"] == masked
    assert done(await viewer.get(f"/projects/{project}/users"))["users"][0]["key"] == masked
    assert done(await viewer.get(f"/sessions/{session}"))["session"]["user_key"] == masked
    sessions = await viewer.post(f"/scripts/{client.script}/sessions", {})
    assert done(sessions)["sessions"][0]["user_key"] == masked


async def test_a_refusal_for_lack_of_a_permission_leaves_one_event_a_minute(api: Api) -> None:
    me = await api.developer()
    viewer = await limited(api, me, PERMISSIONS[Role.VIEWER])
    for _ in range(5):
        assert (await viewer.post("/projects", {"name": "x"})).status_code == 403
    (event,) = done(await me.get("/events"))["events"]
    assert (event["kind"], event["resource"]["label"]) == ("permission.refused", "POST /projects (projects:write)")


async def test_a_token_never_exceeds_its_maker(api: Api, me: Developer, project: str) -> None:
    soon = api.clock() + 3_600_000
    permissions = [Permission.TOKENS_WRITE, Permission.KEYS_READ]
    maker = await limited(
        api, me, permissions, projects=(project,), expires_at=soon, ip_allow=("127.0.0.0/24", "::1/128")
    )
    made = done(await maker.post("/account/tokens", {"name": "child"}))["token"]
    assert sorted(made["permissions"]) == sorted(permissions)
    assert (made["projects"], made["expires_at"]) == ([project], soon)
    assert made["ip_allow"] == ["127.0.0.0/24", "::1/128"]
    done(await maker.post("/account/tokens", {"name": "less", "permissions": [], "ip_allow": ["127.0.0.1"]}))
    other = await me.new_project()
    for more, status in (
        ({"permissions": ["keys:write"]}, 403),
        ({"projects": [other]}, 404),
        ({"expires_at": soon + 1}, 400),
        ({"ip_allow": ["127.0.0.0/8"]}, 400),
        ({"ip_allow": ["::/0"]}, 400),
    ):
        assert (await maker.post("/account/tokens", {"name": "more", **more})).status_code == status, more


async def test_a_token_that_may_do_more_is_not_revoked(api: Api, me: Developer, project: str) -> None:
    first = done(await me.get("/account/tokens"))["tokens"][0]["id"]
    maker = await limited(api, me, [Permission.TOKENS_WRITE])
    assert (await maker.post(f"/account/tokens/{first}/revoke", {})).status_code == 403
    child = done(await maker.post("/account/tokens", {"name": "child"}))["token"]["id"]
    done(await maker.post(f"/account/tokens/{child}/revoke", {}))


async def test_tokens_of_other_projects_are_not_there(api: Api, me: Developer, project: str) -> None:
    other = await me.new_project()
    there = await limited(api, me, Permission, projects=(project,))
    same = done(await me.post("/account/tokens", {"name": "same", "projects": [project]}))["token"]["id"]
    wider = done(await me.post("/account/tokens", {"name": "wider", "projects": [project, other]}))["token"]["id"]
    everywhere = done(await me.get("/account/tokens"))["tokens"][0]["id"]
    shown = done(await there.get("/account/tokens"))["tokens"]
    assert [each["projects"] for each in shown] == [[project], [project]]
    for foreign in (wider, everywhere, NOBODY):
        reply = await there.post(f"/account/tokens/{foreign}/revoke", {})
        assert (reply.status_code, reply.json()["error"]["failed"]) == (404, ["token not found"])
    done(await there.post(f"/account/tokens/{same}/revoke", {}))


async def test_a_member_revokes_their_own_token_also_when_it_was_made_for_more(
    api: Api, me: Developer, project: str
) -> None:
    admin = await signed_in(api, me.account, Role.ADMIN)
    made = [done(await admin.post("/account/tokens", {"name": name}))["token"]["id"] for name in ("one", "other")]
    done(await me.post(f"/members/{admin.member_id}/edit", {"projects": [project]}))
    assert [each["id"] for each in done(await admin.get("/account/tokens"))["tokens"]] == made
    done(await admin.post(f"/account/tokens/{made[0]}/revoke", {}))


async def test_the_key_with_luraph_is_the_whole_accounts(api: Api, me: Developer, project: str) -> None:
    """Whoever sets it reads there what every project sends."""
    there = await limited(api, me, Permission, projects=(project,))
    for key in ("key", None):
        reply = await there.post("/account/luraph", {"api_key": key})
        assert reply.status_code == 403
        assert reply.json()["error"]["failed"] == ["this needs access to all projects of the account"]
    assert done(await me.get("/account"))["account"]["luraph_key_set"] is False


async def test_a_token_shows_how_it_begins_and_when_it_was_used(api: Api, me: Developer) -> None:
    made = done(await me.post("/account/tokens", {"name": "bot"}))
    assert made["secret"].startswith(made["token"]["prefix"])
    assert (made["token"]["last_used_at"], len(made["token"]["prefix"])) == (None, 9)
    bot = Developer(me.account, made["secret"], me.http)
    done(await bot.get("/account"))
    for _ in range(100):  # it is written after the answer
        (shown,) = [each for each in done(await me.get("/account/tokens"))["tokens"] if each["name"] == "bot"]
        if shown["last_used_at"] is not None:
            break
        await asyncio.sleep(0.05)
    assert shown["last_used_from"] == "127.0.0.1"


async def test_a_token_ends_with_a_checksum_and_a_wrong_one_is_refused(api: Api, me: Developer) -> None:
    secret = crypto.new_api_token()
    assert len(secret) == 3 + 43 + 6
    assert crypto.is_api_token(secret)
    wrong = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    assert not crypto.is_api_token(wrong)
    assert (await Developer(me.account, wrong, me.http).get("/account")).status_code == 401


async def test_a_token_without_a_checksum_goes_on_working(api: Api, me: Developer) -> None:
    old = "ml_" + "x" * 43
    await api.token(me.account, hash=crypto.token_hash(old))
    done(await Developer(me.account, old, me.http).get("/account"))
