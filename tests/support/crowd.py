"""Many running copies, each with a session, in a process of their own: one event loop for all of them would be later than any server.

Commands come on its standard input and results go to its standard output, a line each; `Crowd` is the side of the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import random
import resource
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from support.client import Client, Copy
from support.light_session import LightSession
from support.proxy import proxied
from support.quick_http import QuickHttp

SILENCE_SECONDS = 150.0
"""As the protocol's page says: a client that hears nothing for so long drops its connection."""

LANES = 10
"""Copies that start at once."""

FILES_OF_A_SESSION = 4
"""Its own, both sides of the proxy, and the one before that is not closed yet."""


class Reconnecting:
    """A copy whose session comes back as the protocol's page says: after 1, 2, 4 ... s, each drawn between half and all of it."""

    def __init__(self, copy: Copy) -> None:
        self._copy = copy
        self._session: LightSession | None = None

    async def open(self) -> None:
        """Raises OSError."""
        self._session = LightSession(self._copy)
        await self._session.open()

    async def come_back(self) -> float:
        """Once the session is lost; gives the time on the system's monotonic clock at which there is another."""
        assert self._session is not None
        await self._session.lost
        for failures in itertools.count():
            await asyncio.sleep(min(2**failures, 60) * random.uniform(0.5, 1))
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(SILENCE_SECONDS):
                    await self.open()
                return time.monotonic()
        raise AssertionError


class Crowd:
    """The process, as the test sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def started(self) -> None:
        """Until every copy runs and has its session."""
        assert await self._result() == "started"

    async def cut(self, back_seconds: float) -> list[float]:
        """Break every connection at once; gives after how many seconds sessions were back, of those that were in time."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{back_seconds}\n".encode())
        back: list[float] = await self._result()
        return back

    async def _result(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the crowd's process has ended"
        return json.loads(line)


@contextlib.asynccontextmanager
async def crowd(client: Client, port: int, copies: int) -> AsyncIterator[Crowd]:
    """So many copies of the client's script that reach the server on `port` through a proxy of their own."""
    about = {"script": client.script, "loader": client.loader, "secret": client.secret.hex()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, json.dumps({**about, "port": port, "copies": copies}),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    try:
        yield Crowd(process)
    finally:
        process.kill()
        await process.wait()


async def _be_a_crowd(script: str, loader: str, secret: str, port: int, copies: int) -> None:
    async with proxied(port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        client = Client(url, script, loader, bytes.fromhex(secret), QuickHttp(url))
        shares = [copies // LANES + (lane < copies % LANES) for lane in range(LANES)]
        running = [one for lane in await asyncio.gather(*(_start(client, share) for share in shares)) for one in lane]
        _say("started")

        back_seconds = float(await asyncio.to_thread(sys.stdin.readline))
        returning = [asyncio.create_task(one.come_back()) for one in running]
        await asyncio.sleep(0)  # each waits for its loss now
        began = time.monotonic()
        await proxy.cut("reset")
        back, _ = await asyncio.wait(returning, timeout=back_seconds)
        _say([task.result() - began for task in back])
        await asyncio.to_thread(sys.stdin.readline)


async def _start(client: Client, copies: int) -> list[Reconnecting]:
    """So many copies and their sessions, one after the other."""
    http = QuickHttp(client.url)
    running = []
    for _ in range(copies):
        one = Reconnecting(await dataclasses.replace(client, http=http).execute())
        await one.open()
        running.append(one)
    await http.close()
    return running


def _say(result: Any) -> None:
    print(json.dumps(result), flush=True)


def _open_many_files(most: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, hard)), hard))


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    _open_many_files(FILES_OF_A_SESSION * wanted["copies"] + 100)
    asyncio.run(_be_a_crowd(**wanted))
