"""Whose Discord role has a channel is given its build from the next start on, and no longer when the role is taken."""

from __future__ import annotations

import asyncio

import pytest

from moonlatch.clock import HOUR_MS, MINUTE_MS
from moonlatch.discord import guild_members
from moonlatch.discord.channel_sync import INTENT_MISSING, ChannelSync, look_at
from moonlatch.licensing.verdict import with_build_given
from moonlatch.operations import channels, pins, users
from moonlatch.operations import discord as operations
from moonlatch.storage import discord_applications, discord_channels
from moonlatch.storage.licences import Licences, StartQuestion
from support import rows
from support.discord import GUILD, OTHER_GUILD, TOKEN, Person
from support.discord_seller import Seller

TESTERS, FRIENDS, CAREFUL = "399999999999999991", "399999999999999992", "399999999999999993"
CURRENT, BETA, ALPHA = 3, 2, 1
MAPPED = {TESTERS: "beta", FRIENDS: "alpha", CAREFUL: "stable"}


async def script_of(seller: Seller, *names: str) -> str:
    """A script with three builds of which channels of these names serve some."""
    script, _ = await rows.add_script(seller.database, seller.project, build=CURRENT)
    for number in (BETA, CURRENT):
        await rows.add_build(seller.database, script, number)
    for name in names:
        build = {"beta": BETA, "alpha": ALPHA}[name]
        await seller.change(lambda change, name=name, build=build: channels.put(change, script, name, build))  # type: ignore[misc]
    return script


async def build_of(seller: Seller, script: str, key: str) -> int:
    """The build that a start is given."""
    licences = Licences(seller.database)
    owner = await licences.owner(script)
    assert owner is not None
    assert seller.world.keyring is not None
    question = StartQuestion(script, "", seller.world.keyring.user_key_hash(key), None, seller.clock())
    facts = await licences.for_start(owner, question)
    assert facts is not None
    return with_build_given(facts, None).build


async def follow(seller: Seller) -> bool:
    """Look at the next server that is due; False where none is."""
    now = seller.clock()
    look = await seller.database.run(lambda tx: discord_channels.claim(tx, now=now))
    if look is not None:
        await look_at(seller.world, look)
    return look is not None


async def a_minute_later(seller: Seller) -> None:
    assert not await follow(seller)
    seller.clock.ahead_ms += MINUTE_MS
    assert await follow(seller)


@pytest.fixture
def tester(seller: Seller) -> Person:
    seller.discord.positions |= {TESTERS: 1, FRIENDS: 2, CAREFUL: 3}
    return seller.discord.join(Person(roles={TESTERS}))


async def test_a_role_puts_keys_on_its_channel_until_it_is_taken(seller: Seller, tester: Person) -> None:
    script = await script_of(seller, "beta")
    user, key = await seller.user(discord_id=tester.id)
    _, other = await seller.user(discord_id=seller.discord.join(Person(roles={FRIENDS})).id)
    assert not await follow(seller)
    await seller.link(channels={TESTERS: "beta"})
    assert await follow(seller)
    assert [await build_of(seller, script, each) for each in (key, other)] == [BETA, CURRENT]
    (event,) = await seller.events("discord.channels_changed")
    assert (event.resource_id, event.changes) == (user.id, {"role_channels": ([], ["beta"])})
    tester.roles.clear()
    await a_minute_later(seller)
    assert await build_of(seller, script, key) == CURRENT
    tester.roles.add(TESTERS)
    await a_minute_later(seller)
    # Nobody's roles changed: nothing is written, and no event left.
    await a_minute_later(seller)
    assert await build_of(seller, script, key) == BETA
    assert len(await seller.events("discord.channels_changed")) == 3
    del seller.discord.members[GUILD][tester.id]
    await a_minute_later(seller)
    assert await build_of(seller, script, key) == CURRENT


