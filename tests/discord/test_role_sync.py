"""Whose key is good has the role; whoever's ended, was removed or blacklisted has not. Within limits, and whatever dies in between."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from moonlatch.clock import DAY_MS, HOUR_MS, MINUTE_MS
from moonlatch.discord.role_sync import AT_ONCE, LONGEST_ABSENT_MS, SERVER_PAUSE_MS, RoleSync, sync_some
from moonlatch.operations import discord as operations
from moonlatch.operations import projects, users
from moonlatch.storage import discord_roles
from support import rows
from support.discord import ABOVE, CUSTOMERS, GUILD, OTHER_GUILD, TOKEN, Person, refusal, too_many
from support.discord_seller import Seller


async def test_the_role_follows_the_key(seller: Seller, customer: Person) -> None:
    user, _ = await seller.user(discord_id=customer.id, key_expires=seller.clock() + DAY_MS)
    await seller.sync()
    assert customer.roles == {CUSTOMERS}
    assert not await seller.is_due()
    seller.clock.ahead_ms += DAY_MS
    await seller.sync()
    assert customer.roles == set()
    await seller.change(lambda change: users.extend(change, user.id, milliseconds=DAY_MS))
    await seller.sync()
    assert customer.roles == {CUSTOMERS}
    await seller.change(lambda change: users.blacklist(change, user.id, reason=None, expires=seller.clock() + HOUR_MS))
    await seller.sync()
    assert customer.roles == set()
    seller.clock.ahead_ms += HOUR_MS
    await seller.sync()
    assert customer.roles == {CUSTOMERS}
    await seller.change(lambda change: users.remove(change, user.id))
    await seller.sync()
    assert customer.roles == set()
    assert len(seller.discord.calls("PUT")) == len(seller.discord.calls("DELETE")) == 3


async def test_a_key_that_changes_hands_takes_the_role_along(seller: Seller, customer: Person) -> None:
    user, _ = await seller.user(discord_id=customer.id)
    await seller.sync()
    other = seller.discord.join(Person())
    await seller.change(lambda change: users.edit(change, user.id, {"discord_id": other.id}))
    await seller.sync()
    assert (customer.roles, other.roles) == (set(), {CUSTOMERS})
    await seller.change(lambda change: users.edit(change, user.id, {"note": "nothing about roles"}))
    assert not await seller.is_due()


async def test_two_projects_with_one_role_keep_it_for_whoever_has_a_good_key_of_either(
    seller: Seller, customer: Person
) -> None:
    other = await seller.another_project("Other", customer_role_id=CUSTOMERS)
    first, _ = await seller.user(discord_id=customer.id)
    await seller.user(project=other, discord_id=customer.id)
    await seller.sync()
    await seller.change(lambda change: users.remove(change, first.id))
    await seller.sync()
    assert customer.roles == {CUSTOMERS}
    await seller.change(lambda change: projects.remove(change, other))
    await seller.sync()
    assert customer.roles == set()


async def test_another_role_or_server_takes_the_place_of_the_first(seller: Seller, customer: Person) -> None:
    seller.discord.join(customer, OTHER_GUILD)
    await seller.user(discord_id=customer.id)
    await seller.sync()
    seller.discord.positions["399999999999999998"] = 1
    await seller.link(customer_role_id="399999999999999998")
    await seller.sync()
    assert customer.roles == {"399999999999999998"}
    await seller.link(guild_id=OTHER_GUILD, customer_role_id=CUSTOMERS)
    await seller.sync()
    assert customer.roles == {CUSTOMERS}
    await seller.change(lambda change: operations.unlink(change, seller.project))
    await seller.sync()
    assert customer.roles == set()


async def test_limits_are_kept(seller: Seller) -> None:
    people = [seller.discord.join(Person()) for _ in range(5)]
    for person in people:
        await seller.user(discord_id=person.id)
    exhausted = (204, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "0.3"}, b"")
    seller.discord.replies = [exhausted, too_many(0.2), too_many(0.2, is_global=True)]
    times: list[float] = []

    async def note(_method: str, _path: str) -> None:
        times.append(asyncio.get_running_loop().time())

    seller.discord.before_answer = note
    await seller.sync()
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    for wait, least in zip(waits, (0.3, 0.2, 0.2), strict=False):
        assert wait >= least
    assert len(times) == 7
    assert sum(CUSTOMERS in person.roles for person in people) == 4  # the first answer was not the real one


async def test_a_long_wait_lets_go_of_what_was_claimed(seller: Seller, customer: Person) -> None:
    await seller.user(discord_id=customer.id)
    seller.clock.stand_still(seller.clock())
    seller.discord.replies = [too_many(600)]
    assert not await sync_some(seller.world, seller.account)
    assert not await seller.is_due()
    seller.clock.ahead_ms += 600_000
    assert await seller.is_due()


@pytest.mark.parametrize(
    "fault", [None, (500, {}, b"oops"), (200, {}, b"{"), (302, {"Location": "http://127.0.0.1/"}, b"")]
)
async def test_whatever_discord_answers_is_tried_again(seller: Seller, customer: Person, fault: object) -> None:
    await seller.user(discord_id=customer.id)
    seller.discord.replies = [fault]  # type: ignore[list-item]
    await seller.sync()
    seller.clock.ahead_ms += MINUTE_MS
    await seller.sync()
    assert customer.roles == {CUSTOMERS}


async def test_who_is_not_on_the_server_is_looked_for_less_and_less(seller: Seller) -> None:
    absent = Person()
    await seller.user(discord_id=absent.id)
    waits = []
    for _ in range(9):
        await seller.sync()
        due = await rows.value(seller.database, "select due_at from discord_dues")
        waits.append(due - seller.clock())
        seller.clock.ahead_ms = due - seller.clock() + seller.clock.ahead_ms
    assert waits[0] <= HOUR_MS < waits[1] <= 4 * HOUR_MS
    assert waits[-1] <= LONGEST_ABSENT_MS
    assert len(seller.discord.calls("PUT")) == 9
    seller.discord.join(absent)
    await seller.sync()
    assert absent.roles == {CUSTOMERS}


async def test_a_server_that_does_not_let_the_bot_give_roles_is_left_alone_and_told_of(
    seller: Seller, customer: Person
) -> None:
    for person in (customer, *(seller.discord.join(Person()) for _ in range(5))):
        await seller.user(discord_id=person.id)
    await seller.link(customer_role_id=ABOVE)
    await seller.sync()
    assert len(seller.discord.calls("PUT")) == 1
    assert "above it" in str((await seller.link_now()).problem)
    seller.discord.positions[ABOVE] = 1
    seller.clock.ahead_ms += SERVER_PAUSE_MS
    await seller.sync()
    assert customer.roles == {ABOVE}
    assert (await seller.link_now()).problem is None


async def test_a_refused_token_stops_all_calls_until_another_is_connected(seller: Seller, customer: Person) -> None:
    await seller.user(discord_id=customer.id)
    seller.discord.token = "another"
    await seller.sync()
    await seller.sync()
    assert len(seller.discord.calls("PUT")) == 1
    assert len(await seller.events("discord.failed")) == 1
    seller.discord.token = TOKEN
    await seller.connect()
    await seller.sync()
    assert customer.roles == {CUSTOMERS}


async def test_what_changes_while_it_is_looked_at_is_looked_at_again(seller: Seller, customer: Person) -> None:
    user, _ = await seller.user(discord_id=customer.id)
    removed = False

    async def remove(method: str, _path: str) -> None:
        nonlocal removed
        if method == "PUT" and not removed:
            removed = True
            await seller.change(lambda change: users.remove(change, user.id))

    seller.discord.before_answer = remove
    await seller.sync()
    assert await seller.is_due()
    await seller.sync()
    assert customer.roles == set()


async def test_who_dies_between_the_call_and_its_record_does_it_again(seller: Seller, customer: Person) -> None:
    await seller.user(discord_id=customer.id)
    called = asyncio.Event()

    async def hang(_method: str, _path: str) -> None:
        called.set()
        await asyncio.sleep(60)

    seller.discord.before_answer = hang
    dying = asyncio.create_task(sync_some(seller.world, seller.account))
    await called.wait()
    dying.cancel()
    seller.discord.before_answer = None
    assert not await seller.is_due()
    seller.clock.ahead_ms += discord_roles.LEASE_MS
    await seller.sync()
    assert customer.roles == {CUSTOMERS}
    assert await rows.value(seller.database, "select count(*) from discord_grants") == 1


async def test_several_processes_share_the_work(seller: Seller) -> None:
    people = [seller.discord.join(Person()) for _ in range(2 * AT_ONCE + 5)]
    for person in people:
        await seller.user(discord_id=person.id)
    jobs = [asyncio.create_task(RoleSync(seller.world).run()) for _ in range(3)]
    await seller.discord.until(lambda: all(person.roles == {CUSTOMERS} for person in people))
    for job in jobs:
        job.cancel()
    assert len(seller.discord.calls("PUT")) == len(people)


async def test_a_disconnected_application_leaves_nothing_to_do(seller: Seller, customer: Person) -> None:
    await seller.user(discord_id=customer.id)
    await seller.change(operations.disconnect)
    for table in ("discord_applications", "discord_links", "discord_grants", "discord_dues"):
        assert await rows.value(seller.database, f"select count(*) from {table}") == 0
    assert await seller.client.send(seller.discord.interaction(1, None)) is not None
    assert (await seller.client.send(seller.discord.interaction(1, None))).status_code == 401


async def test_a_role_that_was_deleted_counts_as_taken(seller: Seller, customer: Person) -> None:
    user, _ = await seller.user(discord_id=customer.id)
    await seller.sync()
    await seller.change(lambda change: users.remove(change, user.id))
    seller.discord.replies = [refusal(404, 10011, "Unknown Role")]
    await seller.sync()
    assert await rows.value(seller.database, "select count(*) from discord_grants") == 0
    assert GUILD in seller.discord.members
