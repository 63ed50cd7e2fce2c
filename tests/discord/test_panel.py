"""What customers do alone: each gets at their own key by their Discord account, and at nobody else's."""

from __future__ import annotations

import asyncio

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.operations import users
from support import rows
from support.discord import CUSTOMERS, Person, buttons_of, text_of
from support.discord_seller import PUBLIC_URL, Seller


async def pressed(seller: Seller, action: str, person: Person) -> str:
    return text_of(await seller.client.press(f"ml1:{action}:{seller.project}", person))


async def redeemed(seller: Seller, key: str, person: Person) -> str:
    dialog = await seller.client.press(f"ml1:redeem_key:{seller.project}", person)
    assert dialog["type"] == 9
    return text_of(await seller.client.write(dialog["data"]["custom_id"], person, key=key))


async def test_a_customer_redeems_a_key_and_gets_their_script(seller: Seller, admin: Person, customer: Person) -> None:
    panel = buttons_of(await seller.client.use("panel", admin))
    assert (
        await pressed(seller, "get_script", customer)
        == "There is no key for this Discord account here. Redeem one first."
    )
    _, key = await seller.user(key_days=30)
    assert (await redeemed(seller, f" {key} ", customer)).startswith("The key is yours now, for 30 days")
    assert "no script to run" in text_of(await seller.client.press(panel["Get script"], customer))
    script, _ = await rows.add_script(seller.database, seller.project)
    off, _ = await rows.add_script(seller.database, seller.project, enabled=False)
    told = text_of(await seller.client.press(panel["Get script"], customer))
    assert f'script_key = "{key}"\nloadstring(game:HttpGet("{PUBLIC_URL}/loader/{script}"))()' in told
    assert off not in told
    assert "good for 30 days" in await pressed(seller, "my_stats", customer)
    (event,) = await seller.events("user.redeemed")
    assert (event.actor_kind, event.actor_name, event.changes["discord_id"]) == (
        "discord",
        "customer",
        (None, customer.id),
    )
    assert event.actor_id == event.resource_id


async def test_a_key_is_redeemed_by_one_of_many(seller: Seller) -> None:
    _, key = await seller.user()
    people = [seller.discord.join(Person()) for _ in range(8)]
    told = await asyncio.gather(*(redeemed(seller, key, person) for person in people))
    assert sorted(each.split(".")[0][:27] for each in told) == ["Somebody redeemed this key "] * 7 + [
        "The key is yours now, for g"
    ]


async def test_a_second_key_takes_the_place_of_an_expired_one_only(seller: Seller, customer: Person) -> None:
    first, _ = await seller.user(discord_id=customer.id, key_expires=seller.clock() + DAY_MS)
    second, key = await seller.user()
    assert "still good" in await redeemed(seller, key, customer)
    seller.clock.ahead_ms += 2 * DAY_MS
    assert "is yours now" in await redeemed(seller, key, customer)
    now = await seller.owned(customer)
    assert now is not None
    assert now.id == second.id
    assert "still good" in await redeemed(seller, key, customer)
    assert await rows.value(seller.database, "select discord_id from users where id = :id", id=first.id) is None


async def test_who_is_blacklisted_gets_in_by_no_other_key(seller: Seller, customer: Person) -> None:
    user, _ = await seller.user(discord_id=customer.id, key_expires=seller.clock() + DAY_MS)
    await seller.change(lambda change: users.blacklist(change, user.id, reason="why", expires=None))
    seller.clock.ahead_ms += 2 * DAY_MS
    _, fresh = await seller.user()
    for told in (
        await redeemed(seller, fresh, customer),
        await pressed(seller, "get_script", customer),
        await pressed(seller, "reset_device", customer),
        await pressed(seller, "get_role", customer),
    ):
        assert told == "This key is blacklisted."
    assert "blacklisted: why" in await pressed(seller, "my_stats", customer)


@pytest.mark.parametrize("which", ["expired", "blacklisted", "id", "other project", "unknown"])
async def test_a_key_that_is_not_good_is_not_redeemed(seller: Seller, customer: Person, which: str) -> None:
    words = "There is no such key."
    if which == "other project":
        _, key = await seller.user(project=await seller.another_project("Other"))
    elif which == "unknown":
        key = "A" * 32
    else:
        user, key = await seller.user(key_expires=1 if which == "expired" else None)
        if which == "id":
            key = user.id
        elif which == "expired":
            words = "This key has expired."
        else:
            words = "This key is blacklisted."
            await seller.change(lambda change: users.blacklist(change, user.id, reason=None, expires=None))
    assert (await redeemed(seller, key, customer)).startswith(words)
    assert await seller.owned(customer) is None


async def test_a_device_is_reset_once_in_a_while(seller: Seller, customer: Person) -> None:
    user, _ = await seller.user(discord_id=customer.id)
    bind = "update users set fingerprint = :device where id = :id"
    await rows.change(seller.database, bind, device=b"1" * 32, id=user.id)
    assert "Devices: 1 of 1" in await pressed(seller, "my_stats", customer)
    assert "becomes its device" in await pressed(seller, "reset_device", customer)
    await rows.change(seller.database, bind, device=b"1" * 32, id=user.id)
    assert "not long ago" in await pressed(seller, "reset_device", customer)
    await rows.change(seller.database, "update projects set allow_fingerprint_resets = :no", no=False)
    assert "Ask the staff" in await pressed(seller, "reset_device", customer)
    (event,) = await seller.events("user.fingerprint_reset")
    assert (event.actor_id, event.actor_name) == (user.id, "customer")


async def test_the_role_is_given_anew_when_it_is_asked_for(seller: Seller, customer: Person) -> None:
    assert "no key" in await pressed(seller, "get_role", customer)
    await seller.user(discord_id=customer.id)
    await seller.sync()
    customer.roles.clear()  # somebody took it by hand
    assert f"<@&{CUSTOMERS}>" in await pressed(seller, "get_role", customer)
    await seller.sync()
    assert customer.roles == {CUSTOMERS}
    await seller.link(customer_role_id=None)
    assert "no role" in await pressed(seller, "get_role", customer)


async def test_names_of_scripts_do_not_end_the_block_of_code(seller: Seller, customer: Person) -> None:
    await seller.user(discord_id=customer.id)
    for name in ("```\n@everyone", "x"):
        await rows.add_script(seller.database, seller.project, name=name)
    told = await pressed(seller, "get_script", customer)
    assert told.count("```") == 2
    assert "@everyone" not in told
