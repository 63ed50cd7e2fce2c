"""A whole server in a thread of this process: on a real port, and with its parts at hand."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import uvicorn

from moonlatch.app import Moonlatch, open_moonlatch
from moonlatch.config import Settings
from support.quick_server import QuickServer, loopback_listener

T = TypeVar("T")


@dataclass
class Inside:
    """The running server; `url` has no slash at its end."""

    moonlatch: Moonlatch
    url: str
    loop: asyncio.AbstractEventLoop

    def do(self, work: Callable[[Moonlatch], Awaitable[T]]) -> T:
        """Have something done where the server is at home, and wait for it."""

        async def done() -> T:
            return await work(self.moonlatch)

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(600)


@contextlib.contextmanager
def served_inside(settings: Settings) -> Iterator[Inside]:
    """Runs until the block's end."""
    ready: list[Inside] = []
    failed: list[BaseException] = []
    is_known, is_over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with open_moonlatch(settings) as moonlatch:
            listener = loopback_listener()
            server = QuickServer(
                uvicorn.Config(
                    moonlatch.application,
                    http=moonlatch.http_transport,
                    lifespan="off",
                    log_config=None,
                    timeout_graceful_shutdown=5,
                )
            )
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            ready.append(Inside(moonlatch, f"http://127.0.0.1:{listener.getsockname()[1]}", asyncio.get_running_loop()))
            is_known.set()
            await asyncio.to_thread(is_over.wait)
            moonlatch.readiness.is_draining = True
            server.should_exit = True
            await serving

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failed.append(error)
        finally:
            is_known.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    is_known.wait()
    try:
        if failed:
            raise failed[0]
        yield ready[0]
    finally:
        is_over.set()
        thread.join(60)
