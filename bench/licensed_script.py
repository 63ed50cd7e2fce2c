"""A data folder with a script and its users, for the measurements of the client protocol."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from servers import DATABASE

from moonlatch.cli.operator import operator
from moonlatch.client.loader_source import LOADER_VERSION
from moonlatch.client.tokens import CLAIMS_VERSION, Claims, issue
from moonlatch.clock import now_ms
from moonlatch.crypto import new_id
from moonlatch.keyring import Keyring
from moonlatch.master_key import MasterKeySource
from moonlatch.obfuscator.run_lock import Lock
from moonlatch.obfuscator.template import Place, Template
from moonlatch.operations import marking, tokens
from moonlatch.operations.changing import perform
from moonlatch.operations.context import World
from moonlatch.storage import templates
from moonlatch.storage.interface import Query, Transaction
from moonlatch.storage.postgres.engine import open_postgres
from moonlatch.storage.sqlite.engine import open_sqlite
from moonlatch.storage.user_keys import as_stored
from support import rows

ADD_USER = Query(
    "bench.add_user",
    """
    insert into users (id, key_hash, key_sealed, start_code, end_code, project_id, discord_id, note, created_at)
    values (:id, :key_hash, :key_sealed, :start_code, :end_code, :project, :discord, 'a note', 1)
    """,
)


@dataclass(frozen=True)
class LicensedScript:
    """What clients of the script know, and the installation's keys."""

    keyring: Keyring
    script: str
    loader: str
    keys: list[str]
    ids: list[str]
    """Of the users, in the order of their keys."""
    api_token: str
    """Of the account whose script it is."""
    further_scripts: list[str]
    """Of the same project."""
    project: str

    def device(self, number: int) -> bytes:
        """The keyed hash of the device that the user of that number starts on."""
        return self.keyring.fingerprint(self.project, "fingerprint", f"device {number}")

    def token(self, number: int) -> tuple[str, str]:
        """An instance of the user of that number: its id and its token."""
        instance = new_id()
        claims = Claims(
            instance,
            self.script,
            self.loader,
            1,
            self.ids[number],
            self.device(number),
            True,
            1,
            1,
            1,
            "x" * 36,
            version=CLAIMS_VERSION,
        )
        return instance, issue(self.keyring, claims)


def make(
    folder: Path, *, users: int, payload_bytes: int, further_scripts: int = 0, database_url: str = "", places: int = 0
) -> LicensedScript:
    """Fill an empty folder, or an empty PostgreSQL database and a folder for its keys. With `places` copies are marked at so many."""
    return asyncio.run(_make(folder, users, payload_bytes, further_scripts, database_url, places))


async def _make(
    folder: Path, users: int, payload_bytes: int, further_scripts: int, database_url: str, places: int
) -> LicensedScript:
    database = await (open_postgres(database_url) if database_url else open_sqlite(folder / DATABASE))
    project = await rows.add_project(database)
    script, loader = await rows.add_script(
        database, project, payload=os.urandom(payload_bytes), mark_copies=bool(places)
    )
    # As what `standard` and `maximum` make, and a loader that knows of it.
    lock = Lock.drawn(random.Random(1)).to_bytes()
    await rows.change(database, "update builds set run_lock = :lock", lock=lock)
    await rows.change(database, "update loaders set version = :version", version=LOADER_VERSION)
    further = [(await rows.add_script(database, project))[0] for _ in range(further_scripts)]
    keyring = MasterKeySource(folder).open()
    keys, ids = [new_id() for _ in range(users)], [new_id() for _ in range(users)]

    async def add_users(tx: Transaction) -> None:
        rows = []
        for number, (key, user) in enumerate(zip(keys, ids, strict=True)):
            stored = as_stored(keyring, key, user_id=user, project_id=project)
            rows.append((user, *stored.values(), project, str(10**17 + number)))
        await tx.execute_each(ADD_USER, rows)

    await database.run(add_users)
    if places:
        piece = os.urandom(payload_bytes // (places + 1))
        template = Template([piece] * (places + 1), [Place(b"one", b"two")] * places)
        sealed = marking.sealed(keyring, template.to_bytes())
        await database.run(lambda tx: templates.insert(tx, script, 1, sealed, places=places, now=1))
    account = await rows.value(database, "select account_id from projects where id = :id", id=project)
    world = World(database=database, tiers={}, clock=now_ms)
    _, secret = await perform(world, operator(account), lambda change: tokens.create(change, name="bench"))
    await database.close()
    return LicensedScript(keyring, script, loader, keys, ids, secret, further, project)
