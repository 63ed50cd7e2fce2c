"""Redis goes away in every way there is, under load: no call waits past its deadline, nothing is doubled, all heals."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from moonlatch.live import redis_connection as engine
from moonlatch.live.interface import LiveCounts, LiveUnavailableError
from moonlatch.live.redis import RedisLive
from support import rows
from support.database import opened
from support.live import Recorded, eventually, has_claimed, join, new_instance, redis_live
from support.proxy import CUTS, proxied
from support.rounds import rounds
from support.services import RedisServer

DEADLINE_SECONDS = 0.5
ANSWER_SECONDS = 2.0
BUSY_MACHINE_SECONDS = 10.0
HEALED_SECONDS = 5.0
CALLERS = 6
PLACES = 5


class Traffic:
    """Messages across processes and claims of one key's places, all the time; and what became of them."""

    def __init__(self, senders: list[RedisLive], sessions: list[str]) -> None:
        self._senders = senders
        self._sessions = sessions
        self._number = 0
        self._stopped = False
        self.answered: list[int] = []
        self.counts: Counter[str] = Counter()
        self.won = 0
        self.slowest_seconds = 0.0

    def stop(self) -> None:
        self._stopped = True

    async def send(self, sender: RedisLive) -> None:
        while not self._stopped:
            self._number += 1
            number, began = self._number, time.monotonic()
            session = self._sessions[number % len(self._sessions)]
            try:
                outcome = await sender.message(session, "handler", number, ANSWER_SECONDS)
            except LiveUnavailableError:
                self.counts["refused"] += 1
                await asyncio.sleep(0.01)
            else:
                if outcome.processed:
                    assert outcome.response == number
                    self.answered.append(number)
                self.counts["answered" if outcome.processed else "unanswered"] += 1
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)

    async def claim(self, claimer: RedisLive) -> None:
        while not self._stopped:
            began = time.monotonic()
            try:
                self.won += await has_claimed(claimer, new_instance(key="key"), PLACES)
            except LiveUnavailableError:
                self.counts["claims refused"] += 1
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
            await asyncio.sleep(0.02)

    async def answers_again(self) -> None:
        """Wait for an answer to a message sent from now on."""
        first = self._number + 1
        while not any(number >= first for number in self.answered[-CALLERS:]):
            await asyncio.sleep(0.01)


async def test_of_many_cuts_in_the_network_none_doubles_anything_and_all_heal(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RECONNECT_SECONDS", 0.1)
    moments = random.Random(20_261_124)
    async with opened(tmp_path / "moonlatch.db") as database, proxied(own_redis.port) as proxy:
        script, _ = await rows.add_script(database, await rows.add_project(database), free_for_all=True)
        url = f"redis://127.0.0.1:{proxy.port}/0"
        settings = {"deadline_seconds": DEADLINE_SECONDS}
        async with redis_live(url, database, **settings) as holder, redis_live(url, database, **settings) as sender:
            held = [await join(holder, script) for _ in range(20)]
            connections: list[Recorded] = [connection for _, connection in held]
            traffic = Traffic([sender], [session.id for session, _ in held])
            load = [asyncio.create_task(traffic.send(sender)) for _ in range(CALLERS)]
            load.append(asyncio.create_task(traffic.claim(sender)))
            healed = []
            for number in range(rounds(15, 200)):
                await asyncio.sleep(moments.uniform(0.01, 0.1))
                await proxy.cut(CUTS[number % len(CUTS)])
                await asyncio.sleep(moments.uniform(0.01, 1.5 * DEADLINE_SECONDS if number % 5 == 2 else 0.2))
                await proxy.heal()
                began = time.monotonic()
                async with asyncio.timeout(HEALED_SECONDS + BUSY_MACHINE_SECONDS):
                    await traffic.answers_again()
                healed.append(time.monotonic() - began)
            traffic.stop()
            await asyncio.gather(*load)

            async def all_are_listed() -> bool:
                return (await sender.counts(script)).sessions == len(held)

            await eventually(all_are_listed, within_seconds=HEALED_SECONDS + BUSY_MACHINE_SECONDS)
            called = Counter(number for connection in connections for number in connection.data)
            assert max(called.values()) == 1, "a handler was called twice for one message"
            assert set(traffic.answered) <= set(called)
            assert len(set(traffic.answered)) == len(traffic.answered)
            assert traffic.won <= PLACES
            assert await sender.instances_of("key") <= PLACES
            assert (await sender.counts(script)) == LiveCounts(len(held), len(held))
            assert not [what for connection in connections for what in connection.heard if what in (3003, 3500)]
    assert traffic.counts["answered"] > traffic.counts["refused"] > 0, traffic.counts
    assert traffic.slowest_seconds < ANSWER_SECONDS + DEADLINE_SECONDS + BUSY_MACHINE_SECONDS
    assert max(healed) < HEALED_SECONDS + BUSY_MACHINE_SECONDS
