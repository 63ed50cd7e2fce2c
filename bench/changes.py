"""What a change by the management API costs, beside the program of before there were actors, events and permissions.

`python bench/changes.py`. The earlier program is checked out of this repository's history and runs in the same run.

Goal: a change with its permission check, event and idempotency record takes at most 1.5 times as long as one took then.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from engines import NotThereError
from figures import Figure, print_table
from rates import ROUNDS

from support.developer import Developer
from support.server import MoonlatchServer

BEFORE = "db86a441de4f"
"""The last commit in which the handlers were the operations."""

ROOT = Path(__file__).parents[1]
CALLS = 200
GOAL = 1.5
NO_LIMITS = {
    "MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "100000",
    "MOONLATCH_MANAGEMENT__BURST": "100000",
}


@contextlib.contextmanager
def source_of(commit: str) -> Iterator[Path]:
    """The program as it was at a commit. Raises NotThereError where the history is not there."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode:
            raise NotThereError(f"commit {commit} is not in this repository's history")
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder) / "src"


class Served:
    """A server with one user, whose note is edited again and again."""

    def __init__(self, server: MoonlatchServer, *, is_named: bool) -> None:
        self._is_named = is_named
        self._calls = 0
        created = json.loads(server.cli("accounts", "create", "bench", "--data", str(server.data), "--json").stdout)
        token = created["secret"] if is_named else created["token"]  # it had another name then
        server.start()
        with Developer(server.url, token) as developer:
            project = developer.new_project()
            self._path = f"/users/{developer.new_key(project)}/edit"
        self._http = httpx.AsyncClient(base_url=server.url, headers={"token": token}, timeout=60)

    async def seconds(self) -> float:
        """For one call, the middle of many in a row."""
        took = []
        for _ in range(CALLS):
            self._calls += 1
            headers = {"Idempotency-Key": f"call-{self._calls}"} if self._is_named else {}
            began = time.perf_counter()
            reply = await self._http.post(self._path, json={"note": str(self._calls)}, headers=headers)
            took.append(time.perf_counter() - began)
            assert reply.status_code == 200, reply.text
        return sorted(took)[CALLS // 2]

    async def close(self) -> None:
        await self._http.aclose()


async def compared(folder: Path, before: Path, rounds: int) -> tuple[float, float]:
    """The best round of then and of now, in seconds for one change."""
    then_settings = {**NO_LIMITS, "PYTHONPATH": str(before)}
    with contextlib.ExitStack() as ending:
        servers = [
            MoonlatchServer(folder / "then", then_settings),
            MoonlatchServer(folder / "now", {**NO_LIMITS, "PYTHONPATH": str(ROOT / "src")}),
        ]
        served = []
        for server, is_named in zip(servers, (False, True), strict=True):
            served.append(Served(server, is_named=is_named))
            ending.callback(server.kill)
        pairs = [(await served[0].seconds(), await served[1].seconds()) for _ in range(rounds)]
        for each in served:
            await each.close()
    then, now = (min(one) for one in zip(*pairs, strict=True))
    return then, now


def measure(rounds: int = ROUNDS) -> list[Figure]:
    """One figure: now against then."""
    with source_of(BEFORE) as before, tempfile.TemporaryDirectory() as folder:
        then, now = asyncio.run(compared(Path(folder), before, rounds))
    measured = f"{now * 1000:.2f} ms with event, permission and idempotency record, against {then * 1000:.2f} before"
    return [Figure("a change by the API", measured, now / then, GOAL)]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    return print_table(measure(arguments.parse_args().rounds))


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
