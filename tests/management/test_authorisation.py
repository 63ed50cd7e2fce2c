"""Every endpoint, driven from one table: who may call it, and that a missing and a foreign resource look the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from moonlatch.licensing.roles import Role
from support import rows
from support.database import first_engine_url as first_engine_url
from support.management import NOBODY, Api, Developer, operations, refused
from support.members import member_of, signed_in

pytestmark = pytest.mark.asyncio(loop_scope="module")


INVALID = "unauthorized or invalid request"
PUBLIC = {
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("POST", "/auth/sign_in"),
    ("POST", "/auth/link"),
    ("POST", "/auth/accept"),
    ("POST", "/auth/passkey/challenge"),
    ("POST", "/auth/passkey"),
}
OF_MEMBERS = {
    ("POST", "/me/edit"),
    ("POST", "/me/password"),
    ("POST", "/me/totp/begin"),
    ("POST", "/me/totp/enable"),
    ("POST", "/me/totp/disable"),
    ("POST", "/me/recovery_codes"),
    ("GET", "/me/passkeys"),
    ("POST", "/me/passkeys/challenge"),
    ("POST", "/me/passkeys"),
    ("POST", "/me/passkeys/{passkey_id}/remove"),
    ("GET", "/me/sessions"),
    ("POST", "/me/sessions/{session_id}/revoke"),
    ("POST", "/me/sessions/revoke"),
    ("POST", "/me/sign_out"),
}
"""What only a browser that is signed in may call."""

NOT_CONNECTED = 409
"""What is answered where no Discord application is connected; the same path can be read."""

ONLY_MEMBERS = ["this is for members who have signed in, not for tokens"]

# What each protected endpoint belongs to, and a good body.
ENDPOINTS: dict[tuple[str, str], tuple[str | None, Any]] = {
    ("GET", "/scripts/{script_id}"): ("script", None),
    ("GET", "/scripts/{script_id}/executions"): ("script", None),
    ("GET", "/scripts/{script_id}/builds"): ("script", None),
    ("GET", "/scripts/{script_id}/instances"): ("script", None),
    ("POST", "/instances/{instance_id}/stop"): ("instance", {}),
    ("GET", "/scripts/{script_id}/protection"): ("script", None),
    ("GET", "/scripts/{script_id}/sessions/filter"): ("script", None),
    ("POST", "/scripts/{script_id}/edit"): ("script", {"name": "New"}),
    ("POST", "/scripts/{script_id}/remove"): ("script", {}),
    ("POST", "/scripts/{script_id}/update"): ("script", {"script": "print(1)"}),
    ("POST", "/scripts/{script_id}/check"): ("script", {"script": "print(1)"}),
    ("POST", "/scripts/{script_id}/trace"): ("script", {"file": "print(1)"}),
    ("POST", "/scripts/{script_id}/rollback"): ("script", {"build": 3}),
    ("POST", "/scripts/{script_id}/builds/{number}/yank"): ("script", {}),
    ("GET", "/scripts/{script_id}/channels"): ("script", None),
    ("POST", "/scripts/{script_id}/channels"): ("script", {"name": "beta", "build": 1}),
    ("POST", "/scripts/{script_id}/channels/{name}/remove"): ("script", {}),
    ("GET", "/scripts/{script_id}/pins"): ("script", None),
    ("GET", "/scripts/{script_id}/rollouts"): ("script", None),
    ("POST", "/scripts/{script_id}/rollouts"): ("script", {"build": 2, "steps": [{"basis_points": 500}]}),
    ("GET", "/rollouts/{rollout_id}"): ("rollout", None),
    ("POST", "/rollouts/{rollout_id}/pause"): ("rollout", {}),
    ("POST", "/rollouts/{rollout_id}/resume"): ("rollout", {"confirm": True}),
    ("POST", "/rollouts/{rollout_id}/finish"): ("rollout", {}),
    ("POST", "/rollouts/{rollout_id}/halt"): ("rollout", {}),
    ("GET", "/scripts/{script_id}/scheduled"): ("script", None),
    ("POST", "/scripts/{script_id}/builds/{number}/schedule"): ("script", {"publish_at": 4_102_444_800_000}),
    ("POST", "/scripts/{script_id}/builds/{number}/unschedule"): ("script", {}),
    ("GET", "/users/{key}/pins"): ("user", None),
    ("POST", "/users/{key}/pin"): ("user", {"script": NOBODY, "build": 2}),
    ("POST", "/scripts/{script_id}/rotate_loader"): ("script", {"grace": 0}),
    ("POST", "/scripts/{script_id}/toggle"): ("script", {"state": False}),
    ("POST", "/scripts/{script_id}/sessions"): ("script", {}),
    ("GET", "/projects/{project_id}/users/counts"): ("project", None),
    ("GET", "/projects/{project_id}/users/removed"): ("project", None),
    ("POST", "/projects/{project_id}/users/restore"): ("project", {"keys": ["A" * 32]}),
    ("GET", "/projects"): (None, None),
    ("POST", "/projects"): (None, {"name": "New"}),
    ("GET", "/projects/{project_id}"): ("project", None),
    ("POST", "/projects/{project_id}/edit"): ("project", {"name": "New"}),
    ("POST", "/projects/{project_id}/remove"): ("project", {}),
    ("GET", "/projects/{project_id}/executions"): ("project", None),
    ("GET", "/projects/{project_id}/news"): ("project", None),
    ("GET", "/projects/{project_id}/refusals"): ("project", None),
    ("GET", "/projects/{project_id}/executors"): ("project", None),
    ("GET", "/projects/{project_id}/scripts"): ("project", None),
    ("POST", "/projects/{project_id}/scripts"): ("project", {"name": "New"}),
    ("GET", "/projects/{project_id}/users"): ("project", None),
    ("POST", "/projects/{project_id}/users"): ("project", {}),
    ("GET", "/projects/{project_id}/bars"): ("project", None),
    ("POST", "/projects/{project_id}/bars/lift"): ("project", {"bars": ["00" * 32]}),
    ("POST", "/projects/{project_id}/users/bulk"): ("project", {"filter": {"all": True}, "remove": {}}),
    ("GET", "/users/{key}"): ("user", None),
    ("POST", "/users/{key}/edit"): ("user", {"note": "New"}),
    ("POST", "/users/{key}/blacklist"): ("user", {}),
    ("POST", "/users/{key}/unblacklist"): ("user", {}),
    ("POST", "/users/{key}/release"): ("user", {}),
    ("POST", "/users/{key}/reset_fingerprint"): ("user", {}),
    ("POST", "/users/{key}/name_device"): ("user", {"device": "00" * 32, "name": "x"}),
    ("POST", "/users/{key}/revoke_instances"): ("user", {}),
    ("POST", "/users/{key}/licence"): ("user", {"script_id": "x", "device": "d"}),
    ("POST", "/users/{key}/remove"): ("user", {}),
    ("GET", "/sessions/{session_id}"): ("session", None),
    ("POST", "/sessions/{session_id}/disconnect"): ("session", {}),
    ("POST", "/sessions/{session_id}/message"): ("session", {"key": "give"}),
    ("POST", "/sessions/disconnect"): (None, {"session_ids": [NOBODY]}),
    ("POST", "/sessions/message"): (None, {"session_ids": [NOBODY], "key": "give"}),
    ("GET", "/account"): (None, None),
    ("GET", "/server"): (None, None),
    ("GET", "/events"): (None, None),
    ("GET", "/projects/{project_id}/events"): ("project", None),
    ("GET", "/users/{key}/events"): ("user", None),
    ("GET", "/users/{key}/executions"): ("user", None),
    ("GET", "/users/{key}/devices"): ("user", None),
    ("GET", "/users/{key}/refusals"): ("user", None),
    ("GET", "/account/tokens"): (None, None),
    ("POST", "/account/luraph"): (None, {"api_key": "key"}),
    ("POST", "/account/tokens"): (None, {"name": "New"}),
    ("POST", "/account/tokens/{token_id}/revoke"): ("token", {}),
    ("GET", "/scripts/{script_id}/errors"): ("script", None),
    ("GET", "/errors/{error_id}"): ("error", None),
    ("POST", "/errors/{error_id}/resolve"): ("error", {}),
    ("POST", "/errors/{error_id}/ignore"): ("error", {}),
    ("POST", "/errors/{error_id}/reopen"): ("error", {}),
    ("GET", "/scripts/{script_id}/builds/{number}/explain"): ("script", None),
    ("GET", "/projects/{project_id}/variables"): ("project", None),
    ("POST", "/projects/{project_id}/variables"): ("project", {"name": "greeting", "value": "hello"}),
    ("GET", "/scripts/{script_id}/variables"): ("script", None),
    ("POST", "/scripts/{script_id}/variables"): ("script", {"name": "greeting", "value": "hello"}),
    ("GET", "/users/{key}/variables"): ("user", None),
    ("POST", "/users/{key}/variables"): ("user", {"name": "greeting", "value": "hello"}),
    ("GET", "/projects/{project_id}/remotes"): ("project", None),
    ("POST", "/projects/{project_id}/remotes"): ("project", {"name": "a", "kind": "webhook", "endpoint_id": "x"}),
    ("GET", "/scripts/{script_id}/remotes"): ("script", None),
    ("POST", "/scripts/{script_id}/remotes"): ("script", {"name": "a", "kind": "webhook", "endpoint_id": "x"}),
    ("GET", "/remotes/{remote_id}"): ("remote", None),
    ("POST", "/remotes/{remote_id}/remove"): ("remote", {}),
    ("GET", "/variables/{variable_id}"): ("variable", None),
    ("POST", "/variables/{variable_id}/remove"): ("variable", {}),
    ("GET", "/projects/{project_id}/endpoints"): ("project", None),
    ("POST", "/projects/{project_id}/endpoints"): ("project", {"url": "https://receiver.invalid/"}),
    ("GET", "/endpoints/{endpoint_id}"): ("endpoint", None),
    ("POST", "/endpoints/{endpoint_id}/edit"): ("endpoint", {"name": "New"}),
    ("POST", "/endpoints/{endpoint_id}/remove"): ("endpoint", {}),
    ("POST", "/endpoints/{endpoint_id}/rotate_secret"): ("endpoint", {}),
    ("POST", "/endpoints/{endpoint_id}/test"): ("endpoint", {}),
    ("GET", "/endpoints/{endpoint_id}/deliveries"): ("endpoint", None),
    ("POST", "/endpoints/{endpoint_id}/replay"): ("endpoint", {"failed_since": 1_700_000_000_000}),
    ("GET", "/deliveries/{delivery_id}"): ("delivery", None),
    ("POST", "/deliveries/{delivery_id}/replay"): ("delivery", {}),
    ("GET", "/ads/providers"): (None, None),
    ("GET", "/ads/systems"): (None, None),
    ("POST", "/ads/systems/new"): (None, {"project_id": NOBODY, "name": "New"}),
    ("GET", "/ads/systems/{system_id}"): ("system", None),
    ("POST", "/ads/systems/{system_id}/edit"): ("system", {"name": "New"}),
    ("POST", "/ads/systems/{system_id}/remove"): ("system", {}),
    ("POST", "/ads/systems/{system_id}/steps"): (
        "system",
        {"provider": "custom", "settings": {"url": "https://a.example"}},
    ),
    ("POST", "/ads/steps/{step_id}/edit"): ("step", {"minimum_seconds": 20}),
    ("GET", "/ads/steps/{step_id}/secrets"): ("step", None),
    ("POST", "/ads/steps/{step_id}/remove"): ("step", {}),
    ("GET", "/account/discord"): (None, None),
    ("POST", "/account/discord"): (None, {"bot_token": "A" * 30}),
    ("POST", "/account/discord/register"): (None, {}),
    ("POST", "/account/discord/remove"): (None, {}),
    ("GET", "/account/discord/check"): (None, None),
    ("GET", "/account/discord/servers"): (None, None),
    ("GET", "/account/discord/servers/{guild_id}/roles"): (None, None),
    ("GET", "/projects/{project_id}/discord"): ("project", None),
    ("POST", "/projects/{project_id}/discord"): ("project", {"guild_id": "5"}),
    ("POST", "/projects/{project_id}/discord/remove"): ("project", {}),
    ("GET", "/me"): (None, None),
    ("GET", "/members"): (None, None),
    ("POST", "/members"): (None, {"name": "New", "sign_in_name": "new@example.com", "role": "viewer"}),
    ("GET", "/members/{member_id}"): ("member", None),
    ("POST", "/members/{member_id}/edit"): ("member", {"name": "New"}),
    ("POST", "/members/{member_id}/link"): ("member", {}),
    ("POST", "/members/{member_id}/link/revoke"): ("member", {}),
    ("POST", "/members/{member_id}/reset_second_factor"): ("member", {}),
    ("POST", "/members/{member_id}/sign_out"): ("member", {}),
    ("POST", "/members/{member_id}/remove"): ("member", {}),
}

ALL = [pytest.param(method, path, body, id=f"{method} {path}") for (method, path), (_, body) in ENDPOINTS.items()]
OWNED = [
    pytest.param(method, path, noun, body, id=f"{method} {path}")
    for (method, path), (noun, body) in ENDPOINTS.items()
    if noun is not None
]
WITH_BODY = [
    pytest.param(method, path, noun, id=f"{method} {path}")
    for (method, path), (noun, _) in ENDPOINTS.items()
    if method == "POST"
]


def fill(path: str, value: str) -> str:
    return re.sub("{.*?}", value, path.replace("{number}", "1").replace("{name}", "beta"))


Resources = dict[str | None, str]


@dataclass(frozen=True)
class Left:
    """A developer with one resource of every kind, which no test changes: made once, for all those that must not."""

    owner: Developer
    resources: Resources


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def left(server: Api) -> Left:
    owner = await server.developer()
    return Left(owner, await furnished(server, owner))


async def furnished(api: Api, me: Developer) -> Resources:
    """One resource of every kind in a new project of the developer's, by noun."""
    project = await me.new_project()
    key = await me.new_user(project)
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    wire = await copy.session()
    tokens = (await me.get("/account/tokens")).json()["tokens"]
    hook = await me.post(f"/projects/{project}/endpoints", {"url": "https://receiver.invalid/"})
    endpoint = hook.json()["endpoint"]["id"]
    delivery = (await me.post(f"/endpoints/{endpoint}/test", {})).json()["delivery"]["id"]
    variable = await me.post(f"/projects/{project}/variables", {"name": "mine", "value": 1})
    wanted = {"name": "mine", "kind": "webhook", "endpoint_id": endpoint}
    remote = await me.post(f"/projects/{project}/remotes", wanted)
    await rows.add_build(api.database, client.script, 2)
    start = {"build": 2, "steps": [{"basis_points": 500}]}
    rollout = (await me.post(f"/scripts/{client.script}/rollouts", start)).json()["rollout"]["id"]
    await me.post(f"/rollouts/{rollout}/halt", {})
    made = await me.post("/ads/systems/new", {"project_id": project, "name": "Free keys"})
    system = made.json()["system_id"]
    gate = {"provider": "custom", "settings": {"url": "https://gate.example/"}}
    step = (await me.post(f"/ads/systems/{system}/steps", gate)).json()["step"]["id"]
    return {
        "system": system,
        "step": step,
        None: "",
        "rollout": rollout,
        "project": project,
        "script": client.script,
        "user": key,
        "session": wire.id,
        "instance": copy.instance,
        "token": tokens[0]["id"],
        "endpoint": endpoint,
        "variable": variable.json()["variable"]["id"],
        "remote": remote.json()["remote"]["id"],
        "error": await rows.add_error(api.database, client.script),
        "delivery": delivery,
        "member": (await member_of(api, me.account, Role.VIEWER)).id,
    }


