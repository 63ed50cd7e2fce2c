"""The main job, with nothing replaced: a real server process, a script uploaded over HTTP, the real loader in real Luau and Lua."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from support.developer import Developer, eventually
from support.lua_host import LoaderRun
from support.server import MoonlatchServer

ENGINES = ("luau", "lua51", "luajit", "lua54")

SCRIPT = """
-- A comment that nobody should read.
local greeting = "hello from the script"
print(greeting, ...)
print("premium", la_is_premium)
print("executions", la_executions)
print("discord", la_discord_id)
print("note", la_user_note)
print("name", la_script_name)
print("build", la_script_build)
print("exists", la_exists)
print("sessions", la_supports_sessions)
print("limited", la_seconds_left ~= nil and la_seconds_left > 86300 and la_seconds_left <= 86400)

la_handle("add", function(data)
  return { sum = data.a + data.b, text = data.text, list = { 1, 2, 3 } }
end)
la_handle("nothing", function() end)
la_handle("broken", function() error("out of cheese") end)
la_handle("wrong", function() return function() end end)
la_handle("silent", function()
  while true do moonlatch_host.wait(1) end
end)
print("ready")
return "script's value"
"""


def run(server: MoonlatchServer, script: str, **options: Any) -> LoaderRun:
    return LoaderRun(f"{server.url}/loader/{script}", **options)


def only_session(developer: Developer, script: str, timeout_seconds: float = 20) -> dict[str, Any]:
    found = eventually(lambda: developer.sessions(script), timeout_seconds)
    assert len(found) == 1
    session: dict[str, Any] = found[0]
    return session


def message(developer: Developer, session: dict[str, Any], key: str, data: Any = None) -> dict[str, Any]:
    body = {"key": key} if data is None else {"key": key, "data": data}
    reply = developer.post(f"/sessions/{session['id']}/message", **body)
    del reply["success"]
    return reply


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_runs_sees_its_variables_is_counted_and_answers(
    server: MoonlatchServer, developer: Developer, project: str, engine: str
) -> None:
    script = developer.new_script(project, SCRIPT, name="The script")
    key = developer.new_key(project, note="first customer", discord_id="123456789012345678", key_days=1)

    with run(
        server, script, engine=engine, key=key, fingerprint="device-1", player=10234711811, place=606849621, job="job-1"
    ) as running:
        running.wait_line("ready")
        assert running.lines == [
            "hello from the script",
            "premium\ttrue",
            "executions\t1",
            "discord\t123456789012345678",
            "note\tfirst customer",
            "name\tThe script",
            "build\t1",
            "exists\ttrue",
            "sessions\ttrue",
            "limited\ttrue",
            "ready",
        ]
        assert "script's value" in running.wait_for("returned")

        session = only_session(developer, script)
        assert re.fullmatch(r"[A-Za-z0-9]{32}", session.pop("id"))
        assert abs(session.pop("created_at") / 1000 - datetime.now(UTC).timestamp()) < 60
        assert session == {
            "user_key": key,
            "script_id": script,
            "roblox_id": 10234711811,
            "place_id": 606849621,
            "executor": "Test host",
            "build": 1,
            "job_id": "job-1",
        }
        info = developer.script(script)
        assert (info["total_executions"], info["total_sessions"], info["total_instances"]) == (1, 1, 1)
        today = datetime.now(UTC).strftime("%m/%d")
        assert developer.get(f"/scripts/{script}/executions")["executions"][today] == 1
        user = developer.get(f"/users/{key}")["user"]
        assert (user["executions"], user["fingerprint_assigned"], user["executor"]) == (1, True, "Test host")

        for query in ({"key": key}, {"roblox_id": "10234711811"}, {"place_id": "606849621"}, {"job_id": "job-1"}):
            assert len(developer.get(f"/scripts/{script}/sessions/filter", **query)["sessions"]) == 1
        for query in ({"key": key[::-1]}, {"roblox_id": "1"}, {"place_id": "2"}, {"key": key, "job_id": "job-2"}):
            assert developer.get(f"/scripts/{script}/sessions/filter", **query)["sessions"] == []

        session = only_session(developer, script)
        answer = message(developer, session, "add", {"a": 2, "b": 40, "text": 'quote " and \\ and é'})
        assert answer == {
            "processed": True,
            "response": {"sum": 42, "text": 'quote " and \\ and é', "list": [1, 2, 3]},
        }
        assert message(developer, session, "nothing")["processed"] is True
        errored = message(developer, session, "broken")
        assert errored["processed"] is False
        assert errored["reason"].startswith("function errored, message: ")
        assert "out of cheese" in errored["reason"]
        assert message(developer, session, "wrong") == {"processed": False, "reason": "invalid return data"}
        assert message(developer, session, "unheard") == {"processed": False, "reason": "function doesnt exist"}

        developer.post(f"/sessions/{session['id']}/disconnect")
        assert "disconnected" in running.wait_for("kicked", timeout_seconds=6)
    eventually(lambda: developer.script(script)["total_instances"] == 0)
    assert developer.sessions(script) == []
    assert developer.script(script)["total_executions"] == 1


def test_a_client_that_goes_away_while_asked_never_responded(
    server: MoonlatchServer, developer: Developer, project: str
) -> None:
    script = developer.new_script(project, SCRIPT)
    with run(server, script, key=developer.new_key(project)) as running:
        running.wait_line("ready")
        session = only_session(developer, script)
        threading.Timer(1.0, running.stop).start()
        answer = message(developer, session, "silent")
    assert answer == {"processed": False, "reason": "client never responded"}


def test_the_script_gets_the_arguments_given_to_the_loader(
    server: MoonlatchServer, developer: Developer, project: str
) -> None:
    script = developer.new_script(project, "print(select('#', ...), ...) print(la_is_premium)", free_for_all=True)
    with LoaderRun(f"{server.url}/loader/{script}", "one", "two") as running:
        running.wait_line("false")
        assert running.lines[0] == "2\tone\ttwo"


def test_what_is_delivered_shows_nothing_of_the_source(
    server: MoonlatchServer, developer: Developer, project: str
) -> None:
    source = 'local hiddenName = "the hidden string" -- the hidden comment\nprint(#hiddenName + 271828)'
    script = developer.new_script(project, source)
    loader = developer.http.get(f"{server.url}/loader/{script}").text
    assert "hidden" not in loader
    assert loader.isascii()
    for engine in ("luau", "lua51"):
        with run(server, script, engine=engine, key=developer.new_key(project)) as running:
            running.wait_line("271845")


LOOP = "print('running') la_handle('ping', function() return { pong = true } end)"


@dataclass(frozen=True)
class Published:
    """A script, and its project: made once where only keys change, because a loader takes a second to protect."""

    project: str
    script: str


@pytest.fixture(scope="module")
def looping(developer: Developer) -> Published:
    project = developer.new_project()
    return Published(project, developer.new_script(project, LOOP))


@pytest.mark.parametrize("engine", ["luau", "luajit"])
@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (lambda api, key, _: api.post(f"/users/{key}/blacklist", reason="charge-back"), "charge-back"),
        (lambda api, key, now: api.post(f"/users/{key}/edit", key_expires=now + 300), "expired"),
        (lambda api, key, _: api.post(f"/users/{key}/remove"), "key"),
    ],
    ids=["blacklist", "expiry", "key removed"],
)
def test_a_running_session_of_a_key_is_stopped_within_a_second(
    server: MoonlatchServer, developer: Developer, looping: Published, engine: str, stop: Any, reason: str
) -> None:
    key = developer.new_key(looping.project)
    with run(server, looping.script, engine=engine, key=key, fingerprint=f"device of {key}") as running:
        running.wait_line("running")
        eventually(lambda: key in [session["user_key"] for session in developer.sessions(looping.script)])
        stop(developer, key, int(datetime.now(UTC).timestamp() * 1000))
        # Within a second, and some patience for a busy machine; the sweep alone would take up to 20 s.
        assert reason in running.wait_for("kicked", timeout_seconds=6)


@pytest.mark.parametrize("engine", ["luau", "luajit"])
@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (lambda api, script: api.post(f"/scripts/{script}/toggle", state=False), "switched off"),
        (lambda api, script: api.post(f"/scripts/{script}/remove"), "does not exist"),
        (lambda api, script: api.post(f"/scripts/{script}/update", script="print('new')"), "new version"),
    ],
    ids=["toggle", "removal", "update with kick_outdated"],
)
def test_running_sessions_of_a_script_are_stopped_within_a_second(
    server: MoonlatchServer, developer: Developer, project: str, engine: str, stop: Any, reason: str
) -> None:
    script = developer.new_script(project, LOOP, kick_outdated=True)
    key = developer.new_key(project)
    with run(server, script, engine=engine, key=key, fingerprint="device") as running:
        running.wait_line("running")
        only_session(developer, script)
        stop(developer, script)
        assert reason in running.wait_for("kicked", timeout_seconds=6)


def test_a_client_without_websockets_is_stopped_at_its_next_heartbeat(
    server: MoonlatchServer, developer: Developer, project: str
) -> None:
    script = developer.new_script(project, LOOP)
    key = developer.new_key(project)
    with run(server, script, key=key, websocket=False, clock_rate=1) as running:
        running.wait_line("running")
        assert developer.script(script)["total_instances"] == 1
        assert developer.sessions(script) == []
        developer.post(f"/users/{key}/blacklist", reason="charge-back")
        assert "charge-back" in running.wait_for("kicked", timeout_seconds=20)


def refusal(server: MoonlatchServer, script: str, **options: Any) -> str:
    """What the customer sees when the start is refused."""
    with run(server, script, **options) as running:
        running.finish()
        assert running.lines == []
        assert running.kicked is not None
        return running.raised or ""


@pytest.mark.parametrize("engine", ["luau", "lua51", "luajit"])
def test_each_refusal_says_what_is_wrong(
    server: MoonlatchServer, developer: Developer, looping: Published, engine: str
) -> None:
    project, script = looping.project, looping.script
    api = developer.post

    assert "needs a key" in refusal(server, script, engine=engine)
    assert "does not exist" in refusal(server, script, engine=engine, key="x" * 32)

    expired = developer.new_key(project)
    api(f"/users/{expired}/edit", key_expires=1_600_000_000_000)
    assert "expired" in refusal(server, script, engine=engine, key=expired)

    barred = developer.new_key(project)
    api(f"/users/{barred}/blacklist", reason="for sharing it")
    assert "for sharing it" in refusal(server, script, engine=engine, key=barred)

    used_up = developer.new_key(project, max_executions=1, max_instances=5)
    with run(server, script, engine=engine, key=used_up, fingerprint="mine") as running:
        running.wait_line("running")
        assert "another device" in refusal(server, script, engine=engine, key=used_up, fingerprint="not mine")
        assert "which device" in refusal(server, script, engine=engine, key=used_up, fingerprint=None)
        assert "as often as it may" in refusal(server, script, engine=engine, key=used_up, fingerprint="mine")

    assert "which device it runs on" in refusal(
        server, script, engine=engine, key=developer.new_key(project), fingerprint=None
    )

    alone = developer.new_key(project, max_instances=1)
    with run(server, script, engine=engine, key=alone) as running:
        running.wait_line("running")
        assert "Close another copy" in refusal(server, script, engine=engine, key=alone)

    api(f"/scripts/{script}/edit", require_sessions=True)
    assert "WebSocket" in refusal(server, script, engine=engine, key=alone, websocket=False)

    api(f"/scripts/{script}/toggle", state=False)
    assert "switched off" in refusal(server, script, engine=engine, key=alone)

    api(f"/scripts/{script}/edit", require_sessions=False)
    api(f"/scripts/{script}/toggle", state=True)


def test_a_removed_script_says_so_in_the_console(server: MoonlatchServer, developer: Developer, project: str) -> None:
    script = developer.new_script(project, LOOP)
    developer.post(f"/scripts/{script}/remove")
    for engine in ENGINES:
        with run(server, script, engine=engine, key="any") as running:
            running.finish()
            assert "does not exist" in (running.raised or ""), engine


def test_a_blacklisted_device_is_barred_with_every_key_of_the_project(
    server: MoonlatchServer, developer: Developer, project: str
) -> None:
    script = developer.new_script(project, LOOP)
    first, second = developer.new_key(project), developer.new_key(project)
    with run(server, script, key=first, fingerprint="their computer") as running:
        running.wait_line("running")
    developer.post(f"/users/{first}/blacklist")
    assert "blacklisted" in refusal(server, script, key=second, fingerprint="their computer")


def test_sessions_come_back_after_a_restart_and_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("restarted")
    server = MoonlatchServer(folder / "data", {"MOONLATCH_CLIENT__HEARTBEAT_SECONDS": "5"})
    token = server.new_account("restarted")
    with server, Developer(server.url, token) as developer:
        project = developer.new_project()
        script = developer.new_script(project, LOOP)
        key = developer.new_key(project)
        before = developer.get(f"/users/{key}")
        with run(server, script, key=key) as running:
            running.wait_line("running")
            session = only_session(developer, script)
            assert server.stop() == 0
            server.start()
            # The longer the server is away, the longer a client waits between its attempts.
            again = only_session(developer, script, timeout_seconds=60)
            assert again["id"] != session["id"]
            assert message(developer, again, "ping") == {"processed": True, "response": {"pong": True}}
            assert running.kicked is None
        assert developer.script(script)["total_executions"] == 1
        assert developer.get(f"/users/{key}")["user"]["executions"] == before["user"]["executions"] + 1
