"""A host for scripts in this terminal: runs a loader in an embedded Lua, with real HTTP, WebSockets and threads.

What the program of a customer does (docs/reference/host-table.md), in as little as shows it. It knows nothing of the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import platform
from collections.abc import Callable
from importlib import resources
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from moonlatch.cli.output import CommandError
from moonlatch.clock import monotonic_seconds
from moonlatch.crypto import new_id

ENGINES = ("luajit21", "lua54", "lua53", "lua52", "lua51")
"""The interpreters that lupa may carry, in the order in which they are preferred."""

EXECUTOR = "moonlatch try"
REQUEST_SECONDS = 60.0
TOLD_SECONDS = 2.0
"""That a script which failed has to tell its server of it, where it does."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_INSTALL = "`make try` installs one and runs this; anywhere else `pip install 'moonlatch[try]'` does, into the same environment."


class LuaHost:
    """One script, run as a customer runs it. Its threads are tasks of the event loop; `close` ends them all.

    `printed` is called with each line that the script prints, `kicked` with the reason for which it was thrown out.
    Raises CommandError when no Lua is installed.
    """

    def __init__(self, key: str | None, printed: Callable[[str], None], kicked: Callable[[str], None]) -> None:
        self._lua = _new_runtime()
        self._http = httpx.AsyncClient(timeout=REQUEST_SECONDS)
        self._sockets: dict[str, ClientConnection] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._printed = printed
        self.failures: list[str] = []
        """What threads in the background failed with."""
        self._new_thread: Callable[..., int]
        outside = {
            "print": printed,
            "kick": kicked,
            "spawn": lambda run: self._begin(self._run(self._new_thread(run))),
            "send": lambda socket, text: self._begin(self._send(socket, text)),
            "close": lambda socket, code: self._begin(self._close_socket(socket, int(code))),
            "clock": monotonic_seconds,
            "random": new_id,
        }
        settings = {"executor": EXECUTOR, "fingerprint": f"{EXECUTOR} on {platform.node()}"}
        source = (resources.files("moonlatch.cli") / "lua_host.lua").read_text("utf-8")
        self._compiled, self._resume, self._new_thread = self._lua.execute(
            source, self._lua.table_from(outside), key, self._lua.table_from(settings)
        )

    @property
    def engine(self) -> str:
        """What runs the script, as people call it."""
        return str(self._lua.eval("jit and jit.version or _VERSION"))

    async def fetch(self, url: str) -> str:
        """The loader's text. Raises CommandError when nothing answers there."""
        try:
            _, body = await self._request("GET", url, None, None)
        except httpx.HTTPError as error:
            raise CommandError(f"{url} cannot be reached: {error}", "Is the server running?") from None
        return body

    async def run(self, loader: str) -> None:
        """Run the loader until it has ended; what it began in the background goes on. Raises CommandError when it fails."""
        thread, problem = self._compiled(loader)
        if thread is None:
            raise CommandError(f"the loader is not Lua: {problem}", "Is the address that of a loader?")
        failure = await self._run(thread)
        if failure is not None:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=TOLD_SECONDS)
            raise CommandError(f"the script failed: {failure}")

    async def ended(self) -> None:
        """Wait until no thread of the script is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """End the script at once, as a customer does who closes the game."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, thread: int) -> str | None:
        """Drive one thread of the script to its end; why it failed, if it did."""
        outcome = self._resume(thread)
        while True:
            match outcome:
                case "ended":
                    return None
                case ("failed", problem):
                    self.failures.append(problem)
                    return str(problem)
                case ("wait", seconds):
                    await asyncio.sleep(seconds)
                    outcome = self._resume(thread)
                case ("request", *asked):
                    outcome = self._resume(thread, *await self._answer(*asked))
                case ("open", url, on_message, on_close):
                    outcome = self._resume(thread, *await self._open(url, on_message, on_close))
                case _:
                    return f"the script waits for something that this host does not know: {outcome}"

    async def _answer(self, method: str, url: str, headers: Any, body: str | None = None) -> tuple[Any, ...]:
        try:
            return await self._request(method, url, headers, body)
        except httpx.HTTPError as error:
            return None, str(error) or type(error).__name__

    async def _request(self, method: str, url: str, headers: Any, body: str | None) -> tuple[int, str]:
        sent = None if body is None else body.encode("latin-1")
        async with self._http.stream(method, url, headers=dict(headers or {}), content=sent) as answer:
            received = bytearray()
            async for part in answer.aiter_bytes():
                received += part
                if len(received) > MAX_ANSWER_BYTES:
                    raise httpx.ReadError(f"{url} answered more than {MAX_ANSWER_BYTES:,} bytes")
        return answer.status_code, received.decode("latin-1")

    async def _open(self, url: str, on_message: Any, on_close: Any) -> tuple[Any, ...]:
        try:
            socket = await connect(url, max_size=MAX_ANSWER_BYTES, open_timeout=REQUEST_SECONDS, proxy=None)
        except (OSError, WebSocketException, TimeoutError) as error:
            return None, f"the connection failed: {error}"
        name = new_id()
        self._sockets[name] = socket
        self._begin(self._listen(name, socket, on_message, on_close))
        return (name,)

    async def _listen(self, name: str, socket: ClientConnection, on_message: Any, on_close: Any) -> None:
        try:
            with contextlib.suppress(WebSocketException):
                async for message in socket:
                    text = message.encode() if isinstance(message, str) else message
                    self._begin(self._run(self._new_thread(on_message, text.decode("latin-1"))))
        finally:
            self._sockets.pop(name, None)
        self._begin(self._run(self._new_thread(on_close, socket.close_code, socket.close_reason)))

    async def _send(self, name: str, text: str) -> None:
        socket = self._sockets.get(name)
        if socket is not None:
            with contextlib.suppress(WebSocketException):
                await socket.send(text.encode("latin-1").decode("utf-8", "replace"))

    async def _close_socket(self, name: str, code: int) -> None:
        socket = self._sockets.get(name)
        if socket is not None:
            await socket.close(code)


def _new_runtime() -> Any:
    """A fresh Lua that has nothing of Python's. Text is bytes in both directions, one character each (latin-1)."""
    for name in ENGINES:
        try:
            module = importlib.import_module(f"lupa.{name}")
        except ImportError:
            continue
        return module.LuaRuntime(
            encoding="latin-1",
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_nothing_of_pythons,
        )
    raise CommandError("there is no Lua here to run the script in", _INSTALL)


def _nothing_of_pythons(_object: Any, _name: Any, _is_setting: bool) -> Any:
    raise AttributeError("scripts may call what they are given, and nothing else of it")
