"""`moonlatch try`: runs a script here as a customer would, without a game: the real loader against a real server.

Without an address it makes a server of its own, in a folder that goes with it, and shows everything once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moonlatch.cli.output import CommandError, own_command, remark, say

if TYPE_CHECKING:
    import httpx

    from moonlatch.cli.first_start import Example
    from moonlatch.cli.lua_host import LuaHost

ANSWER_SECONDS = 30.0
"""How long something may take that is a matter of milliseconds, on a machine that is busy with other things."""

Loader = Annotated[
    str | None,
    typer.Argument(
        metavar="[LOADER_URL]", help="Address of a script's loader; without it a server of its own shows everything."
    ),
]


def try_(
    loader: Loader = None,
    *,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="The customer's key.", show_default=False)] = None,
) -> None:
    """See a script run here, without a game.

    With the address of a loader it runs that script as a customer would, until it ends or Ctrl-C. Without one it starts a
    server in a folder of its own, publishes the example, runs it, and shows its session, a message to it and its answer,
    and how it is stopped. Needs a Lua: `pip install 'moonlatch[try]'`.
    """
    try:
        asyncio.run(_customer(loader, key) if loader is not None else _everything())
    except KeyboardInterrupt:
        remark("Stopped.")


async def _customer(loader: str, key: str | None) -> None:
    from moonlatch.cli.lua_host import LuaHost

    thrown_out = asyncio.Event()

    def kicked(reason: str) -> None:
        remark(f"The script was stopped: {reason}", "yellow")
        thrown_out.set()

    host = LuaHost(key, say, kicked)
    try:
        source = await host.fetch(loader)
        remark(f"Running in {host.engine}. Ctrl-C ends it.", "dim")
        await host.run(source)
        await asyncio.wait(
            {asyncio.create_task(host.ended()), asyncio.create_task(thrown_out.wait())}, return_when="FIRST_COMPLETED"
        )
    finally:
        await host.close()
    for failure in host.failures:
        remark(f"A thread of the script failed: {failure}", "yellow")


async def _everything() -> None:
    from moonlatch.cli.lua_host import LuaHost

    kicked: asyncio.Queue[str] = asyncio.Queue()
    host_of = LuaHost(None, say, kicked.put_nowait)  # before anything takes time: there may be no Lua
    await host_of.close()
    with tempfile.TemporaryDirectory(prefix="moonlatch-try-") as folder:
        async with _own_server(Path(folder)) as (example, api):
            say(f"A server runs at {api.url}, in a folder that goes when this ends.\n")
            say("The example script was protected and published, and has a key. What a customer runs:\n")
            say(f'    script_key = "{example.user_key}"')
            say(f'    loadstring(game:HttpGet("{api.url}/loader/{example.script_id}"))()\n')
            host = LuaHost(example.user_key, lambda line: say(f"    | {line}"), kicked.put_nowait)
            try:
                await _show(host, kicked, example, api)
            finally:
                await host.close()
    say(f"\nThat was all of it. A server that stays: `make run`, or `{own_command('serve')}`.")


async def _show(host: LuaHost, kicked: asyncio.Queue[str], example: Example, api: Api) -> None:
    say(f"The loader does that in {host.engine}; the script says:\n")
    await host.run(await host.fetch(f"{api.url}/loader/{example.script_id}"))
    sessions = await _until(lambda: api.call(f"/scripts/{example.script_id}/sessions", {}), "sessions")
    session = sessions[0]
    say(f"\nIts session, by POST /scripts/{example.script_id}/sessions:\n")
    say(f"    {json.dumps(session)}\n")
    message = {"key": "greet", "data": {"name": "you"}}
    answer = await api.call(f"/sessions/{session['id']}/message", message)
    say(f"A message to it, by POST /sessions/{session['id']}/message, and what its handler answers:\n")
    say(f"    {json.dumps(message)}\n    {json.dumps(answer)}\n")
    await api.call(f"/users/{example.user_key}/blacklist", {"reason": "to see what happens"})
    say(f"Its key is blacklisted, by POST /users/{example.user_key}/blacklist, and the copy is stopped:\n")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            say(f"    | {await kicked.get()}")
    except TimeoutError:
        raise CommandError("the copy was not stopped in time") from None


class Api:
    """The management API of the server, called over HTTP like by anybody."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self._http = http

    async def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The reply of a POST. Raises CommandError when it is refused."""
        answer = await self._http.post(f"{self.url}{path}", json=body)
        reply: dict[str, Any] = answer.json()
        if reply.get("success") is not True:
            raise CommandError(f"POST {path} was refused: {answer.text}")
        return reply


async def _until(call: Callable[[], Any], name: str) -> list[Any]:
    """What the reply lists under this name, once it lists anything."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                found: list[Any] = (await call())[name]
                if found:
                    return found
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise CommandError("the script runs, but opened no session in time") from None


@contextlib.asynccontextmanager
async def _own_server(folder: Path) -> AsyncIterator[tuple[Example, Api]]:
    """A whole server of this process on a free port of the loopback interface, with the first account and the example."""
    import httpx

    from moonlatch.app import open_moonlatch
    from moonlatch.cli.first_start import first_account, publish_example
    from moonlatch.config import Settings
    from moonlatch.serving.server import Server

    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(data_dir=folder, port=listener.getsockname()[1])
        async with open_moonlatch(settings) as moonlatch:
            listening = asyncio.Event()

            async def started(_: object) -> None:
                listening.set()

            server = Server(moonlatch, started)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await asyncio.wait({serving, asyncio.create_task(listening.wait())}, return_when="FIRST_COMPLETED")
                first = await first_account(moonlatch.world, tier=settings.default_tier)
                assert first is not None  # the folder is new
                example = await publish_example(moonlatch.world, first.account)
                async with httpx.AsyncClient(headers={"token": first.token}, timeout=ANSWER_SECONDS) as http:
                    yield example, Api(settings.public_url, http)
            finally:
                server.should_exit = True
                await serving
