"""Marked copies: each key has its own, which names it, and a script without marks is served as ever."""

from __future__ import annotations

import functools
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from moonlatch.client.payloads import Payloads
from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.reading import read
from moonlatch.obfuscator.template import Template
from moonlatch.operations import marking
from moonlatch.storage import templates
from support.client import Client, Copy
from support.client_server import World, running_world
from support.protecting import LUA51_PROGRAMS

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("a marked build")

JSON = next(one for one in LUA51_PROGRAMS if one.name == "json.lua")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path) as fresh:
        yield fresh


@functools.cache
def build() -> tuple[bytes, Template]:
    outcome = pipeline.protect(JSON.read_bytes(), Options("standard", client_chunk=True, has_marks=True), 1)
    assert isinstance(outcome, Protected)
    assert outcome.template is not None
    return outcome.text.encode("ascii"), outcome.template


async def marked(world: World, *, keeps_template: bool = True, **columns: bool) -> Client:
    text, template = build()
    client = await world.script(**{"payload": text, "mark_copies": True, **columns})
    if keeps_template:
        sealed = marking.sealed(world.keyring, template.to_bytes())
        places = len(template.places)
        await world.database.run(lambda tx: templates.insert(tx, client.script, 1, sealed, places=places, now=1))
    return client


def names(world: World, copy: Copy, holder: str) -> bool:
    """Whether the copy is read as that holder's."""
    _, template = build()
    code = marking.code_of(world.keyring, copy.client.script, 1, len(template.places))
    trial = code.trial(read(template, copy.payload))
    return 10_000 * trial.chance(trial.score(holder)) < 1e-6


async def test_each_key_has_copies_that_name_it_and_always_the_same(world: World) -> None:
    client = await marked(world)
    one, other = await world.user(), await world.user()
    copies = [await client.execute(key=key) for key in (one, other, one)]
    assert copies[0].payload == copies[2].payload != copies[1].payload
    holders = [marking.holder_of_key(await world.id_of(key)) for key in (one, other)]
    assert [[names(world, copy, holder) for holder in holders] for copy in copies[:2]] == [[True, False], [False, True]]


async def test_what_opens_one_key_s_copy_opens_no_other_s(world: World) -> None:
    client = await marked(world)
    payloads = Payloads(world.database, world.keyring)
    one, other = [await payloads.of(client.script, 1, holder) for holder in ("key one", "key other")]
    assert one is not None
    assert other is not None
    with pytest.raises(InvalidTag):
        ChaCha20Poly1305(one.key).decrypt(bytes(12), b64decode(other.text), b"moonlatch/1 payload")
    assert await payloads.of(client.script, 1, "key one") is one


async def test_a_start_without_a_key_is_named_by_its_device_or_address(world: World) -> None:
    client = await marked(world, free_for_all=True)
    project = await world.value("select project_id from scripts where id = :id", id=client.script)
    device = world.keyring.fingerprint(project, "fingerprint", "a device")
    address = world.keyring.fingerprint(project, "ip", "127.0.0.1")
    with_device = await client.execute(key=None, fingerprint="a device")
    without = await client.execute(key=None, fingerprint=None)
    assert names(world, with_device, marking.holder_without_key(device, address))
    assert names(world, without, marking.holder_without_key(None, address))
    assert not names(world, without, marking.holder_without_key(device, address))


@pytest.mark.parametrize("columns", [{"mark_copies": False}, {"keeps_template": False}])
async def test_without_the_setting_or_a_template_all_have_the_build_itself(
    world: World, columns: dict[str, bool]
) -> None:
    client = await marked(world, **columns)
    for _ in range(2):
        assert (await client.execute(key=await world.user())).payload == build()[0]


async def test_a_template_that_cannot_be_opened_keeps_nobody_from_starting(world: World) -> None:
    client = await marked(world)
    await world.change("update templates set template = :bad", bad=b"x")
    assert (await client.execute(key=await world.user())).payload == build()[0]


async def test_a_template_outlives_its_build_and_goes_with_its_script(world: World) -> None:
    client = await marked(world)
    await world.change("delete from builds where script_id = :id", id=client.script)
    assert [one.build for one in await templates.list_of_script(world.database, client.script)] == [1]
    template = await marking.opened(world.database, world.keyring, client.script, 1)
    assert template is not None
    assert Template.from_bytes(template) == build()[1]
    await world.change("delete from scripts where id = :id", id=client.script)
    assert await templates.list_of_script(world.database, client.script) == []
