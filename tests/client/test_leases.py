"""Which starts come with a lease, what it says, and that a device is not reset before it has ended."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from moonlatch.clock import DAY_MS
from support import rows
from support.client import DEVICE, Client, Copy, Refused
from support.client_server import World
from support.lua_host.leases import derive
from support.paseto import verified


async def started(client: Client, **request: Any) -> Copy:
    return await client.execute(**{"keeps_leases": True, **request})


def claims_of(world: World, client: Client, copy: Copy) -> dict[str, Any]:
    message, footer = verified(copy.reply["lease"], world.keyring.public_key, client.script.encode())
    assert json.loads(footer)["kid"].startswith("k4.pid.")
    claims: dict[str, Any] = json.loads(message)
    return claims


async def test_a_lease_says_who_may_start_what_where_and_until_when(world: World) -> None:
    client = await world.script(offline_days=7)
    key = await world.user(note="a note")
    world.clock.stand_still(world.clock())
    copy = await started(client, key=key)
    claims, now = claims_of(world, client, copy), world.clock()
    payload_key, digest = claims.pop("payload_key"), claims.pop("payload_digest")
    variables = dict(copy.variables)
    assert variables.pop("la_seconds_left") is None
    assert claims == {
        "kind": "lease",
        "script": client.script,
        "loader": client.loader,
        "key": await world.id_of(key),
        "device": derive(client.secret, "moonlatch/2 device", key, DEVICE).hex(),
        "builds": [1],
        "issued": now,
        "expires": now + 7 * DAY_MS,
        "grace": now + 8 * DAY_MS,
        "sequence": 1,
        "key_expires": None,
        "variables": variables,
    }
    sealed = base64.b64decode(copy.reply["payload"])
    assert digest == hashlib.blake2s(sealed).hexdigest()
    pad = derive(client.secret, "moonlatch/2 lease", key, DEVICE, str(now))
    opener = ChaCha20Poly1305(bytes(one ^ other for one, other in zip(bytes.fromhex(payload_key), pad, strict=True)))
    assert opener.decrypt(bytes(12), sealed, b"moonlatch/1 payload") == rows.PAYLOAD
    assert await world.value("select leased_until from users where id = :id", id=claims["key"]) == now + 8 * DAY_MS


async def test_a_lease_ends_with_its_key(world: World) -> None:
    client = await world.script(offline_days=7)
    world.clock.stand_still(world.clock())
    end = world.clock() + 3 * DAY_MS
    for key in (await world.user(key_expires=end), await world.user(key_days=3)):
        claims = claims_of(world, client, await started(client, key=key))
        assert (claims["expires"], claims["grace"], claims["key_expires"]) == (end, end, end)
        assert await world.value("select leased_until from users where id = :id", id=claims["key"]) == end


async def test_a_shorter_lease_does_not_take_back_a_longer_one(world: World) -> None:
    client = await world.script(offline_days=30)
    key = await world.user()
    longest = claims_of(world, client, await started(client, key=key))["grace"]
    await world.change("update scripts set offline_days = 1 where id = :id", id=client.script)
    assert claims_of(world, client, await started(client, key=key))["grace"] < longest
    assert await world.value("select leased_until from users where id = :id", id=await world.id_of(key)) == longest


@pytest.mark.parametrize(
    ("script", "user", "request_"),
    [
        ({"offline_days": 0}, {}, {}),
        ({}, {}, {"keeps_leases": False}),
        ({}, {"fingerprintless": True}, {}),
        ({}, {"max_executions": 5}, {}),
        ({}, {}, {"fingerprint": None}),
    ],
)
async def test_others_get_none(world: World, script: Any, user: Any, request_: Any) -> None:
    client = await world.script(**{"offline_days": 7, **script})
    key = await world.user(**user)
    copy = await started(client, key=key, **request_)
    assert "lease" not in copy.reply
    assert await world.value("select leased_until from users where id = :id", id=await world.id_of(key)) is None


async def test_a_free_for_all_script_gives_one_without_a_key(world: World) -> None:
    client = await world.script(offline_days=7, free_for_all=True)
    claims = claims_of(world, client, await started(client))
    assert (claims["key"], claims["sequence"], claims["variables"]["la_is_premium"]) == (None, 0, False)


async def test_a_copy_that_comes_back_is_judged_by_the_build_it_runs(world: World) -> None:
    client = await world.script(offline_days=7, kick_outdated=True)
    key = await world.user()
    await rows.add_build(world.database, client.script, 2)
    await world.change("update scripts set build = 2 where id = :id", id=client.script)
    with pytest.raises(Refused) as caught:
        await started(client, key=key, build=1)
    assert caught.value.code == "OUTDATED"
    await world.change("update scripts set kick_outdated = false where id = :id", id=client.script)
    copy = await started(client, key=key, build=1)
    await copy.beat()
    await world.change("update scripts set kick_outdated = true where id = :id", id=client.script)
    with pytest.raises(Refused) as caught:
        await copy.beat()
    assert caught.value.code == "OUTDATED"
