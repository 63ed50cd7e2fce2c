"""Who gets which run key, and in what form: beside the text, in a lease, or in the text for loaders that hand none over."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.run_lock import Lock
from moonlatch.obfuscator.transform.run_words import REFUSAL, with_run_key
from moonlatch.operations import marking, run_keys
from moonlatch.storage import templates
from support.client import Client, Copy, derive
from support.client_server import World, running_world
from support.luau import run_luau
from support.paseto import verified

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("a locked build")

SOURCE = b"print('secret business', la_user_note == nil)"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path) as fresh:
        yield fresh


@functools.cache
def build() -> Protected:
    outcome = pipeline.protect(SOURCE, Options("standard", client_chunk=True, has_marks=True, needs_run_key=True), 1)
    assert isinstance(outcome, Protected)
    return outcome


def lock() -> Lock:
    found = build().lock
    assert found is not None
    return found


async def locked(world: World, *, loader: int = 10, **columns: object) -> Client:
    """A script whose build has a lock, and whose loader is of that version."""
    client = await world.script(payload=build().text.encode(), **columns)
    await world.change("update builds set run_lock = :lock", lock=lock().to_bytes())
    await world.change("update loaders set version = :version", version=loader)
    return client


def run_key_of(copy: Copy, request_nonce: str) -> bytes:
    """By the protocol's page."""
    keys = derive(copy.client.secret, "moonlatch/1 execute", request_nonce, copy.reply["nonce"])
    payload_key = xor(bytes.fromhex(copy.reply["payload_key"]), derive(keys, "payload"))
    return xor(bytes.fromhex(copy.reply["run_key"]), derive(payload_key, "moonlatch/2 run key"))


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))


async def started(client: Client, **request: object) -> tuple[Copy, bytes]:
    asked, copy = await client.start(**request)
    return copy, run_key_of(copy, asked["nonce"])


def expected(world: World, client: Client, holder: str) -> bytes:
    return run_keys.run_key(world.keyring, lock(), client.script, holder)


async def test_all_keys_have_one_text_and_each_a_run_key_that_names_it(world: World) -> None:
    client = await locked(world)
    keys = [await world.user() for _ in range(2)]
    found = [await started(client, key=key) for key in [*keys, keys[0]]]
    assert {copy.payload for copy, _ in found} == {build().text.encode()}
    holders = [marking.holder_of_key(await world.id_of(key)) for key in keys]
    wanted = [expected(world, client, holder) for holder in holders]
    assert [run_key for _, run_key in found] == [*wanted, wanted[0]]
    assert wanted[0] != wanted[1]


async def test_a_start_without_a_key_is_named_by_its_device_or_address(world: World) -> None:
    client = await locked(world, free_for_all=True)
    project = await world.value("select project_id from scripts where id = :id", id=client.script)
    device = world.keyring.fingerprint(project, "fingerprint", "a device")
    address = world.keyring.fingerprint(project, "ip", "127.0.0.1")
    _, with_device = await started(client, fingerprint="a device")
    _, without = await started(client, fingerprint=None)
    assert with_device == expected(world, client, marking.holder_without_key(device, address))
    assert without == expected(world, client, marking.holder_without_key(None, address))


async def test_a_build_without_a_lock_comes_without_a_run_key(world: World) -> None:
    client = await locked(world)
    await world.change("update builds set run_lock = null")
    assert "run_key" not in (await client.execute(key=await world.user())).reply


@pytest.mark.parametrize("version", [1, 3, 9])
async def test_a_loader_of_before_gets_a_text_that_runs_and_names_its_key(world: World, version: int) -> None:
    client = await locked(world, loader=version)
    keys = [await world.user() for _ in range(2)]
    copies = [await client.execute(key=key, protocol=1 if version < 3 else 2) for key in [*keys, keys[0]]]
    for copy, key in zip(copies, [*keys, keys[0]], strict=True):
        assert "run_key" not in copy.reply
        run_key = expected(world, client, marking.holder_of_key(await world.id_of(key)))
        assert copy.payload == with_run_key(build().text.encode(), run_key)
    called = f"(function(...) {copies[0].payload.decode()} end)({{}})"
    assert run_luau(called).output == "secret business\ttrue"
    assert run_luau(f"(function(...) {build().text} end)({{}})").error == REFUSAL


@pytest.mark.parametrize("version", [9, 10])
async def test_marked_copies_have_it_too(world: World, version: int) -> None:
    client = await locked(world, loader=version, mark_copies=True)
    template = build().template
    assert template is not None
    sealed = marking.sealed(world.keyring, template.to_bytes())
    await world.database.run(
        lambda tx: templates.insert(tx, client.script, 1, sealed, places=len(template.places), now=1)
    )
    key = await world.user()
    holder = marking.holder_of_key(await world.id_of(key))
    marked = await marking.copies_of(world.database, world.keyring, client.script, 1)
    assert marked is not None
    copy = await client.execute(key=key)
    run_key = expected(world, client, holder)
    if version < 10:
        assert copy.payload == with_run_key(marked.text(holder), run_key)
    else:
        assert copy.payload == marked.text(holder)
        assert "run_key" in copy.reply


async def test_a_lease_has_what_its_start_had(world: World) -> None:
    client = await locked(world, offline_days=7)
    copy = await client.execute(key=await world.user(), keeps_leases=True)
    message, _ = verified(copy.reply["lease"], world.keyring.public_key, client.script.encode())
    assert json.loads(message)["run_key"] == copy.reply["run_key"]
