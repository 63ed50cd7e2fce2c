"""Heartbeats against a bare ASGI JSON echo of the same requests, on the same uvicorn settings: `python bench/heartbeat.py`.

Ours runs as in production, with the HTTP protocol class that answers heartbeats where they are parsed (`moonlatch/client/direct.py`);
the echo is answered by uvicorn's own. Both are on one core, and the load comes from another.

Goal: at least 0.7 of the echo's requests per second, and at most twice its p99 latency.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import count
from pathlib import Path

import licensed_script
import servers
from figures import Figure, print_table
from load import ROUNDS, SECONDS, NextBody, compare, load, measured

CONNECTIONS = 64


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


def measure(rounds: int, seconds: float) -> list[Figure]:
    """Heartbeats per second and their p99, of the echo's."""
    with tempfile.TemporaryDirectory() as folder:
        script = licensed_script.make(Path(folder), users=CONNECTIONS, payload_bytes=1_000)
        bodies = [beats(script, number) for number in range(CONNECTIONS)]
        with servers.started("ours", folder) as ours, servers.started("echo") as echo:
            for server in (ours, echo):
                load(server.port, "/client/v1/heartbeat", bodies, 0.5)
            print(f"heartbeats, {CONNECTIONS} connections, one core for the server:")
            found = compare(
                lambda: measured(ours, "/client/v1/heartbeat", bodies, seconds),
                lambda: measured(echo, "/client/v1/heartbeat", bodies, seconds),
                rounds,
            )
    return [
        Figure("heartbeats, SQLite", found.measured, found.speed, 0.7, at_least=True),
        Figure("heartbeats, SQLite: p99", "against the echo's", found.delay, 2),
    ]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    options = arguments.parse_args()
    servers.pin(servers.LOAD_CORE)
    return print_table(measure(options.rounds, options.seconds))


if __name__ == "__main__":
    sys.exit(main())