def without_request_id(response: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    own = {"x-request-id", "date", "ratelimit-remaining", "ratelimit-reset"}
    headers = [(name, value) for name, value in response.headers.items() if name not in own]
    return response.status_code, response.content, headers


async def test_the_table_above_has_every_endpoint(api: Api) -> None:
    assert {(method, path) for method, path, _ in operations(api.app)} == set(ENDPOINTS) | PUBLIC | OF_MEMBERS


@pytest.mark.parametrize(("method", "path"), sorted(OF_MEMBERS))
async def test_what_is_about_a_member_is_for_members_alone(api: Api, me: Developer, method: str, path: str) -> None:
    where, body = fill(path, NOBODY), {"nonsense": 1} if method == "POST" else None
    refused(await api.http.request(method, where, json=body), 401, -1, INVALID, failed=["no token"])
    refused(await me.call(method, where, body), 403, -1, INVALID, failed=ONLY_MEMBERS)
    browser = await signed_in(api, me.account, Role.VIEWER)
    assert (await browser.call(method, where, body)).status_code == (
        200 if body is None else 404 if "{" in path else 400
    )


@pytest.mark.parametrize(("method", "path", "body"), ALL)
async def test_without_a_good_token_nothing_is_answered(api: Api, method: str, path: str, body: Any) -> None:
    me = await api.developer()
    good = me.token
    bad = {
        "unknown": "ml_" + "x" * 43,
        "empty": "",
        "cut off": good[:-1],
        "too long": good + "x" * 500,
        "not ASCII": "\xe9" * 20,
        "expired": await api.token(me.account, expires_at=api.clock() - 1),
        "revoked": await api.token(me.account, revoked_at=api.clock()),
    }
    where = fill(path, NOBODY)
    without = await api.http.request(method, where, json=body)
    refused(without, 401, -1, INVALID, failed=["no token"])
    for text in bad.values():
        response = await api.http.request(method, where, json=body, headers={"token": text.encode("latin-1")})
        refused(response, 401, -1, INVALID, failed=["invalid token"])


@pytest.mark.parametrize(("method", "path", "noun", "body"), OWNED)
async def test_a_foreign_resource_and_a_missing_one_look_the_same(
    api: Api, left: Left, method: str, path: str, noun: str, body: Any
) -> None:
    stranger = await api.developer()
    foreign = await stranger.call(method, fill(path, left.resources[noun]), body)
    missing = await stranger.call(method, fill(path, NOBODY), body)
    refused(foreign, 404, -1, INVALID, failed=[f"{noun} not found"])
    assert without_request_id(foreign) == without_request_id(missing)
    # Nothing has happened to it.
    assert (await left.owner.get(f"/scripts/{left.resources['script']}")).json()["script"]["total_sessions"] == 1


@pytest.mark.parametrize(("method", "path", "noun"), WITH_BODY)
async def test_a_body_is_only_looked_at_once_the_resource_is_known_to_be_the_callers(
    api: Api, me: Developer, method: str, path: str, noun: str | None
) -> None:
    if noun is None:
        response = await api.http.request(method, path, content=b"{", headers={"Content-Type": "application/json"})
        assert response.status_code == 401
    else:
        response = await me.call(method, fill(path, NOBODY), {"nonsense": 1})
        assert response.status_code == 404


@pytest.mark.parametrize(("method", "path", "noun"), WITH_BODY)
async def test_an_unknown_field_is_refused_everywhere(
    api: Api, left: Left, method: str, path: str, noun: str | None
) -> None:
    response = await left.owner.call(method, fill(path, left.resources[noun]), {"nonsense": 1})
    assert response.status_code == 400
    assert {"field": "nonsense", "errors": ["is not a known field"]} in response.json()["error"]["failed"]


@pytest.mark.parametrize(("method", "path", "noun", "body"), OWNED)
async def test_every_endpoint_answers_its_owner(
    api: Api, left: Left, method: str, path: str, noun: str, body: Any
) -> None:
    me, mine = left.owner, left.resources
    if method != "GET":
        me = await api.developer()
        mine = await furnished(api, me)
    unready = {
        "/scripts/{script_id}/rollback": 409,
        "/scripts/{script_id}/trace": 409,
        "/scripts/{script_id}/builds/{number}/yank": 409,
        "/scripts/{script_id}/channels/{name}/remove": 404,
        "/rollouts/{rollout_id}/pause": 409,
        "/rollouts/{rollout_id}/finish": 409,
        "/rollouts/{rollout_id}/halt": 409,
        "/scripts/{script_id}/builds/{number}/schedule": 409,
        "/scripts/{script_id}/builds/{number}/unschedule": 409,
        "/users/{key}/pin": 404,
        "/users/{key}/licence": 400,
        "/users/{key}/unblacklist": 409,
        "/users/{key}/release": 409,
        "/users/{key}/name_device": 404,
        "/scripts/{script_id}/sessions/filter": 400,
        "/scripts/{script_id}/builds/{number}/explain": 400,
        "/projects/{project_id}/discord/remove": 404,
        "/projects/{project_id}/users/restore": 409,
    }
    # Nobody answers the message: the wait itself is tested with the sessions.
    if path != "/sessions/{session_id}/message":
        if body and "endpoint_id" in body:
            body = body | {"endpoint_id": mine["endpoint"]}
        response = await me.call(method, fill(path, mine[noun]), body)
        wanted = NOT_CONNECTED if (method, path) == ("POST", "/projects/{project_id}/discord") else 200
        assert response.status_code == unready.get(path, wanted), response.text


async def test_a_bearer_token_is_as_good(api: Api, me: Developer) -> None:
    response = await api.http.get("/account", headers={"Authorization": f"Bearer {me.token}"})
    assert response.json()["account"]["id"] == me.account.id


async def test_the_token_header_wins_over_a_bearer_token(api: Api, me: Developer) -> None:
    headers = {"Authorization": f"Bearer {me.token}", "token": "other"}
    assert (await api.http.get("/account", headers=headers)).status_code == 401


async def test_a_token_is_refused_outside_its_networks(api: Api) -> None:
    outside = await api.developer(ip_allow=("192.0.2.0/24", "2001:db8::/32"))
    refused(await outside.get("/account"), 403, -1, INVALID, failed=["this token may not be used from this address"])
    inside = await api.developer(ip_allow=("192.0.2.0/24", "127.0.0.0/8"))
    assert (await inside.get("/account")).status_code == 200
    mapped = await api.developer(ip_allow=("::ffff:127.0.0.1/128",))
    assert (await mapped.get("/account")).status_code == 200


async def test_a_token_ends_at_its_expiry(api: Api) -> None:
    me = await api.developer(expires_at=None)
    token = await api.token(me.account, expires_at=api.clock() + 60_000)
    assert (await api.http.get("/account", headers={"token": token})).status_code == 200
    api.clock.ahead_ms = 60_001
    assert (await api.http.get("/account", headers={"token": token})).status_code == 401
