"""Changes of one account at once."""

from __future__ import annotations

import asyncio

from moonlatch.operations.shares import Shares


async def test_an_account_has_so_many_changes_under_way_and_others_theirs() -> None:
    shares = Shares(at_once=4)
    running: dict[str, int] = {"one": 0, "other": 0}
    most = dict(running)
    go_on = asyncio.Event()

    async def change(account: str) -> None:
        async with shares.of(account):
            running[account] += 1
            most[account] = max(most[account], running[account])
            await go_on.wait()
            running[account] -= 1

    changes = [asyncio.create_task(change(account)) for account in ("one", "other") for _ in range(20)]
    await asyncio.sleep(0)
    assert running == {"one": 4, "other": 4}
    changes[10].cancel()  # while it waits
    changes[0].cancel()  # under way
    go_on.set()
    await asyncio.gather(*changes, return_exceptions=True)
    assert most == {"one": 4, "other": 4}
    assert shares._places == {}
