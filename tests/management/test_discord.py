"""Discord by the API: an application is connected by its bot's token, projects are linked, and what is missing is said in words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from moonlatch.crypto import DISCORD_TOKEN
from moonlatch.discord.registering import register_all
from moonlatch.licensing.roles import Permission
from support.discord import ABOVE, ADMINS, APPLICATION, CUSTOMERS, GUILD, STAFF, TOKEN, FakeDiscord, fake_discord
from support.management import NOBODY, Api, Developer, done, invalid, refused, running_api

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLIC_URL = "https://scripts.example.com"
LINK = {
    "guild_id": GUILD,
    "customer_role_id": CUSTOMERS,
    "roles": {STAFF: "support", ADMINS: "admin"},
    "channels": {STAFF: "beta"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def discord() -> AsyncIterator[FakeDiscord]:
    async with fake_discord() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, discord: FakeDiscord
) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    async with running_api(
        folder, database_url=database_url, discord_url=discord.url, public_url=PUBLIC_URL
    ) as running:
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _afresh(api: Api, discord: FakeDiscord) -> None:
    """Another account has the one application that there is."""
    await api.change("delete from discord_links")
    await api.change("delete from discord_applications")
    discord.interactions_url, discord.replies, discord.token = None, [], TOKEN


async def connected(me: Developer, **fields: Any) -> Any:
    return done(await me.post("/account/discord", {"bot_token": TOKEN, **fields}))["discord"]


async def test_an_application_is_connected_by_its_bots_token(api: Api, me: Developer, discord: FakeDiscord) -> None:
    assert done(await me.get("/account/discord"))["discord"] is None
    found = await connected(me)
    assert {name: found[name] for name in ("application_id", "name", "public_key", "registered", "problem")} == {
        "application_id": APPLICATION,
        "name": "Moon bot",
        "public_key": discord.signer.public_key.hex(),
        "registered": False,
        "problem": None,
    }
    assert found["interactions_url"] == f"{PUBLIC_URL}/discord/interactions"
    assert APPLICATION in found["invite_url"]
    shown = (await me.get("/account/discord")).text + (await me.get("/events")).text
    assert TOKEN not in shown
    sealed = await api.value("select bot_token from discord_applications where account_id = :id", id=me.account.id)
    assert TOKEN.encode() not in bytes(sealed)
    assert api.keyring.open_secret(DISCORD_TOKEN, me.account.id, bytes(sealed)) == TOKEN


async def test_a_token_that_discord_does_not_know_is_refused(me: Developer, discord: FakeDiscord) -> None:
    assert "bot_token" in invalid(await me.post("/account/discord", {"bot_token": "A" * 30}))
    discord.replies = [(500, {}, b""), (200, {}, b"[]")]
    for why in ("Discord answered with status 500", "not an application"):
        response = await me.post("/account/discord", {"bot_token": TOKEN})
        refused(response, 409, 2, "discord did not answer", why=why)
    assert done(await me.get("/account/discord"))["discord"] is None


async def test_an_application_is_one_accounts(api: Api, me: Developer) -> None:
    await connected(me)
    other = await api.developer()
    response = await other.post("/account/discord", {"bot_token": TOKEN})
    refused(response, 409, 1, "discord application belongs to another account")
    await connected(me)  # again, with a new token


async def test_without_an_application_there_is_nothing_to_link(me: Developer, project: str) -> None:
    for path, body in (
        ("/account/discord/register", {}),
        ("/account/discord/remove", {}),
        (f"/projects/{project}/discord", LINK),
    ):
        refused(await me.post(path, body), 409, 1, "no discord application connected")
    for path in ("check", "servers", f"servers/{GUILD}/roles"):
        refused(await me.get(f"/account/discord/{path}"), 409, 1, "no discord application connected")


async def test_a_project_is_linked_edited_and_unlinked(api: Api, me: Developer, project: str) -> None:
    await connected(me)
    assert done(await me.get(f"/projects/{project}/discord"))["link"] is None
    assert invalid(await me.post(f"/projects/{project}/discord", {"panel_title": "x"})) == {"guild_id": ["is required"]}
    link = done(await me.post(f"/projects/{project}/discord", LINK))["link"]
    assert {**link, "created_at": 0} == {
        **LINK,
        "project_id": project,
        "panel_title": None,
        "panel_text": None,
        "problem": None,
        "members_problem": None,
        "created_at": 0,
    }
    shown = await me.get(f"/projects/{project}/discord")
    assert shown.json()["link"] == link
    changes = {"customer_role_id": "", "panel_title": "Shop"}
    etag = {"If-Match": shown.headers["etag"]}
    edited = done(await me.post(f"/projects/{project}/discord", changes, headers=etag))["link"]
    assert (edited["customer_role_id"], edited["panel_title"], edited["roles"]) == (None, "Shop", LINK["roles"])
    assert (await me.post(f"/projects/{project}/discord", changes, headers=etag)).status_code == 412
    refused(await me.post(f"/projects/{project}/discord", {}), 400, 2, "cannot edit nothing")
    moved = done(await me.post(f"/projects/{project}/discord", {"guild_id": "5"}))["link"]
    assert (moved["guild_id"], moved["roles"], moved["channels"]) == ("5", {}, {})
    done(await me.post(f"/projects/{project}/discord/remove", {}))
    assert (await me.post(f"/projects/{project}/discord/remove", {})).status_code == 404
    kinds = [each["kind"] for each in done(await me.get(f"/projects/{project}/events"))["events"]]
    assert kinds[:4] == ["discord.unlinked", "discord.edited", "discord.edited", "discord.linked"]
    assert await api.value("select count(*) from discord_links") == 0


@pytest.mark.parametrize(
    "body",
    [
        {"guild_id": "x"},
        {"guild_id": "99999999999999999999"},
        {"guild_id": 5},
        {"guild_id": "5", "roles": {"x": "support"}},
        {"guild_id": "5", "roles": {"6": "emperor"}},
        {"guild_id": "5", "roles": {str(number): "viewer" for number in range(1, 52)}},
        {"guild_id": "5", "channels": {"x": "beta"}},
        {"guild_id": "5", "channels": {"6": "Beta"}},
        {"guild_id": "5", "channels": {"6": ""}},
        {"guild_id": "5", "channels": ["beta"]},
        {"guild_id": "5", "channels": {str(number): "beta" for number in range(1, 52)}},
        {"guild_id": "5", "panel_text": "x" * 2001},
        {"guild_id": "5", "panel_title": "a\0b"},
    ],
)
async def test_what_makes_no_sense_is_refused(me: Developer, project: str, body: Any) -> None:
    await connected(me)
    assert invalid(await me.post(f"/projects/{project}/discord", body))


async def test_nobody_hands_on_more_than_they_have(api: Api, me: Developer, project: str) -> None:
    await connected(me)
    few = [Permission.DISCORD_READ, Permission.DISCORD_WRITE, Permission.PROJECTS_READ]
    limited = Developer(me.account, await api.token(me.account, permissions=tuple(few)), me.http)
    response = await limited.post(f"/projects/{project}/discord", {**LINK, "roles": {STAFF: "support"}})
    assert response.status_code == 403
    assert "keys:write" in response.text
    done(await me.post(f"/projects/{project}/discord", LINK))
    for roles in ({}, {STAFF: "viewer"}):
        assert (await limited.post(f"/projects/{project}/discord", {"roles": roles})).status_code == 403
    for channels in ({}, {STAFF: "alpha"}):
        response = await limited.post(f"/projects/{project}/discord", {"channels": channels})
        assert (response.status_code, "keys:write" in response.text) == (403, True)
    assert done(await me.get(f"/projects/{project}/discord"))["link"]["channels"] == LINK["channels"]
    done(await limited.post(f"/projects/{project}/discord", {"channels": LINK["channels"]}))
    done(await limited.post(f"/projects/{project}/discord", {"panel_title": "x"}))


async def test_a_dry_run_and_a_repeated_call_change_nothing_more(api: Api, me: Developer, project: str) -> None:
    done(await me.post("/account/discord?dry_run=true", {"bot_token": TOKEN}))
    assert done(await me.get("/account/discord"))["discord"] is None
    await connected(me)
    done(await me.post(f"/projects/{project}/discord?dry_run=true", LINK))
    assert done(await me.get(f"/projects/{project}/discord"))["link"] is None
    once = {"Idempotency-Key": "link-1"}
    first = await me.post(f"/projects/{project}/discord", LINK, headers=once)
    again = await me.post(f"/projects/{project}/discord", LINK, headers=once)
    assert first.json() == again.json()
    found = await api.value(
        "select count(*) from events where kind = 'discord.linked' and project_id = :id", id=project
    )
    assert found == 1


async def test_servers_and_roles_are_listed_to_choose_from(me: Developer) -> None:
    await connected(me)
    servers = done(await me.get("/account/discord/servers"))["servers"]
    assert {"id": GUILD, "name": "Server 1"} in servers
    roles = done(await me.get(f"/account/discord/servers/{GUILD}/roles"))["roles"]
    assert roles[0]["id"] == ABOVE
    assert GUILD not in [role["id"] for role in roles]
    assert [role["name"] for role in roles if role["managed"]] == ["role 1"]
    assert (await me.get("/account/discord/servers/5/roles")).status_code == 404


async def test_discord_that_does_not_answer_is_told_of(me: Developer, discord: FakeDiscord) -> None:
    await connected(me)
    for path in ("servers", f"servers/{GUILD}/roles"):
        discord.replies = [(502, {}, b"")]
        response = await me.get(f"/account/discord/{path}")
        refused(response, 409, 2, "discord did not answer", why="Discord answered with status 502")


def missing(checked: Any) -> list[str]:
    assert checked["ok"] is (not any(not each["good"] for each in checked["findings"]))
    return [f"{each['what']}: {each['to_do']}" for each in checked["findings"] if not each["good"]]


async def test_the_check_tells_what_is_missing_until_nothing_is(
    api: Api, me: Developer, project: str, discord: FakeDiscord
) -> None:
    await connected(me)

    async def checked() -> list[str]:
        return missing(done(await me.get("/account/discord/check")))

    found = await checked()
    assert len(found) == 4
    for words in ("Discord sends interactions to", "the commands are registered", "something signed", "is linked"):
        assert any(words in each for each in found), words
    await register_all(api.world, PUBLIC_URL)
    await api.change("update discord_applications set heard_at = 5")
    done(await me.post(f"/projects/{project}/discord", LINK))
    assert await checked() == []

    discord.positions[CUSTOMERS] = 9
    assert ["Drag the bot's role above it" in each for each in await checked()] == [True]
    discord.positions[CUSTOMERS] = 1
    discord.bot_permissions = 0
    assert ["Manage Roles" in each for each in await checked()] == [True]
    discord.bot_permissions = 1 << 28
    done(await me.post(f"/projects/{project}/discord", {"roles": {"77": "viewer"}}))
    assert ["the role 77 is one of" in each for each in await checked()] == [True]
    done(await me.post(f"/projects/{project}/discord", {"guild_id": "5"}))
    assert ["Add it at https://discord.com/oauth2" in each for each in await checked()] == [True]
    discord.interactions_url = "https://elsewhere.example.com"
    assert any("now https://elsewhere.example.com" in each for each in await checked())
    discord.token = "another"
    assert ["reset it" in each for each in await checked()] == [True]


async def test_it_is_registered_again_and_disconnected(api: Api, me: Developer, project: str) -> None:
    await connected(me)
    await register_all(api.world, PUBLIC_URL)
    assert done(await me.get("/account/discord"))["discord"]["registered"] is True
    assert done(await me.post("/account/discord/register", {"replace_url": True}))["discord"]["registered"] is False
    done(await me.post(f"/projects/{project}/discord", LINK))
    done(await me.post("/account/discord/remove", {}))
    assert done(await me.get("/account/discord"))["discord"] is None
    assert done(await me.get(f"/projects/{project}/discord"))["link"] is None


async def test_an_expired_account_connects_and_links_nothing(api: Api, project: str, me: Developer) -> None:
    await connected(me)
    await api.expire(me)
    for path, body in (
        ("/account/discord", {"bot_token": TOKEN}),
        ("/account/discord/register", {}),
        (f"/projects/{project}/discord", LINK),
    ):
        refused(await me.post(path, body), 403, 0, "account expired")


async def test_who_reaches_some_projects_only_does_not_touch_the_application(
    api: Api, me: Developer, project: str
) -> None:
    await connected(me)
    some = Developer(me.account, await api.token(me.account, projects=(project,)), me.http)
    for path, body in (
        ("/account/discord", {"bot_token": TOKEN}),
        ("/account/discord/register", {}),
        ("/account/discord/remove", {}),
    ):
        assert (await some.post(path, body)).status_code == 403
    done(await some.post(f"/projects/{project}/discord", LINK))
    assert (await some.post(f"/projects/{NOBODY}/discord", LINK)).status_code == 404
