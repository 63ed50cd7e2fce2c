"""Leases count on a clock of their own: a system time that is changed kills nobody and keeps nobody."""

from __future__ import annotations

from moonlatch.live.interface import Instance
from moonlatch.live.memory import LocalLive, lease_ms
from support.client_server import MovableClock
from support.database import database
from support.live import has_claimed

__all__ = ["database"]

DAY_MS = 86_400_000


def instance() -> Instance:
    return Instance(
        id="one", script_id="script", project_id="project", user_id=None, build=1, started_at=0, alive_until=0
    )


async def test_a_changed_system_time_ends_no_lease_and_prolongs_none(database) -> None:
    clock, leases = MovableClock(), MovableClock()
    live = LocalLive(database=database, clock=clock, lease_clock=leases)
    await has_claimed(live, instance(), None)
    for jump in (DAY_MS, -2 * DAY_MS):
        clock.ahead_ms += jump
        assert await live.find("one") is not None
    leases.ahead_ms += lease_ms(30) + 1
    assert await live.find("one") is None
