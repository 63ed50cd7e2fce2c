"""Copies that were started before the keys of users were sealed: their tokens hold the key, and they go on."""

from __future__ import annotations

from typing import Any

import msgspec
import pybase64
import pytest

from moonlatch.live.interface import SessionFilter
from support.client import Copy, Refused
from support.client_server import World


async def copy_of_before(world: World, key: str, **columns: Any) -> Copy:
    """A copy with the token that it would have got then: eleven values, the fifth of which is the key."""
    script = await world.script(**columns)
    script.exchange_key = None  # its loader knew none
    copy = await script.execute(key=key)
    content = msgspec.msgpack.decode(pybase64.urlsafe_b64decode(copy.reply["token"])[:-32])
    content = msgspec.msgpack.encode([*content[:4], key, *content[5:11]])
    copy.reply["token"] = pybase64.urlsafe_b64encode(content + world.keyring.instance_mac(content)).decode()
    await world.live.release(copy.instance)  # the server has been restarted since
    return copy


async def test_they_beat_and_open_sessions_as_the_user_whose_key_it_is(world: World) -> None:
    key = await world.user()
    copy = await copy_of_before(world, key)
    await copy.beat()
    user = await world.id_of(key)
    assert await world.live.instances_of(user) == 1
    await copy.session()
    assert [one.user_id for one in await world.live.sessions(copy.client.script, SessionFilter(), 0, 9)] == [user]


async def test_whose_key_is_gone_by_now_is_refused(world: World) -> None:
    key = await world.user()
    copy = await copy_of_before(world, key)
    await world.change("delete from users")
    with pytest.raises(Refused, match="KEY_NOT_FOUND"):
        await copy.beat()
    assert (await (await copy.connect()).stopped()) == "KEY_NOT_FOUND"


async def test_who_came_without_a_key_goes_on_without(world: World) -> None:
    copy = await copy_of_before(world, await world.user(), free_for_all=True)
    content = msgspec.msgpack.decode(pybase64.urlsafe_b64decode(copy.reply["token"])[:-32])
    content = msgspec.msgpack.encode([*content[:4], None, *content[5:]])
    copy.reply["token"] = pybase64.urlsafe_b64encode(content + world.keyring.instance_mac(content)).decode()
    await copy.beat()
