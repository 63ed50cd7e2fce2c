"""What Discord sends, and what others send in its name: only what it signed just now, and never twice, does anything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlatch.discord.face import MOST_AT_ONCE, MOST_BYTES, MOST_OF_ACCOUNT
from moonlatch.discord.messages import AnswerKind
from moonlatch.operations import discord as operations
from moonlatch.operations.changing import perform
from moonlatch.operations.context import Actor, ActorKind
from moonlatch.operations.refusals import Reason, Refused
from moonlatch.storage import discord_applications
from moonlatch.web.limits import limits_of_this_process
from support import rows
from support.database import opened_at
from support.discord import (
    APPLICATION,
    AUTOCOMPLETE,
    COMMAND,
    COMPONENT,
    GUILD,
    OTHER_GUILD,
    PING,
    TOKEN,
    FakeDiscord,
    Person,
    Signer,
    buttons_of,
    text_of,
    too_many,
)
from support.discord_seller import Seller, no_limit, seller_on


def stats(seller: Seller, staff: Person) -> dict[str, Any]:
    return seller.discord.interaction(COMMAND, staff, name="stats", options=[])


async def test_a_ping_is_answered_and_noted(seller: Seller) -> None:
    assert await seller.client.answer(seller.discord.interaction(PING, None)) == {"type": 1}
    found = await discord_applications.find(seller.database, seller.account)
    assert found is not None
    assert found.heard_at is not None


async def test_what_discord_did_not_sign_is_refused(seller: Seller, staff: Person) -> None:
    body = msgspec.json.encode(stats(seller, staff))
    now = seller.clock() // 1000
    good = seller.discord.signer.headers(body, now)
    unsigned = [
        (body, Signer().headers(body, now)),
        (body + b" ", good),
        (body, {**good, "X-Signature-Timestamp": str(now - 1)}),
        (body, {**good, "X-Signature-Ed25519": "00" * 64}),
        (body, {**good, "X-Signature-Ed25519": "zz" * 64}),
        (body, {**good, "X-Signature-Ed25519": good["X-Signature-Ed25519"][:-2]}),
        (body, {**good, "X-Signature-Timestamp": "now"}),
        (body, {name: good[name] for name in ("Content-Type", "X-Signature-Timestamp")}),
        (body, {name: good[name] for name in ("Content-Type", "X-Signature-Ed25519")}),
    ]
    for content, headers in unsigned:
        response = await seller.client.http.post(seller.client.url, content=content, headers=headers)
        assert (response.status_code, response.json()) == (401, {"error": "invalid request signature"})


@pytest.mark.parametrize("seconds", [-301, 301])
async def test_a_signature_of_another_time_is_refused(seller: Seller, staff: Person, seconds: int) -> None:
    body = msgspec.json.encode(stats(seller, staff))
    seller.clock.stand_still(seller.clock())
    headers = seller.discord.signer.headers(body, seller.clock() // 1000 + seconds)
    assert (await seller.client.http.post(seller.client.url, content=body, headers=headers)).status_code == 401


async def test_an_interaction_is_answered_once(seller: Seller, staff: Person) -> None:
    interaction = seller.discord.interaction(COMMAND, staff, name="create_keys", options=[])
    answers = await asyncio.gather(*(seller.client.send(interaction) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 7]
    assert len(await seller.events("user.created")) == 1


async def test_one_of_another_application_is_refused_whoever_signed_it(seller: Seller, staff: Person) -> None:
    response = await seller.client.send({**stats(seller, staff), "application_id": "100000000000000999"})
    assert response.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b'{"application_id": 5}',
        b'{"application_id": "1\\u0000"}',
        b"\xff\xfe",
    ],
)
async def test_nonsense_is_nobodys(seller: Seller, body: bytes) -> None:
    headers = seller.discord.signer.headers(body, seller.clock() // 1000)
    response = await seller.client.http.post(seller.client.url, content=body, headers=headers)
    assert response.status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"type": 77},
        {"type": "2"},
        {"id": "x" * 30},
        {"token": "a/../../b"},
        {"member": {"user": {"id": "5"}, "roles": ["1"] * 501}},
        {"data": {"name": "n" * 101}},
        {"data": {"options": [{"name": "o", "value": 1}] * 26}},
        {"data": {"options": [{"name": "note", "value": "x" * 6001}]}},
        {"data": {"options": [{"name": "note", "value": {"a": 1}}]}},
    ],
)
async def test_a_signed_interaction_of_no_known_shape_is_refused(
    seller: Seller, staff: Person, changes: dict[str, Any]
) -> None:
    response = await seller.client.send({**stats(seller, staff), **changes})
    assert response.status_code == 400


async def test_a_body_that_is_too_large_is_not_read(seller: Seller) -> None:
    response = await seller.client.http.post(seller.client.url, content=b" " * (MOST_BYTES + 1))
    assert response.status_code == 413
    assert (await seller.client.http.get(seller.client.url)).status_code == 405


async def test_other_servers_and_projects_are_nobodys(seller: Seller, staff: Person, customer: Person) -> None:
    seller.discord.join(staff, OTHER_GUILD)
    assert "not linked" in text_of(await seller.client.use("stats", staff, OTHER_GUILD))
    assert "on a server" in text_of(await seller.client.use("stats", staff, None))
    pressed = await seller.client.press(f"ml1:get_script:{seller.project}", customer, OTHER_GUILD)
    assert "not linked" in text_of(pressed)
    for custom_id in (f"ml1:get_script:{'A' * 32}", f"ml2:get_script:{seller.project}", "ml1:remove:x", "", "ml1:"):
        assert "no longer linked" in text_of(await seller.client.press(custom_id, customer))
    other = await seller.another_project("Other")
    _, key = await seller.user(project=other, note="treasure")
    told = await seller.client.told("key_info", staff, key=key, project=seller.project)
    assert told == "There is no such key here."
    assert "treasure" in await seller.client.told("key_info", staff, key=key, project=other)


async def test_roles_of_another_server_mean_nothing(seller: Seller) -> None:
    # Whoever owns a server gives roles there as they like, but not the ids of others.
    forger = seller.discord.join(Person(roles={GUILD, "399999999999999999"}))
    assert "`keys:read`" in await seller.client.told("stats", forger)


async def test_a_customer_cannot_use_what_is_for_staff(seller: Seller, customer: Person) -> None:
    _, key = await seller.user()
    uses: dict[str, dict[str, Any]] = {
        "whitelist": {"user": customer.id},
        "unwhitelist": {"key": key},
        "blacklist": {"key": key},
        "unblacklist": {"key": key},
        "user_info": {"key": key},
        "reset_fingerprint": {"key": key},
        "force_reset_fingerprint": {"key": key},
        "mass_whitelist": {"role": GUILD},
        "create_keys": {"count": 5},
        "key_info": {"key": key},
        "extend": {"key": key, "duration": "3d"},
        "delete_unused": {},
        "replace_keys": {"count": 5},
        "stats": {},
        "sessions": {},
        "message": {"key": key, "handler": "x"},
    }
    for command, options in uses.items():
        assert (await seller.client.told(command, customer, **options)).startswith("You need a role"), command
    assert text_of(await seller.client.use("panel", customer)).startswith("You need a role")
    assert [each.actor_id for each in await seller.events("user.created")] == ["t"]
    refusals = await seller.events("permission.refused")
    assert {each.actor_id for each in refusals} == {customer.id}
    assert {each.project_id for each in refusals} == {seller.project}


async def test_rights_are_those_of_the_moment(seller: Seller, staff: Person) -> None:
    assert "Keys:" in await seller.client.told("stats", staff)
    await seller.link(roles={})
    assert "You need a role" in await seller.client.told("stats", staff)
    staff.roles.clear()
    await seller.link(roles={GUILD: "viewer"})
    assert "You need a role" in await seller.client.told("stats", staff)


async def test_several_projects_are_picked_by_name_and_suggested(seller: Seller, staff: Person) -> None:
    other = await seller.another_project("Arsenal `@here`")
    assert "Say which project" in await seller.client.told("stats", staff)
    assert "There is no such project" in await seller.client.told("stats", staff, project="x")
    assert "Arsenal" in await seller.client.told("stats", staff, project=other)
    assert "Arsenal" in await seller.client.told("stats", staff, project="Arsenal `@here`")
    assert await seller.client.suggestions("stats", staff, "ARS") == ["Arsenal `@here`"]
    assert await seller.client.suggestions("stats", staff, "") == ["project", "Arsenal `@here`"]
    stranger = seller.discord.interaction(
        AUTOCOMPLETE, staff, OTHER_GUILD, name="stats", options=[{"name": "project", "value": "", "focused": True}]
    )
    assert (await seller.client.answer(stranger))["data"]["choices"] == []


async def test_names_mention_and_format_nothing(seller: Seller, staff: Person) -> None:
    _, key = await seller.user(note="@everyone <@&1> [x](http://y) `code` # head")
    told = await seller.client.told("key_info", staff, key=key)
    assert "@\u200beveryone" in told
    assert "@everyone" not in told
    assert "[x](" not in told
    assert " `code`" not in told


async def test_an_answer_that_takes_long_comes_later(
    database_url: str, tmp_path: Path, discord: FakeDiscord, staff: Person
) -> None:
    async with opened_at(database_url, tmp_path) as database, seller_on(database, discord, answer_seconds=0) as seller:
        answer = await seller.client.use("stats", staff)
        assert "Keys: 0" in text_of(answer)
        assert answer["later"] in discord.follow_ups


async def test_one_sellers_slow_commands_leave_room_for_others(
    database_url: str, tmp_path: Path, discord: FakeDiscord, staff: Person
) -> None:
    async with opened_at(database_url, tmp_path) as database, seller_on(database, discord, answer_seconds=0) as seller:
        # Each asks Discord for a server's members, who has it wait.
        discord.replies = [too_many(30.0)] * MOST_OF_ACCOUNT
        role = {"name": "role", "type": 8, "value": GUILD}
        for _ in range(MOST_OF_ACCOUNT):
            slow = discord.interaction(COMMAND, staff, name="mass_whitelist", options=[role])
            assert (await seller.client.send(slow)).json()["type"] == AnswerKind.LATER
        answer = await seller.client.answer(stats(seller, staff))
        assert "Too much is going on" in text_of(answer)
        assert len(seller.face._working) < MOST_AT_ONCE // 2
        for task in list(seller.face._working):
            task.cancel()


async def test_a_late_answer_waits_for_discords_limits(
    database_url: str, tmp_path: Path, discord: FakeDiscord, staff: Person
) -> None:
    async with opened_at(database_url, tmp_path) as database, seller_on(database, discord, answer_seconds=0) as seller:
        discord.replies = [too_many(0.05), too_many(0.05, is_global=True)]
        assert "Keys: 0" in text_of(await seller.client.use("stats", staff))
        assert len(discord.calls("PATCH", "@original")) == 3


async def test_many_bad_signatures_and_many_uses_are_held_up(
    database_url: str, tmp_path: Path, discord: FakeDiscord, customer: Person
) -> None:
    async with opened_at(database_url, tmp_path) as database:
        limits = limits_of_this_process(lambda: 0.0)
        async with seller_on(database, discord, limits=limits) as seller:
            pings = [seller.client.http.post(seller.client.url, content=b"x") for _ in range(101)]
            statuses = [response.status_code for response in await asyncio.gather(*pings)]
            assert sorted(statuses) == [*[401] * 100, 429]
            # What Discord signs still comes through.
            assert await seller.client.answer(discord.interaction(PING, None)) == {"type": 1}
            told = [await seller.client.told("redeem_key", customer, key="12345678") for _ in range(11)]
            assert told[9].startswith("There is no such key")
            assert told[10].startswith("Slowly")


async def test_too_many_keys_cannot_be_tried(
    database_url: str, tmp_path: Path, discord: FakeDiscord, customer: Person
) -> None:
    def only_redeems(kind: str, *, per_second: float, burst: int) -> Any:
        strict = limits_of_this_process(lambda: 0.0)
        return (strict if kind == "discord redeem" else no_limit)(kind, per_second=per_second, burst=burst)

    async with (
        opened_at(database_url, tmp_path) as database,
        seller_on(database, discord, limits=only_redeems) as seller,
    ):
        answers = [
            text_of(await seller.client.write(f"ml1:redeem_key:{seller.project}", customer, key="12345678"))
            for _ in range(11)
        ]
        assert answers[10].startswith("Too many keys were tried")
        assert (await seller.client.press(f"ml1:redeem_key:{seller.project}", customer))["type"] == 9


async def test_another_account_cannot_take_an_application(seller: Seller) -> None:
    project = await rows.add_project(seller.database)
    account = await rows.value(seller.database, "select account_id from projects where id = :id", id=project)
    thief = Actor(account_id=account, kind=ActorKind.CLI, id="t", name="thief")
    found = await operations.look_up(seller.world, TOKEN)
    assert found.application_id == APPLICATION
    with pytest.raises(Refused) as refused:
        await perform(seller.world, thief, lambda change: operations.connect(change, found, TOKEN))
    assert refused.value.reason is Reason.APPLICATION_TAKEN


async def test_the_panel_is_for_everybody_to_see(seller: Seller, admin: Person) -> None:
    await seller.link(panel_title="Shop", panel_text="Buy at https://shop.example.com")
    answer = await seller.client.use("panel", admin)
    assert "flags" not in answer["data"]
    assert answer["data"]["embeds"] == [{"title": "Shop", "description": "Buy at https://shop.example.com"}]
    assert list(buttons_of(answer)) == ["Get script", "Redeem key", "Reset device", "My stats", "Get role"]
    # A panel is posted by staff; a component of it is pressed by anybody.
    pressed = seller.discord.interaction(COMPONENT, admin, custom_id=buttons_of(answer)["My stats"])
    assert "no key" in text_of(await seller.client.answer(pressed))
