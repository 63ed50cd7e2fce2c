"""Hands starts of scripts over to endpoints that ask for them: read from what is counted anyway, so that no start does more for it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from moonlatch.jobs.periodic import run_periodically
from moonlatch.licensing.webhooks import EndpointKind, ExecutionNews
from moonlatch.operations.context import World
from moonlatch.operations.endpoints import new_delivery
from moonlatch.storage import deliveries, endpoints
from moonlatch.storage.endpoints import Endpoint
from moonlatch.storage.interface import Transaction
from moonlatch.storage.started import Start, starts_between

logger = logging.getLogger(__name__)

STARTED = "executions.started"
"""Kind of the delivery that names each start."""

COUNTED = "executions.counted"
"""Kind of the delivery that counts starts by script."""

EVERY_SECONDS = 5.0
PERIOD_MS = 10_000
"""How much is handed over at once; more where less came in time."""

SETTLED_MS = 5_000
"""After so long a start is written with whose it was, by every process."""

LONGEST_MS = 60_000
"""How much is looked at in one go, after the server was down."""

AT_ONCE = {EndpointKind.STANDARD: 100, EndpointKind.DISCORD: 10}
"""Starts of one delivery."""

MOST_DELIVERIES = 10
"""Of one endpoint and period. Starts beyond are counted, not named."""

MOST_ENDPOINTS = 1_000


async def watch_starts(world: World) -> None:
    """Hand starts over every few seconds until cancelled. Any number of processes may do so at once."""
    await run_periodically("handing starts over", lambda: hand_over(world), every_seconds=EVERY_SECONDS)


async def hand_over(world: World) -> int:
    """Hand over the starts of the time since each endpoint last heard of them; gives how many deliveries that were."""
    now, made = world.clock(), 0
    due = await endpoints.telling_starts(world.database, until=now - SETTLED_MS - PERIOD_MS, most=MOST_ENDPOINTS)
    for since in sorted({endpoint.executions_until for endpoint in due}):
        together = [endpoint for endpoint in due if endpoint.executions_until == since]
        until = min(now - SETTLED_MS, since + LONGEST_MS)
        starts = await starts_between(world.database, asked_since=since, until=until)
        for endpoint in together:
            found = [start for start in starts if start.project_id == endpoint.project_id]
            bodies = told(endpoint, found, until=until)
            made += await world.database.run(_writing(endpoint, bodies, until=until, now=now), is_guarded=True)
    return made


def _writing(endpoint: Endpoint, bodies: list[tuple[str, Any]], *, until: int, now: int) -> Any:
    written = [new_delivery(endpoint, kind, body, now=now) for kind, body in bodies]

    async def write(tx: Transaction) -> int:
        if not await endpoints.told_starts(tx, endpoint, until=until):
            return 0
        for delivery in written:
            await deliveries.insert(tx, delivery)
        return len(written)

    return write


def told(endpoint: Endpoint, starts: Sequence[Start], *, until: int) -> list[tuple[str, Any]]:
    """Kind and body of the deliveries that tell an endpoint of these starts."""
    if not starts:
        return []
    span = {"project_id": endpoint.project_id, "from": endpoint.executions_until, "until": until}
    named: Sequence[Start] = ()
    found: list[tuple[str, Any]] = []
    if endpoint.executions == ExecutionNews.EACH:
        at_once = AT_ONCE[EndpointKind(endpoint.kind)]
        named = starts[: at_once * MOST_DELIVERIES]
        found += [
            (STARTED, {**span, "starts": [start.shown() for start in named[begin : begin + at_once]]})
            for begin in range(0, len(named), at_once)
        ]
    rest = starts[len(named) :]
    if rest:
        counts = Counter((start.script_id, start.script) for start in rest)
        scripts = [{"id": key[0], "name": key[1], "starts": times} for key, times in counts.most_common(100)]
        found.append((COUNTED, {**span, "starts": len(rest), "scripts": scripts}))
    return found
