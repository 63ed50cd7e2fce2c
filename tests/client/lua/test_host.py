"""How the loader finds its way about the hosts it knows: the same globals and objects as there, over real HTTP and WebSockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.lua_host import LuaRun, ProtocolServer
from support.lua_host.roblox import EXECUTOR, ROBLOX

PAYLOAD = """
local la = ...
la.la_handle("echo", function(data) return data end)
print("running")
"""

START = 'return assert(loadstring(http_get("%s")))()'


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with ProtocolServer(PAYLOAD) as server:
        server.loader = server.own_loader()
        yield server


def test_under_an_executor_the_script_has_key_device_player_session_and_kick(server: ProtocolServer) -> None:
    script = ROBLOX + EXECUTOR + 'script_key = "  KEY\\n"\n' + START % server.loader_url
    with LuaRun(script) as run:
        run.wait_line("running")
        server.wait_until(lambda: server.sessions_opened)
        server.send({"type": "message", "id": 1, "key": "echo", "data": {"a": [1]}})
        assert server.wait_frame(type="reply")["data"] == {"a": [1]}
        server.send({"type": "stop", "code": "X", "message": "enough"})
        assert run.wait_for("kicked") == "enough"
    request = server.executions[0]
    expected = {
        "key": "KEY",
        "fingerprint": "hwid-1",
        "executor": "Fake executor",
        "roblox_id": 10234711811,
        "place_id": 606849621,
        "job_id": "job-1",
        "supports_sessions": True,
    }
    assert expected.items() <= request.items()


def test_a_session_under_an_executor_comes_back(server: ProtocolServer) -> None:
    with LuaRun(ROBLOX + EXECUTOR + START % server.loader_url, engine="luajit"):
        server.wait_until(lambda: server.sessions_opened == 1)
        server.close(3000)
        server.wait_until(lambda: server.sessions_opened == 2)


def test_on_a_roblox_server_the_script_runs_without_player_or_session(server: ProtocolServer) -> None:
    server.heartbeat_seconds = 1
    with LuaRun(ROBLOX + START % server.loader_url, time_rate=4) as run:
        run.wait_line("running")
        server.wait_until(lambda: server.heartbeats)
    request = server.executions[0]
    assert [request[name] for name in ("key", "fingerprint", "roblox_id", "place_id", "supports_sessions")] == [
        None,
        None,
        None,
        606849621,
        False,
    ]
    assert request["executor"] == "Roblox server"


def test_the_key_may_stand_in_the_environment_executors_share(server: ProtocolServer) -> None:
    script = (
        ROBLOX + EXECUTOR + 'getgenv = function() return { script_key = "SHARED" } end\n' + START % server.loader_url
    )
    with LuaRun(script) as run:
        run.wait_line("running")
    assert server.executions[0]["key"] == "SHARED"


@pytest.mark.parametrize("engine", ["luau", "lua51"])
def test_a_loader_of_the_server_that_the_line_names_runs(server: ProtocolServer, engine: str) -> None:
    pin = f'moonlatch_key = " {server.signing_key.hex().upper()} "\n'
    with LuaRun('script_key = "KEY"\n' + pin + START % server.loader_url, engine=engine) as run:
        run.wait_line("running")


@pytest.mark.parametrize("engine", ["luau", "lua51"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_line_that_names_two_servers_keys_runs_the_loader_of_either(
    server: ProtocolServer, engine: str, *, is_first: bool
) -> None:
    named = [server.signing_key.hex(), "ab" * 32]
    line = " ".join(named if is_first else named[::-1])
    with LuaRun(f'moonlatch_key = "{line}"\n' + START % server.loader_url, engine=engine) as run:
        run.wait_line("running")


@pytest.mark.parametrize("engine", ["luau", "lua51"])
def test_a_line_that_names_two_others_keys_runs_none(server: ProtocolServer, engine: str) -> None:
    line = "ab" * 32 + " " + server.signing_key.hex()[:63]
    with LuaRun(f'moonlatch_key = "{line}"\n' + START % server.loader_url, engine=engine) as run:
        assert "not from the server that moonlatch_key names" in run.wait_for("raised")
    assert server.executions == []


def test_a_network_failure_is_reported_in_words(server: ProtocolServer) -> None:
    loader = server.own_loader(
        secret=bytes(32), signing_key=bytes(32), exchange_key=bytes(32), base_url="http://127.0.0.1:1"
    )
    with LuaRun(loader, engine="lua51", time_rate=6) as run:
        assert run.wait_for("raised").startswith("the server could not be reached: ")


@pytest.mark.parametrize("engine", ["luau", "lua51"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("moonlatch_host = nil", "give it a moonlatch_host table"),
        ("moonlatch_host = 5", "moonlatch_host must be a table"),
        ("moonlatch_host.request = nil", "moonlatch_host.request is missing"),
        ("moonlatch_host.kick = 'no'", "moonlatch_host.kick must be a function"),
        ("script_key = 5", "script_key must be text"),
        ("moonlatch_key = 5", "moonlatch_key must be text"),
        ("moonlatch_key = ('0'):rep(64)", "not from the server that moonlatch_key names"),
        ("script_key = ('k'):rep(129)", "script_key is not a key"),
    ],
)
def test_what_a_user_set_up_wrongly_is_named(server: ProtocolServer, engine: str, change: str, message: str) -> None:
    with LuaRun(change + "\n" + START % server.loader_url, engine=engine) as run:
        assert message in run.wait_for("raised")
    assert server.executions == []


def test_fingerprints_and_names_that_do_not_fit_the_protocol_are_made_to_fit(server: ProtocolServer) -> None:
    script = """
        moonlatch_host.fingerprint = function() return string.rep("\\255", 600) end
        moonlatch_host.executor = string.rep("\\195\\169", 50)
        moonlatch_host.player = -1
        moonlatch_host.place = 2 ^ 60
        moonlatch_host.job = ""
    """
    with LuaRun(script + START % server.loader_url) as run:
        run.wait_line("running")
    request = server.executions[0]
    assert (len(request["fingerprint"]), request["executor"]) == (64, "?" * 64)
    assert [request[name] for name in ("roblox_id", "place_id", "job_id")] == [None, None, None]


ODD_HOSTS = {
    "whose kick fails": "moonlatch_host.kick = function() error('no') end",
    "whose threads begin at once and let their errors out": """
        moonlatch_host.kick = nil
        local spawn = moonlatch_host.spawn
        local threads = 0
        moonlatch_host.spawn = function(run)
          threads = threads + 1
          if threads > 1 then run() else spawn(run) end
        end
    """,
    "whose threads cannot begin any more": """
        moonlatch_host.kick = nil
        local spawn = moonlatch_host.spawn
        local threads = 0
        moonlatch_host.spawn = function(run)
          threads = threads + 1
          if threads > 1 then error("no more threads") end
          spawn(run)
        end
    """,
}


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_a_stop_arrives_in_a_host(server: ProtocolServer, host: str) -> None:
    server.payload = b"local la = ... while true do sleep(0.05) local _ = la.la_exists end"
    with LuaRun(ODD_HOSTS[host] + "\n" + START % server.loader_url) as run:
        server.wait_until(lambda: server.sessions_opened)
        server.send({"type": "stop", "code": "X", "message": "enough"})
        assert "enough" in run.wait_for("raised")
        run.finish()
        assert all("enough" in problem for problem in run.thread_errors)


@pytest.mark.parametrize("close", ["nil", "error", "function() sleep(60) end"])
def test_a_socket_that_does_not_close_holds_up_no_stop(server: ProtocolServer, close: str) -> None:
    script = f"""
        local websocket = moonlatch_host.websocket
        moonlatch_host.websocket = function(...)
          return {{ send = websocket(...).send, close = {close} }}
        end
    """
    with LuaRun(script + START % server.loader_url) as run:
        server.wait_until(lambda: server.sessions_opened)
        run.wait_line("running")
        server.send({"type": "stop", "code": "X", "message": "enough"})
        assert run.wait_for("kicked", timeout_seconds=40) == "enough"
        assert run.thread_errors == []


@pytest.mark.parametrize(
    "answer", ["nil", "nil, {}", "{}, {}", "'200', nil", "200, 'null'", "200, '[]'", "error({})", "error(print)"]
)
def test_an_odd_answer_is_no_answer(server: ProtocolServer, answer: str) -> None:
    server.heartbeat_seconds = 1
    script = f"""
        moonlatch_host.websocket = nil
        local request = moonlatch_host.request
        moonlatch_host.request = function(method, url, ...)
          if string.find(url, "heartbeat") then
            print("beat")
            return {answer}
          end
          return request(method, url, ...)
        end
    """
    with LuaRun(script + START % server.loader_url, engine="lua51", time_rate=4) as run:
        run.wait_line("beat")
        run.wait_line("running")
        with pytest.raises(AssertionError, match="no thread_error"):
            run.wait_for("thread_error", timeout_seconds=0.5)
        assert (run.kicked, run.raised) == (None, None)
