"""Starts are handed over in batches to those who ask, and none is lost or told twice."""

from __future__ import annotations

import asyncio

from moonlatch.clock import HOUR_MS
from moonlatch.licensing.webhooks import ExecutionNews
from moonlatch.webhooks.starts import COUNTED, PERIOD_MS, SETTLED_MS, STARTED, hand_over
from support import rows
from support.hooks import Hooks
from support.receiver import Receiver

DISCORD = "https://discord.com/api/webhooks/1/x"


async def starts(hooks: Hooks, script: str, count: int, begin: int = 0) -> None:
    for number in range(begin, begin + count):
        await rows.insert(
            hooks.database,
            "executions",
            id=f"{number:032}",
            script_id=script,
            build=1,
            executor="Delta",
            started_at=hooks.clock() - number % 7,
        )


async def later(hooks: Hooks) -> int:
    hooks.clock.ahead_ms += SETTLED_MS + PERIOD_MS + 10
    return await hand_over(hooks.world)


async def test_each_start_is_told_once_in_batches(hooks: Hooks, there: Receiver) -> None:
    script, _ = await rows.add_script(hooks.database, hooks.project)
    endpoint, _ = await hooks.endpoint(there.url, events=[], executions=ExecutionNews.EACH)
    hooks.clock.ahead_ms += 100
    await starts(hooks, script, 120)
    assert await hand_over(hooks.world) == 0
    assert await later(hooks) == 2
    assert await later(hooks) == 0
    hooks.start()
    await hooks.ended(endpoint, "delivered", 2)
    told = [start for got in there.received for start in got.json["data"]["starts"]]
    assert {got.json["type"] for got in there.received} == {STARTED}
    assert len(told) == 120
    assert told[0] | {"at": 0} == {
        "at": 0, "script_id": script, "script": "Script", "executor": "Delta", "user_id": None, "discord_id": None,
    }  # fmt: skip


async def test_whose_a_start_was_is_told_where_it_is_known(hooks: Hooks, there: Receiver) -> None:
    script, _ = await rows.add_script(hooks.database, hooks.project)
    key = await rows.add_user(hooks.database, hooks.project, discord_id="123")
    user = await rows.id_of(hooks.database, key)
    endpoint, _ = await hooks.endpoint(there.url, events=[], executions=ExecutionNews.EACH)
    hooks.clock.ahead_ms += 100
    await starts(hooks, script, 1)
    hour = hooks.clock() // HOUR_MS
    text = f"{0:032}" + "-" * 128
    await rows.insert(hooks.database, "key_hours", user_id=user, hour=hour, starts=1, last_starts=text)
    assert await later(hooks) == 1
    hooks.start()
    await hooks.ended(endpoint, "delivered")
    (start,) = there.received[0].json["data"]["starts"]
    assert (start["user_id"], start["discord_id"]) == (user, "123")


async def test_many_at_once_are_counted(hooks: Hooks) -> None:
    script, _ = await rows.add_script(hooks.database, hooks.project)
    endpoint, _ = await hooks.endpoint(DISCORD, events=[], executions=ExecutionNews.EACH)
    counting, _ = await hooks.endpoint(DISCORD, events=[], executions=ExecutionNews.COUNTS)
    hooks.clock.ahead_ms += 100
    await starts(hooks, script, 130)
    assert await later(hooks) == 12
    assert [each.kind for each in await hooks.found(endpoint)].count(STARTED) == 10
    (rest,) = [each for each in await hooks.found(endpoint) if each.kind == COUNTED]
    assert rest.body is not None
    assert '"starts":30' in rest.body
    (counted,) = await hooks.found(counting)
    assert counted.body is not None
    assert '"starts":130' in counted.body


async def test_others_hear_nothing(hooks: Hooks) -> None:
    other = await rows.add_project(hooks.database)
    script, _ = await rows.add_script(hooks.database, other)
    endpoint, _ = await hooks.endpoint(DISCORD, executions=ExecutionNews.EACH)
    silent, _ = await hooks.endpoint(DISCORD)
    hooks.clock.ahead_ms += 100
    await starts(hooks, script, 3)
    assert await later(hooks) == 0
    assert await hooks.found(endpoint) == await hooks.found(silent) == []


async def test_two_processes_tell_of_a_start_once(hooks: Hooks) -> None:
    script, _ = await rows.add_script(hooks.database, hooks.project)
    endpoint, _ = await hooks.endpoint(DISCORD, executions=ExecutionNews.EACH)
    hooks.clock.ahead_ms += 100
    await starts(hooks, script, 5)
    hooks.clock.ahead_ms += SETTLED_MS + PERIOD_MS + 10
    await asyncio.gather(hand_over(hooks.world), hand_over(hooks.world))
    assert len(await hooks.found(endpoint)) == 1
