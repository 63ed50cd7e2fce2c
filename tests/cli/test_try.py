"""`moonlatch try`: the real loader against the real server, in every Lua that may be installed, and nothing of Python's in the script's reach."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moonlatch.cli import lua_host
from moonlatch.cli.lua_host import ENGINES, LuaHost
from moonlatch.cli.output import CommandError
from support.commands import Command
from support.developer import Developer, eventually
from support.server import MoonlatchServer

SCRIPT = """
print("started", la_is_premium, la_script_name)
la_handle("add", function(data) return { sum = data.a + data.b, text = "é\\0" } end)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoonlatchServer]:
    stopped = MoonlatchServer(tmp_path_factory.mktemp("try") / "data")
    stopped.new_account("ann")
    with stopped as running:
        yield running


@pytest.fixture
def developer(server: MoonlatchServer) -> Iterator[Developer]:
    with Developer(server.url, server.new_account(f"ann {next(NUMBERS)}")) as developer:
        yield developer


NUMBERS = iter(range(1_000))


def test_everything_is_seen_without_a_game_and_nothing_stays(server: MoonlatchServer, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "moonlatch", "try"],
        env={**server.environment(), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    said = [
        r"    script_key = \"\w{32}\"",
        r"    \| Hello from hello, protected and delivered by Moonlatch\.",
        r"    \| Start number 1 of this key\.",
        r"    \{\"id\": \"\w{32}\", \"user_key\"",
        r"    \{\"success\": true, \"processed\": true, \"response\": \{\"answer\": \"Hello, you!\"\}\}",
        r"    \| This key is blacklisted\. Reason: to see what happens",
    ]
    assert re.search(".*".join(said), ended.stdout, re.DOTALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_customers_copy_runs_in_every_lua_and_answers_messages(
    developer: Developer, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    pytest.importorskip(f"lupa.{engine}")
    monkeypatch.setattr(lua_host, "ENGINES", (engine,))
    project = developer.new_project()
    script, key = developer.new_script(project, SCRIPT), developer.new_key(project)
    lines: list[str] = []
    kicked: asyncio.Queue[str] = asyncio.Queue()
    host = LuaHost(key, lines.append, kicked.put_nowait)
    try:
        await host.run(await host.fetch(f"{server.url}/loader/{script}"))
        assert lines == ["started\ttrue\tScript"]
        async with asyncio.timeout(60):
            while not (sessions := await asyncio.to_thread(developer.sessions, script)):
                await asyncio.sleep(0.02)
        message = {"key": "add", "data": {"a": 2, "b": 3}}
        answer = await asyncio.to_thread(developer.post, f"/sessions/{sessions[0]['id']}/message", **message)
        assert answer["response"] == {"sum": 5, "text": "é\0"}
        await asyncio.to_thread(developer.post, f"/users/{key}/blacklist", reason="enough")
        async with asyncio.timeout(60):
            assert "enough" in await kicked.get()
        assert host.failures == []
    finally:
        await host.close()


def test_a_script_that_fails_tells_its_seller_on_which_line(
    moonlatch: Command, developer: Developer, server: MoonlatchServer
) -> None:
    project = developer.new_project()
    script = developer.new_script(project, "local t = nil\n\nprint(t.x)", report_errors=True)
    ended = moonlatch("try", f"{server.url}/loader/{script}", "--key", developer.new_key(project))
    assert (ended.status, "the script failed" in ended.err) == (1, True)
    (error,) = eventually(lambda: developer.get(f"/scripts/{script}/errors")["errors"])
    assert (error["line"], error["kind"]) == (3, "main")


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A child process that is gone at the end, whatever became of it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:
        watch = threading.Timer(60, process.kill)  # reading from it would wait for ever
        watch.start()
        try:
            yield process
        finally:
            watch.cancel()
            process.kill()


def test_a_script_of_ones_own_is_run_until_it_is_stopped(
    moonlatch: Command, developer: Developer, server: MoonlatchServer
) -> None:
    project = developer.new_project()
    script, key = developer.new_script(project, "print('once')"), developer.new_key(project)
    arguments = ("try", f"{server.url}/loader/{script}", "--key", key)
    with running([sys.executable, "-u", "-m", "moonlatch", *arguments], stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Running in ")
        assert process.stdout.readline() == "once\n"
        developer.post(f"/users/{key}/remove")
        assert process.stdout.readline().startswith("The script was stopped: ")
        assert process.wait(30) == 0
    refused = moonlatch(*arguments)
    assert refused.status == 1
    assert re.match(r"Running in .*\n.*error: the script failed: ", refused.err, re.DOTALL)
    assert "Traceback" not in refused.err


def test_an_address_with_nothing_behind_it_is_told(moonlatch: Command, server: MoonlatchServer) -> None:
    for url, problem in [
        ("http://127.0.0.1:1/loader/x", "cannot be reached"),
        ("nonsense", "cannot be reached"),
        (f"{server.url}/docs", "the loader is not Lua"),
    ]:
        ended = moonlatch("try", url)
        assert (ended.status, problem in ended.err, "Traceback" in ended.err) == (1, True, False)


def test_without_a_lua_it_is_told_how_to_get_one(moonlatch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lua_host, "ENGINES", ("no_such_lua",))
    monkeypatch.setattr(tempfile, "TemporaryDirectory", None)  # it is said before anything is begun
    ended = moonlatch("try")
    assert ended.status == 1
    assert "`make try`" in ended.err


@pytest.mark.parametrize(
    "attack",
    [
        "python.builtins.open('x')",
        "python.eval('1')",
        "local _, given = debug.getupvalue(moonlatch_host.kick, 1); return given.__globals__",
        "local _, given = debug.getupvalue(moonlatch_host.spawn, 1); return given.__closure__",
        "local _, given = debug.getupvalue(moonlatch_host.kick, 1); given.__doc__ = 'x'",
    ],
)
async def test_a_script_reaches_nothing_of_pythons(attack: str) -> None:
    host = LuaHost(None, print, print)
    try:
        with pytest.raises(CommandError, match="the script failed"):
            await host.run(attack)
    finally:
        await host.close()


def test_the_first_start_shows_a_line_that_runs_the_example(tmp_path: Path) -> None:
    with MoonlatchServer(tmp_path / "data") as server:
        give_up = time.monotonic() + 60
        while "/docs" not in server.log.read_text() and time.monotonic() < give_up:
            time.sleep(0.05)
        told = (tmp_path / "data" / "first-start.txt").read_text()
        (line,) = re.findall(r"^    (.* try .*)$", told, re.MULTILINE)
        with running(["sh", "-c", f"exec {line}"], cwd="/") as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Hello from hello")
