"""What staff do by commands: each changes what it says, as the member who asked, and refuses in words."""

from __future__ import annotations

import asyncio
import re

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.discord import guild_members
from moonlatch.discord.catalogue import COMMANDS, TOLD, VERSION
from moonlatch.discord.registering import register_all
from moonlatch.operations import discord as operations
from moonlatch.storage import discord_applications
from support import rows
from support.discord import COMMAND, CUSTOMERS, STAFF, Person, command_faults, ok, refusal, too_many
from support.discord_seller import Seller


def test_the_commands_are_within_discords_limits_and_have_the_names_that_people_know() -> None:
    assert command_faults(TOLD) == []
    known = "whitelist unwhitelist blacklist unblacklist user_info reset_fingerprint force_reset_fingerprint mass_whitelist redeem_key"
    assert set(known.split()) < COMMANDS.keys()
    hidden = {each["name"] for each in TOLD if each.get("default_member_permissions") == "0"}
    assert COMMANDS.keys() - hidden == {"redeem_key"}


async def test_somebody_is_whitelisted_looked_at_extended_and_unwhitelisted(
    seller: Seller, staff: Person, customer: Person
) -> None:
    seller.clock.stand_still(seller.clock())
    told = await seller.client.told("whitelist", staff, user=customer.id, duration="3d", note="paid")
    assert told.startswith(f"<@{customer.id}> has a key good until")
    user = await seller.owned(customer)
    assert user is not None
    assert (user.key_expires, user.note) == (seller.clock() + 3 * DAY_MS, "paid")
    assert "They have a key already" in await seller.client.told("whitelist", staff, user=customer.id)
    await seller.client.told("extend", staff, user=customer.id, duration="1d12h")
    changed = await seller.owned(customer)
    assert changed is not None
    assert changed.key_expires == seller.clock() + 4 * DAY_MS + DAY_MS // 2
    info = await seller.client.told("user_info", staff, user=customer.id)
    assert "**State** good until" in info
    assert "**Note** paid" in info
    (event,) = await seller.events("user.created")
    assert (event.actor_kind, event.actor_id, event.actor_name) == ("discord", staff.id, "staff")
    assert "is removed" in await seller.client.told("unwhitelist", staff, user=customer.id)
    assert await seller.owned(customer) is None
    assert "no key" in await seller.client.told("user_info", staff, user=customer.id)


async def test_somebody_is_blacklisted_for_a_time(seller: Seller, staff: Person, customer: Person) -> None:
    await seller.user(discord_id=customer.id)
    told = await seller.client.told("blacklist", staff, user=customer.id, reason="@here *bad*", duration="10m")
    assert "until <t:" in told
    user = await seller.owned(customer)
    assert user is not None
    assert (user.blacklisted, user.blacklist_reason) == (True, "@here *bad*")
    assert "is blacklisted" in await seller.client.told("blacklist", staff, user=customer.id)
    assert "@here" not in await seller.client.told("user_info", staff, user=customer.id)
    assert "no longer" in await seller.client.told("unblacklist", staff, user=customer.id)
    assert "not blacklisted" in await seller.client.told("unblacklist", staff, user=customer.id)


async def test_a_device_is_reset_by_the_rules_or_past_them(seller: Seller, staff: Person, customer: Person) -> None:
    user, key = await seller.user(discord_id=customer.id)
    bind = "update users set fingerprint = :device where id = :id"
    assert "no device" in await seller.client.told("reset_fingerprint", staff, key=key)
    await rows.change(seller.database, bind, device=b"1" * 32, id=user.id)
    assert "becomes its device" in await seller.client.told("reset_fingerprint", staff, user=customer.id)
    await rows.change(seller.database, bind, device=b"1" * 32, id=user.id)
    assert "Until <t:" in await seller.client.told("reset_fingerprint", staff, user=customer.id)
    assert "becomes its device" in await seller.client.told("force_reset_fingerprint", staff, user=customer.id)


