"""Heartbeats of two server processes against one's, on one PostgreSQL and one Redis: `python bench/workers.py`.

Nothing is pinned. Where the processes, the engines and the load share two cores, the clock says how many cores there are and not
how well two processes get on; so the figure is by processor time, which leaves out the engines' own: twice what one process could
answer in a second of its core, as far as a beat of two costs no more than a beat of one.

Goal: at least 1.6 times as many.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import engines
import heartbeat
import licensed_script
import servers
from figures import Figure, print_table
from load import Round, load

ROUNDS, SECONDS = 3, 2.0
PATH = "/client/v1/heartbeat"


class Family(servers.Process):
    """A server and its worker processes."""

    def cpu_seconds(self) -> float:
        members = [self.pid]
        for member in members:
            members += map(int, Path(f"/proc/{member}/task/{member}/children").read_text().split())
        return sum(servers.Process(member, 0).own_cpu_seconds() for member in members)


def beaten(folder: Path, settings: dict[str, str], script: licensed_script.LicensedScript, workers: int) -> Round:
    bodies = [heartbeat.beats(script, number) for number in range(heartbeat.CONNECTIONS * workers)]
    with servers.whole(folder, {**settings, "MOONLATCH_WORKERS": str(workers)}, core=None) as started:
        server = Family(started.pid, started.port)
        load(server.port, PATH, bodies, 1.0)
        before = server.cpu_seconds()
        result = load(server.port, PATH, bodies, SECONDS)
        result.cpu_seconds = server.cpu_seconds() - before
    print(f"  {workers} workers: {result.per_second:,.0f}/s, {result.cpu_us:.0f} us each", flush=True)
    return result


def measure() -> list[Figure]:
    """How many beats two processes answer, of one's. Raises NotThereError."""
    with tempfile.TemporaryDirectory() as name, engines.database(engines.POSTGRES) as url:
        folder = Path(name)
        script = licensed_script.make(folder, users=2 * heartbeat.CONNECTIONS, payload_bytes=1_000, database_url=url)
        settings = {
            "MOONLATCH_DATABASE_URL": url,
            "MOONLATCH_REDIS_URL": engines.redis_url(),
            "MOONLATCH_REDIS__PREFIX": f"bench-{os.getpid()}",
        }
        print("heartbeats of one server process and of two, PostgreSQL and Redis:")
        pairs = [(beaten(folder, settings, script, 1), beaten(folder, settings, script, 2)) for _ in range(ROUNDS)]
    by_cpu = statistics.median(2 * one.cpu_us / two.cpu_us for one, two in pairs)
    by_clock = statistics.median(two.per_second / one.per_second for one, two in pairs)
    measured = f"by processor time; by the clock {by_clock:.2f} on {os.cpu_count()} cores with the engines and the load"
    return [Figure("heartbeats, two workers against one", measured, by_cpu, 1.6, at_least=True)]


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    return print_table(measure())


if __name__ == "__main__":
    sys.exit(main())