async def test_the_role_may_be_there_before_the_key_and_goes_with_its_owner(seller: Seller, tester: Person) -> None:
    script = await script_of(seller, "beta")
    await seller.link(channels={TESTERS: "beta"})
    await follow(seller)
    user, key = await seller.user(discord_id=tester.id)
    assert await build_of(seller, script, key) == BETA
    await seller.change(lambda change: users.edit(change, user.id, {"discord_id": "5"}))
    assert await build_of(seller, script, key) == CURRENT
    await seller.change(lambda change: users.edit(change, user.id, {"discord_id": tester.id}))
    assert await build_of(seller, script, key) == BETA
    # A script or channel that comes later is found as well.
    later = await script_of(seller, "beta")
    assert await build_of(seller, later, key) == BETA


async def test_a_keys_own_channel_wins_and_of_roles_the_highest_that_says_something(
    seller: Seller, tester: Person
) -> None:
    both, one, none = await script_of(seller, "beta", "alpha"), await script_of(seller, "beta"), await script_of(seller)
    user, key = await seller.user(discord_id=tester.id)
    tester.roles |= {FRIENDS, "5"}
    await seller.link(channels=MAPPED)
    await follow(seller)
    builds = [await build_of(seller, script, key) for script in (both, one, none)]
    assert builds == [ALPHA, BETA, CURRENT]
    seller.discord.positions |= {TESTERS: 2, FRIENDS: 1}
    await a_minute_later(seller)
    assert await build_of(seller, both, key) == BETA
    tester.roles.add(CAREFUL)
    await a_minute_later(seller)
    assert await build_of(seller, both, key) == CURRENT
    await seller.change(lambda change: pins.pin(change, user.id, both, {"channel": "alpha"}))
    assert await build_of(seller, both, key) == ALPHA
    await seller.change(lambda change: pins.pin(change, user.id, both, {"channel": None, "build": BETA}))
    assert await build_of(seller, both, key) == BETA
    assert await build_of(seller, one, key) == CURRENT


async def test_another_mapping_or_none_takes_what_was_by_the_one_before(seller: Seller, tester: Person) -> None:
    script = await script_of(seller, "beta", "alpha")
    _, key = await seller.user(discord_id=tester.id)
    await seller.link(channels={TESTERS: "beta"})
    await follow(seller)
    await seller.link(channels={TESTERS: "beta", FRIENDS: "alpha"})
    assert await build_of(seller, script, key) == BETA
    await seller.link(channels={TESTERS: "alpha"})
    assert await build_of(seller, script, key) == CURRENT
    await follow(seller)
    assert await build_of(seller, script, key) == ALPHA
    for changes in ({"channels": {}}, {"guild_id": OTHER_GUILD}):
        await seller.link(guild_id=GUILD, channels={TESTERS: "beta"})
        await follow(seller)
        assert await build_of(seller, script, key) == BETA
        await seller.link(**changes)
        assert await build_of(seller, script, key) == CURRENT
        assert not await follow(seller)
    await seller.link(guild_id=GUILD, channels={TESTERS: "beta"})
    await follow(seller)
    await seller.change(lambda change: operations.unlink(change, seller.project))
    assert await build_of(seller, script, key) == CURRENT
    assert await rows.value(seller.database, "select count(*) from discord_channels") == 0
    assert await rows.value(seller.database, "select count(*) from users where role_channels is not null") == 0
    plan = await rows.value(seller.database, "select plan from scripts where id = :id", id=script)
    assert plan is None


async def test_what_is_known_stays_while_discord_does_not_tell(seller: Seller, tester: Person) -> None:
    script = await script_of(seller, "beta")
    _, key = await seller.user(discord_id=tester.id)
    await seller.link(channels={TESTERS: "beta"})
    await follow(seller)
    tester.roles.clear()
    broken = [(500, {}, b"oops"), None, (200, {}, b"{"), (200, {}, b"[7]"), (200, {}, b'{"a": 1}'), (204, {}, b"")]
    for number, fault in enumerate(broken):
        seller.clock.ahead_ms += HOUR_MS
        seller.discord.replies = [fault, fault]  # a kept connection that ends is tried anew
        assert await follow(seller)
        assert await build_of(seller, script, key) == BETA, number
    seller.discord.replies, seller.discord.members_intent = [], False
    seller.clock.ahead_ms += HOUR_MS
    await follow(seller)
    assert (await seller.link_now()).members_problem == INTENT_MISSING
    assert await build_of(seller, script, key) == BETA
    await seller.sync()  # the other job says nothing of it
    assert (await seller.link_now()).members_problem == INTENT_MISSING
    seller.discord.members_intent = True
    seller.clock.ahead_ms += HOUR_MS
    await follow(seller)
    assert (await seller.link_now()).members_problem is None
    assert await build_of(seller, script, key) == CURRENT