async def test_few_keys_come_in_the_message_and_many_as_a_file(seller: Seller, staff: Person) -> None:
    few = await seller.client.told("create_keys", staff, count=2, duration="30d")
    keys = re.findall(r"^[A-Za-z0-9]{32}$", few, re.MULTILINE)
    assert len(keys) == 2
    assert "for 30 days from its first start" in few
    answer = await seller.client.use("create_keys", staff, count=300)
    assert answer["data"]["flags"] == 64
    (file,) = seller.discord.files[answer["later"]]
    assert len(set(file.decode().split())) == 300
    assert await rows.value(seller.database, "select count(*) from users") == 302


async def test_who_may_not_see_keys_does_not(seller: Seller, customer: Person) -> None:
    viewer = seller.discord.join(Person(roles={CUSTOMERS}))
    await seller.link(roles={CUSTOMERS: "viewer"})
    _, key = await seller.user()
    told = await seller.client.told("key_info", viewer, key=key)
    assert key not in told
    assert "…" in told


async def test_unused_keys_are_replaced_and_deleted_and_those_in_hands_stay(
    seller: Seller, staff: Person, customer: Person
) -> None:
    await seller.user(discord_id=customer.id)
    used, _ = await seller.user(note="used")
    await rows.change(seller.database, "update users set executions = 1 where id = :id", id=used.id)
    leaked = [await seller.user(note="batch", key_days=7) for _ in range(3)]
    told = await seller.client.told("replace_keys", staff, count=2)
    new = re.findall(r"^[A-Za-z0-9]{32}$", told, re.MULTILINE)
    assert len(new) == 2
    assert not {key for _, key in leaked} & set(new)
    for key in new:
        info = await seller.client.told("key_info", staff, key=key)
        assert "for 7 days" in info
        assert "**Note** batch" in info
    assert "no such key" in await seller.client.told("key_info", staff, key=leaked[0][1])
    assert (await seller.client.told("delete_unused", staff)).startswith("3 keys")
    assert await rows.value(seller.database, "select count(*) from users") == 2
    assert "no key that nobody used" in await seller.client.told("replace_keys", staff, count=2)


async def test_everybody_with_a_role_is_whitelisted_once(
    seller: Seller, staff: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guild_members, "MEMBERS_AT_ONCE", 4)
    buyers = [seller.discord.join(Person(roles={"399999999999999999"})) for _ in range(9)]
    seller.discord.join(Person(roles={"399999999999999999"}, is_bot=True))
    seller.discord.join(Person())
    await seller.user(discord_id=buyers[0].id)
    told = await seller.client.told("mass_whitelist", staff, role="399999999999999999", duration="30d")
    assert told.startswith("8 members")
    assert "1 had one already" in told
    assert "0 members" in await seller.client.told("mass_whitelist", staff, role="399999999999999999")
    seller.discord.replies = [refusal(403, 50001, "Missing Access")]
    assert "Discord refuses" in await seller.client.told("mass_whitelist", staff, role="399999999999999999")


