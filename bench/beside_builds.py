"""Heartbeats while scripts are protected: `python bench/beside_builds.py`.

The whole program, its server and its worker processes wherever the system puts them, takes 500 beats a second; first alone, then
while four scripts of 1 MB are updated at once. The developers, who work on other machines, are processes that give way to
everybody: where 1 MB of JSON is written is no business of the server's. Each script has been updated once before, so that neither the first start of a worker
nor FastAPI's first look at a route is taken for the work.

Goal: the heartbeats' p99 is at most 1.5 times as long as before.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import heartbeat
import httpx
import licensed_script
import servers
from figures import Figure, print_table
from load import paced
from scripts import realistic_script

SCRIPTS, SCRIPT_BYTES = 4, 1_000_000
CONNECTIONS, BEATS_PER_SECOND = 50, 500
ALONE_SECONDS, LONGEST_SECONDS = 8.0, 90.0
ROUNDS = 3
SETTINGS = {"MOONLATCH_PROTECTOR__TIMEOUT_SECONDS": "90"}


def update(port: int, token: str, script: str, source: str) -> str:
    """Publish a build; how it went."""
    url = f"http://127.0.0.1:{port}/scripts/{script}/update"
    reply = httpx.post(url, json={"script": source}, headers={"token": token}, timeout=100, trust_env=False)
    return "protected" if reply.status_code == 200 else reply.text[:200]


def measure() -> list[Figure]:
    """The p99 of heartbeats beside four updates, of what it is without."""
    with tempfile.TemporaryDirectory() as folder:
        script = licensed_script.make(Path(folder), users=CONNECTIONS, payload_bytes=1_000, further_scripts=SCRIPTS)
        bodies = [heartbeat.beats(script, number) for number in range(CONNECTIONS)]
        source = realistic_script(SCRIPT_BYTES)
        developers = ProcessPoolExecutor(SCRIPTS, get_context("spawn"), os.nice, (19,))
        with servers.whole(Path(folder), SETTINGS, core=None) as server, developers:

            def updated(text: str) -> list[Future[str]]:
                scripts = enumerate(script.further_scripts)
                return [
                    developers.submit(update, server.port, script.api_token, one, f"{text}\n-- {number}")
                    for number, one in scripts
                ]

            for one in updated("print('warm')"):
                one.result()
            print(
                f"{BEATS_PER_SECOND} heartbeats a second, alone and beside {SCRIPTS} updates of {SCRIPT_BYTES:,} bytes:"
            )
            paced(server.port, "/client/v1/heartbeat", bodies, BEATS_PER_SECOND, lambda seconds: seconds > 2)
            rounds = []
            for number in range(1, ROUNDS + 1):
                alone = paced(
                    server.port,
                    "/client/v1/heartbeat",
                    bodies,
                    BEATS_PER_SECOND,
                    lambda seconds: seconds > ALONE_SECONDS,
                )
                updates = updated(f"{source}\n-- {number}")
                beside = paced(
                    server.port,
                    "/client/v1/heartbeat",
                    bodies,
                    BEATS_PER_SECOND,
                    lambda seconds, updates=updates: all(one.done() for one in updates) or seconds > LONGEST_SECONDS,  # type: ignore[misc]
                )
                outcomes = [one.result() for one in updates]
                if set(outcomes) != {"protected"}:
                    raise RuntimeError(f"an update failed: {outcomes}")
                print(
                    f"  round {number}: p99 {alone.p99_ms:.2f} ms of {len(alone.latencies):,},"
                    f" beside {beside.p99_ms:.2f} ms of {len(beside.latencies):,} in {beside.seconds:.0f} s",
                    flush=True,
                )
                rounds.append((alone.p99_ms, beside.p99_ms))
    what = f"heartbeats beside {SCRIPTS} updates of 1 MB: p99"
    alone_ms, beside_ms = (statistics.median(one) for one in zip(*rounds, strict=True))
    ratio = statistics.median(beside / alone for alone, beside in rounds)
    return [Figure(what, f"p99 {beside_ms:.2f} ms against {alone_ms:.2f}, middle of {ROUNDS} rounds", ratio, 1.5)]


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    return print_table(measure())


if __name__ == "__main__":
    sys.exit(main())