async def test_members_are_read_page_by_page_and_never_the_same_again(
    seller: Seller, tester: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guild_members, "MEMBERS_AT_ONCE", 3)
    people = [seller.discord.join(Person(roles={TESTERS})) for _ in range(7)]
    seller.discord.join(Person(roles={TESTERS}, is_bot=True))
    await seller.link(channels={TESTERS: "beta"})
    await follow(seller)
    found = await discord_channels.of_project(seller.database, seller.project)
    assert found == {person.id: ["beta"] for person in [tester, *people]}
    page = b'[{"user":{"id":"5"},"roles":[]},{"user":{"id":"6"},"roles":[]},{"user":{"id":"7"},"roles":[]}]'
    seller.clock.ahead_ms += HOUR_MS
    seller.discord.replies = [(200, {}, b"[]"), (200, {}, page), (200, {}, page)]
    await follow(seller)
    assert await discord_channels.of_project(seller.database, seller.project) == found


async def test_a_refused_token_is_told_of_and_stops_the_calls(seller: Seller, tester: Person) -> None:
    await seller.link(channels={TESTERS: "beta"})
    seller.discord.token = "another"
    await follow(seller)
    application = await discord_applications.find(seller.database, seller.account)
    assert application is not None
    assert application.problem == operations.TOKEN_REFUSED
    calls = len(seller.discord.received)
    seller.clock.ahead_ms += HOUR_MS
    assert await follow(seller)
    assert len(seller.discord.received) == calls
    seller.discord.token = TOKEN
    await seller.connect()
    seller.clock.ahead_ms += HOUR_MS
    await follow(seller)
    assert tester.id in await discord_channels.of_project(seller.database, seller.project)


async def test_a_link_that_is_changed_while_members_are_read_has_nothing_written_of_before(
    seller: Seller, tester: Person
) -> None:
    await seller.link(channels={TESTERS: "beta"})

    async def change(_method: str, path: str) -> None:
        if "/members" in path:
            seller.discord.before_answer = None
            await seller.link(channels={FRIENDS: "beta"})

    seller.discord.before_answer = change
    await follow(seller)
    assert await discord_channels.of_project(seller.database, seller.project) == {}
    assert await follow(seller), "at once, and not in a minute"
    assert await discord_channels.of_project(seller.database, seller.project) == {}
    assert tester.roles == {TESTERS}


async def test_one_of_several_processes_reads_a_server_and_a_dead_ones_work_is_done_again(
    seller: Seller, tester: Person
) -> None:
    await seller.link(channels={TESTERS: "beta"})
    now = seller.clock()
    claimed = [await seller.database.run(lambda tx: discord_channels.claim(tx, now=now)) for _ in range(2)]
    assert claimed[0] is not None
    assert claimed[1] is None
    seller.clock.ahead_ms += discord_channels.LEASE_MS
    jobs = [asyncio.create_task(ChannelSync(seller.world).run()) for _ in range(2)]
    await seller.discord.until(lambda: seller.discord.calls("GET", "&after=0"))
    async with asyncio.timeout(30):
        while not await discord_channels.of_project(seller.database, seller.project):
            await asyncio.sleep(0.01)
    for job in jobs:
        job.cancel()
    assert len(seller.discord.calls("GET", "&after=0")) == 1
    assert set(await discord_channels.of_project(seller.database, seller.project)) == {tester.id}