async def test_a_mass_whitelisting_that_discord_breaks_off_leaves_nobody_with_two_keys(
    seller: Seller, staff: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guild_members, "MEMBERS_AT_ONCE", 4)
    monkeypatch.setattr("moonlatch.discord.staff.MOST_CREATED", 4)
    role, buyers = "399999999999999999", 9
    found = [seller.discord.join(Person(roles={role})) for _ in range(buyers)]
    first = ok([each.shown() for each in found[:4]])

    async def whitelisted() -> str:
        return await seller.client.told("mass_whitelist", staff, role=role)

    for second in ((500, {}, b"oops"), (200, {}, b"<html>"), (200, {}, b'[{"user": {}}]'), first):
        seller.discord.replies = [first, second]
        assert "Try again in a minute" in await whitelisted()
    assert await seller.events("user.created") == []
    seller.discord.replies = [too_many(0.01)]
    told = await asyncio.gather(whitelisted(), whitelisted())
    assert sum(int(each.split()[0]) for each in told) == buyers
    assert all(f"{each.split()[0]} members" in each for each in told)
    assert await seller.client.told("mass_whitelist", staff, role=role) == (
        f"0 members with <@&{role}> have a key now; {buyers} had one already."
    )
    seller.discord.replies = [first, too_many(3_000)]
    assert "Try again in a minute" in await whitelisted()
    once = seller.discord.interaction(COMMAND, staff, name="mass_whitelist", options=[{"name": "role", "value": role}])
    assert [(await seller.client.send(once)).status_code for _ in range(2)] == [200, 401]


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        ("whitelist", {"user": "x"}, "`user` must be a Discord user id"),
        ("whitelist", {}, "`user` is required"),
        ("whitelist", {"user": "5", "duration": "soon"}, "`duration` is not a duration"),
        ("whitelist", {"user": "5", "duration": "0d"}, "`duration` must be more than nothing"),
        ("whitelist", {"user": "5", "note": "x" * 256}, "`note` must have at most 255"),
        ("whitelist", {"user": "5", "note": "a\0b"}, "`note` must be text"),
        ("create_keys", {"count": 501}, "`count` must be a number from 1 to 500"),
        ("create_keys", {"count": True}, "`count` must be a number"),
        ("extend", {"user": "5"}, "`duration` is required"),
        ("extend", {"duration": "3d"}, "`user` or key is required"),
        ("mass_whitelist", {"role": "@everyone"}, "`role` must be a role"),
        ("key_info", {"key": "5"}, "There is no such key here."),
        ("message", {"key": "5"}, "There is no such key here."),
        ("redeem_key", {"key": "käse käse"}, "`key` is not one"),
        ("redeem_key", {"key": "x" * 65}, "`key` is not one"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    seller: Seller, staff: Person, command: str, options: dict[str, object], words: str
) -> None:
    assert (await seller.client.told(command, staff, **options)).replace("\\", "").startswith(words)
    assert await seller.events("user.created") == []


async def test_a_key_that_never_expires_cannot_be_extended(seller: Seller, staff: Person) -> None:
    _, key = await seller.user()
    assert "never expires" in await seller.client.told("extend", staff, key=key, duration="3d")
    _, key = await seller.user(key_days=3)
    assert "whole days" in await seller.client.told("extend", staff, key=key, duration="10m")
    assert "for 5 days" in await seller.client.told("extend", staff, key=key, duration="2d")


async def test_an_expired_account_changes_nothing(seller: Seller, staff: Person, customer: Person) -> None:
    _, key = await seller.user()
    await rows.change(seller.database, "update accounts set expires_at = 1")
    assert "account has expired" in await seller.client.told("whitelist", staff, user=customer.id)
    assert "account has expired" in await seller.client.told("redeem_key", customer, key=key)
    assert "Keys: 1" in await seller.client.told("stats", staff)


async def test_nobody_is_connected(seller: Seller, staff: Person) -> None:
    _, key = await seller.user()
    assert await seller.client.told("sessions", staff) == "Nobody is connected."
    assert await seller.client.told("message", staff, key=key, handler="give") == "They are not connected."


async def test_discord_is_told_of_the_commands_once_and_again_when_asked(seller: Seller) -> None:
    assert await register_all(seller.world, "https://scripts.example.com") == 1
    assert seller.discord.commands == TOLD
    assert seller.discord.interactions_url == "https://scripts.example.com/discord/interactions"
    assert await register_all(seller.world, "https://scripts.example.com") == 0
    seller.discord.interactions_url = "https://other.example.com/"
    await seller.change(lambda change: operations.register(change, replaces_url=False))
    assert await register_all(seller.world, "https://scripts.example.com") == 1
    assert seller.discord.interactions_url == "https://other.example.com/"
    await seller.change(lambda change: operations.register(change, replaces_url=True))
    await register_all(seller.world, "https://scripts.example.com")
    assert seller.discord.interactions_url == "https://scripts.example.com/discord/interactions"
    found = await discord_applications.find(seller.database, seller.account)
    assert found is not None
    assert (found.commands, found.replaces_url, found.problem) == (VERSION, False, None)


async def test_a_token_that_discord_refuses_is_told_of_once_and_not_tried_again(seller: Seller) -> None:
    seller.discord.token = "reset"
    for _ in range(3):
        assert await register_all(seller.world, "https://scripts.example.com") == 0
    assert len(seller.discord.calls("PUT", "/commands")) == 1
    (event,) = await seller.events("discord.failed")
    assert event.actor_kind == "job"
    assert "reset it" in event.changes["problem"][1]
    assert STAFF in (await seller.link_now()).roles
