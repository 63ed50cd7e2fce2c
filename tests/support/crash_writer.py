"""The process that a durability test kills: mixed writes by many callers, one line on stdout for each acknowledgement.

Run as `python crash_writer.py DATABASE ROUND`. The lines are `ready`, then one of

- `added ID`: an account with one project and three users, all named after it;
- `counted ID NUMBER`: the account's counter is NUMBER now;
- `removed ID`: the account and everything under it is gone.
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from moonlatch.storage.interface import Database, Transaction
from moonlatch.storage.sqlite.engine import open_sqlite
from support.accounts import ADD_ACCOUNT, ADD_PROJECT, REMOVE_ACCOUNT, SET_USED, USED, insert_user

CALLERS = 12
USERS = 3


def acknowledge(line: str) -> None:
    """In one system call, so that a line is in the pipe whole or not at all."""
    os.write(1, f"{line}\n".encode())


async def add(tx: Transaction, name: str) -> None:
    await tx.execute(ADD_ACCOUNT, id=name, name=name)
    await tx.execute(ADD_PROJECT, id=name, account_id=name, delete_expired_users=False)
    for number in range(USERS):
        await insert_user(tx, f"{name}/{number}", project_id=name, fingerprint=os.urandom(2000))


async def count(tx: Transaction, name: str) -> int:
    row = await tx.fetch_one(USED, id=name)
    await tx.execute(SET_USED, id=name, used=row["obfuscations_used"] + 1)
    return row["obfuscations_used"] + 1


async def refuse(tx: Transaction, name: str) -> None:
    await add(tx, name)
    raise InterruptedError


async def write_for_ever(database: Database, prefix: str) -> None:
    for number in itertools.count():
        name = f"{prefix}-{number}"
        await database.run(lambda tx, name=name: add(tx, name))
        acknowledge(f"added {name}")
        for _ in range(2):
            counted = await database.run(lambda tx, name=name: count(tx, name))
            acknowledge(f"counted {name} {counted}")
        try:
            await database.run(lambda tx, name=name: refuse(tx, f"{name}-refused"))
        except InterruptedError:
            pass
        if number % 3 == 0:
            acknowledge(f"removing {name}")
            await database.run(lambda tx, name=name: tx.execute(REMOVE_ACCOUNT, id=name))
            acknowledge(f"removed {name}")


async def main() -> None:
    database = await open_sqlite(Path(sys.argv[1]))
    acknowledge("ready")
    await asyncio.gather(*(write_for_ever(database, f"{sys.argv[2]}-{caller}") for caller in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main())
