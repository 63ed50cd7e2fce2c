"""A start finds the pin of its key in the key's own row; whatever changes pins keeps it as they are, on every engine."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonlatch.storage import releases, scripts
from moonlatch.storage.interface import Database
from moonlatch.storage.licences import Licences, StartQuestion
from moonlatch.storage.releases import Pin
from support import rows
from support.database import ENGINES, engine_url, opened_at
from support.keys import KEYRING

NOW = 1_000_000


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    with engine_url(request, request.param) as url:
        async with opened_at(url, tmp_path) as opened:
            yield opened


async def found(database: Database, script: str, key: str) -> tuple[str | None, int | None]:
    """Channel and build, as a start has them."""
    licences = Licences(database)
    owner = await licences.owner(script)
    assert owner is not None
    question = StartQuestion(script, "", KEYRING.user_key_hash(key), None, NOW)
    facts = await licences.for_start(owner, question)
    assert facts is not None
    return facts.channel, facts.pin


async def test_a_start_finds_what_its_key_is_pinned_to(database: Database) -> None:
    choice = random.Random(11)
    project = await rows.add_project(database)
    of_project = [(await rows.add_script(database, project))[0] for _ in range(3)]
    keys = [await rows.add_user(database, project) for _ in range(4)]
    ids = {key: await rows.id_of(database, key) for key in keys}
    # Whose pin stays, so that every script has some.
    for script in of_project:
        await database.run(
            lambda tx, script=script: releases.put_pin(  # type: ignore[misc]
                tx, Pin(user_id=ids[keys[0]], script_id=script, channel="beta", build=9, created_at=1)
            )
        )
    for step in range(60):
        script, key = choice.choice(of_project), choice.choice(keys[1:])
        if step % 10 == 9:
            build, successor = choice.randint(1, 3), choice.choice([None, 3])
            await database.run(
                lambda tx, script=script, build=build, successor=successor: releases.take_build_away(  # type: ignore[misc]
                    tx, script, build, successor=successor
                )
            )
        else:
            pin = Pin(
                user_id=ids[key],
                script_id=script,
                channel=choice.choice([None, "beta", "next_1", "a-b"]),
                build=choice.choice([None, 1, 2, 3]),
                expires_at=choice.choice([None, NOW - 1, NOW, NOW + 1]),
                created_at=step,
            )
            await database.run(lambda tx, pin=pin: releases.put_pin(tx, pin))  # type: ignore[misc]
        for script in of_project:
            for key in keys:
                pin = await releases.find_pin(database, script, ids[key])
                expected: tuple[str | None, int | None] = (None, None)
                if pin is not None:
                    is_over = pin.expires_at is not None and pin.expires_at <= NOW
                    expected = pin.channel, None if is_over else pin.build
                assert await found(database, script, key) == expected

    await database.run(lambda tx: scripts.remove(tx, of_project[0]))
    told = await rows.value(database, "select pins from users where id = :id", id=ids[keys[0]])
    assert told == "\n".join(f"{script}/beta/9/" for script in sorted(of_project[1:]))
    await rows.change(database, "delete from pins where script_id in (select id from scripts)")
    assert await rows.value(database, "select count(*) from users where pins is not null") == 0
