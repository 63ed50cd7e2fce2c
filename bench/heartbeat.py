"""Heartbeats against a bare ASGI JSON echo of the same requests, on the same uvicorn settings: `python bench/heartbeat.py`.

Ours runs as in production, with the HTTP protocol class that answers heartbeats where they are parsed (`moonlatch/web/direct.py`);
the echo is answered by uvicorn's own. Both are on one core, and the load comes from another.

Goals: at least 0.85 of the echo's requests per second (0.35 with PostgreSQL), and at most twice its p99 latency.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import count
from pathlib import Path

import engines
import licensed_script
import servers
from figures import Figure, print_table
from load import NextBody, compare, load, measured
from rates import ROUNDS, SECONDS

CONNECTIONS = 64
GOALS = {engines.SQLITE: 0.85, engines.POSTGRES: 0.35}


def beats(script: licensed_script.LicensedScript, number: int) -> NextBody:
    """The beats of one instance; all have the same length."""
    instance, token = script.token(number)
    sequences = count(1)
    return lambda: (
        b'{"instance":"%s","token":"%s","sequence":%12d}'
        % (
            instance.encode(),
            token.encode(),
            next(sequences),
        )
    )


def measure(rounds: int, seconds: float, engine: str) -> list[Figure]:
    """Heartbeats per second and their p99, of the echo's. Raises NotThereError."""
    with tempfile.TemporaryDirectory() as folder, engines.database(engine) as url:
        script = licensed_script.make(Path(folder), users=CONNECTIONS, payload_bytes=1_000, database_url=url)
        bodies = [beats(script, number) for number in range(CONNECTIONS)]
        with servers.started("ours", folder, url) as ours, servers.started("echo") as echo:
            for server in (ours, echo):
                load(server.port, "/client/v1/heartbeat", bodies, 0.5)
            print(f"heartbeats, {engine}, {CONNECTIONS} connections, one core for the server:")
            found = compare(
                lambda: measured(ours, "/client/v1/heartbeat", bodies, seconds),
                lambda: measured(echo, "/client/v1/heartbeat", bodies, seconds),
                rounds,
            )
    figures = [Figure(f"heartbeats, {engine}", found.measured, found.speed, GOALS[engine], at_least=True)]
    if engine == engines.SQLITE:
        figures.append(Figure("heartbeats, SQLite: p99", "against the echo's", found.delay, 2))
    return figures


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    arguments.add_argument("--engine", choices=list(GOALS), default=engines.SQLITE)
    options = arguments.parse_args()
    servers.pin(servers.LOAD_CORE)
    return print_table(measure(options.rounds, options.seconds, options.engine))


if __name__ == "__main__":
    sys.exit(main())
