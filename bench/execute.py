"""Durable executions with a 50 KB payload against a bare ASGI application that answers as many bytes: `python bench/execute.py`.

Goal: at least 0.4 of the bare application's requests per second (0.2 with PostgreSQL), and 0.38 with `--marks`, when each key has a copy of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import count
from pathlib import Path

import engines
import httpx
import licensed_script
import servers
from figures import Figure, print_table
from load import NextBody, compare, load, measured
from rates import ROUNDS, SECONDS

from moonlatch.clock import now_ms

CONNECTIONS = 64
GOALS = {engines.SQLITE: 0.4, engines.POSTGRES: 0.2}
GOAL_WITH_MARKS = 0.38
PAYLOAD_BYTES = 50_000
PLACES = 512
_numbers = count(1)


def starts(script: licensed_script.LicensedScript, number: int) -> NextBody:
    """The starts of one user; each has a nonce of its own, which begins with the time, as the loader's do."""
    head = b'{"script_id":"%s","loader":"%s","protocol":2,"key":"%s","fingerprint":"device %d","executor":"Bench",' % (
        script.script.encode(),
        script.loader.encode(),
        script.keys[number].encode(),
        number,
    )
    tail = b'"roblox_id":1,"place_id":1,"job_id":"job","supports_sessions":true,"nonce":"%011x%032d"}'
    return lambda: head + tail % (now_ms(), next(_numbers))


def measure(rounds: int, seconds: float, engine: str, *, has_marks: bool = False) -> list[Figure]:
    """Executions per second, of the bare answers'. Raises NotThereError."""
    with tempfile.TemporaryDirectory() as folder, engines.database(engine) as url:
        script = licensed_script.make(
            Path(folder),
            users=CONNECTIONS,
            payload_bytes=PAYLOAD_BYTES,
            places=PLACES if has_marks else 0,
            database_url=url,
        )
        bodies = [starts(script, number) for number in range(CONNECTIONS)]
        with servers.started("ours", folder, url) as ours:
            address = f"http://127.0.0.1:{ours.port}/client/v1/execute"
            size = len(httpx.post(address, content=bodies[0](), trust_env=False).content)
            with servers.started("answer", size) as bare:
                for server in (ours, bare):
                    load(server.port, "/client/v1/execute", bodies, 0.5)
                print(f"executions, {engine}, {size:,} bytes each, {CONNECTIONS} connections, one core for the server:")
                found = compare(
                    lambda: measured(ours, "/client/v1/execute", bodies, seconds),
                    lambda: measured(bare, "/client/v1/execute", bodies, seconds),
                    rounds,
                )
    goal = GOAL_WITH_MARKS if has_marks and engine == engines.SQLITE else GOALS[engine]
    name = f"executions, durable, 50 KB, {engine}{', marked' if has_marks else ''}"
    return [Figure(name, found.measured, found.speed, goal, at_least=True)]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    arguments.add_argument("--engine", choices=list(GOALS), default=engines.SQLITE)
    arguments.add_argument("--marks", action="store_true", help="give each key a copy of its own")
    options = arguments.parse_args()
    servers.pin(servers.LOAD_CORE)
    return print_table(measure(options.rounds, options.seconds, options.engine, has_marks=options.marks))


if __name__ == "__main__":
    sys.exit(main())
