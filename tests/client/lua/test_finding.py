"""The loader takes what works of what a host offers, not what is merely there, and gives a host that has only just started time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.lua_host import LuaRun, ProtocolServer
from support.lua_host.roblox import EXECUTOR, ROBLOX

PAYLOAD = """
local la = ...
la.la_handle("echo", function(data) return data end)
print("running")
"""
START = 'return assert(loadstring(http_get("%s")))()'
KEY = 'script_key = "KEY"\n'
UNUSABLE = 'function() error("not available on this platform") end'
CLIENT_HAS_NO_HTTP = """
services.HttpService.RequestAsync = function() error("Http requests can only be executed by game server") end
"""


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with ProtocolServer(PAYLOAD) as server:
        server.loader = server.own_loader()
        yield server


# What else may be called like the things an executor offers; each still offers all of them in another way.
EXECUTORS = {
    "whose request is a table": "http_request = request request = {}",
    "whose request is a text": "http_request = request request = 'GET'",
    "whose request is not for this platform": f"syn = {{ request = request }} request = {UNUSABLE}",
    "whose request says that it failed": """
        http = { request = request }
        request = function() return { Success = false, StatusCode = 0, StatusMessage = "disabled" } end
    """,
    "whose request gives nothing": "http_request = request request = function() end",
    "whose request is a callable table": "request = setmetatable({}, { __call = function(_, o) return send(o) end })",
    "whose request hides that it is callable": """
        request = setmetatable({}, { __call = function(_, o) return send(o) end, __metatable = false })
    """,
    "whose own request is shadowed": "local own = request getgenv = function() return { request = own } end request = {}",
    "with requests of the game's alone": """
        services.HttpService.RequestAsync = function(self, o) return send(o) end request = nil
    """,
    "without HttpService": "services.HttpService = nil",
    "whose WebSocket is empty": "syn = { websocket = { connect = WebSocket.connect } } WebSocket = {}",
    "whose WebSocket is a callable table": """
        local connect = WebSocket.connect
        WebSocket = { connect = setmetatable({}, { __call = function(_, url) return connect(url) end }) }
    """,
    "whose WebSocket is not for this platform": f"""
        syn = {{ websocket = {{ connect = WebSocket.connect }} }} WebSocket = {{ connect = {UNUSABLE} }}
    """,
    "whose WebSocket gives no socket": """
        syn = { websocket = { connect = WebSocket.connect } } WebSocket = { connect = function() return {} end }
    """,
    "whose name is elsewhere": f"getexecutorname = identifyexecutor identifyexecutor = {UNUSABLE}",
    "whose name is blank": "getexecutorname = identifyexecutor identifyexecutor = function() return '' end",
    "whose hardware id is elsewhere": f"""
        services.RbxAnalyticsService = {{ GetClientId = function() return "hwid-1" end }} gethwid = {UNUSABLE}
    """,
    "whose hardware id is blank": """
        services.RbxAnalyticsService = { GetClientId = function() return "hwid-1" end }
        gethwid = function() return "" end
    """,
    "whose task is the game's": "spawn, wait, task = task.spawn, task.wait, { list = {} }",
    "whose threads are not for this platform": f"spawn = task.spawn task.spawn = {UNUSABLE}",
    "whose key is shadowed": 'script_key = {} getgenv = function() return { script_key = "KEY" } end',
}


@pytest.mark.parametrize("engine", ["luau", "lua51"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_script_runs_with_all_it_needs_under_an_executor(server: ProtocolServer, executor: str, engine: str) -> None:
    script = ROBLOX + EXECUTOR + CLIENT_HAS_NO_HTTP + KEY + EXECUTORS[executor] + "\n" + START % server.loader_url
    with LuaRun(script, engine=engine) as run:
        run.wait_line("running")
        server.wait_until(lambda: server.sessions_opened)
        server.send({"type": "stop", "code": "X", "message": "enough"})
        assert run.wait_for("kicked") == "enough"
        assert run.thread_errors == []
    expected = {"key": "KEY", "fingerprint": "hwid-1", "executor": "Fake executor", "supports_sessions": True}
    assert expected.items() <= server.executions[0].items()


# Hosts of their own that offer something in an unusual way.
HOSTS = {
    "whose functions are callable tables": """
        for name, value in pairs(moonlatch_host) do
          if type(value) == "function" then
            moonlatch_host[name] = setmetatable({}, { __call = function(_, ...) return value(...) end })
          end
        end
    """,
    "that raises for names it does not have": """
        setmetatable(moonlatch_host, { __index = function(_, name) error("no " .. name) end })
    """,
    "whose table stands in the shared environment": """
        local host = moonlatch_host
        moonlatch_host = "mine" getgenv = function() return { moonlatch_host = host } end
    """,
    "whose table stands in _G": "_G = { moonlatch_host = moonlatch_host } moonlatch_host = nil",
    "whose loadstring compiles nothing": f"moonlatch_host.load, load = nil, loadstring loadstring = {UNUSABLE}",
    "whose loadstring is a table": "moonlatch_host.load, load, loadstring = nil, loadstring, {}",
    "whose clock is not for this platform": """
        if os then
          local time = os.time
          os = { time = time, clock = function() error("no") end }
        end
    """,
    "with a few of the bit libraries' functions": """
        bit = bit and { bxor = bit.bxor, rol = bit.rol, rshift = bit.rshift }
        bit32 = bit32 and { bxor = bit32.bxor, lrotate = bit32.lrotate, rshift = bit32.rshift }
        buffer = buffer and { create = buffer.create, readu32 = buffer.readu32, writeu32 = buffer.writeu32 }
    """,
    "whose socket has no table": """
        local websocket = moonlatch_host.websocket
        moonlatch_host.websocket = function(...)
          local socket = websocket(...)
          local proxy = newproxy and newproxy(true)
          if not proxy then return socket end
          getmetatable(proxy).__index = socket
          return proxy
        end
    """,
}


@pytest.mark.parametrize("engine", ["luau", "lua51", "luajit", "lua54"])
@pytest.mark.parametrize("host", HOSTS)
def test_a_script_runs_in_a_host(server: ProtocolServer, host: str, engine: str) -> None:
    script = "local compile = loadstring\n" + HOSTS[host] + "\n" + START % server.loader_url
    with LuaRun(script.replace("assert(loadstring", "assert(compile"), engine=engine) as run:
        run.wait_line("running")
        server.wait_until(lambda: server.sessions_opened)
        server.send({"type": "stop", "code": "X", "message": "enough"})
        assert run.wait_for("kicked") == "enough"
        assert run.thread_errors == []


def test_the_function_that_worked_is_kept_to(server: ProtocolServer) -> None:
    server.heartbeat_seconds = 1
    script = """
        http_request, request, WebSocket = request, function() print("tried") error("no") end, nil
    """
    with LuaRun(ROBLOX + EXECUTOR + script + START % server.loader_url, time_rate=4) as run:
        run.wait_line("running")
        server.wait_until(lambda: len(server.heartbeats) >= 3)
        assert run.lines.count("tried") == 1


def test_what_went_wrong_is_what_the_executors_own_function_said(server: ProtocolServer) -> None:
    loader = server.own_loader(
        secret=bytes(32), signing_key=bytes(32), exchange_key=bytes(32), base_url="http://127.0.0.1:1"
    )
    script = "request = function() error('blocked by the firewall', 0) end\n" + loader.decode()
    with LuaRun(ROBLOX + EXECUTOR + CLIENT_HAS_NO_HTTP + script, engine="lua51", time_rate=6) as run:
        assert run.wait_for("raised") == "the server could not be reached: blocked by the firewall"


def test_a_servers_own_function_of_that_name_is_not_called(server: ProtocolServer) -> None:
    script = "request = function() print('called') end\n"
    with LuaRun(ROBLOX + script + START % server.loader_url) as run:
        run.wait_line("running")
        assert "called" not in run.lines


# A client that has only just started: the game tells nothing about itself yet.
LOADING = """
local arrived, loaded = services.Players.LocalPlayer, false
services.Players.LocalPlayer = nil
game.PlaceId, game.JobId = 0, ""
game.IsLoaded = function() return loaded end
services.RunService = { IsClient = function() return true end, IsServer = function() return false end }
gethwid = nil
services.RbxAnalyticsService = { GetClientId = function() return loaded and "hwid-1" or error("not yet") end }
"""


@pytest.mark.parametrize("engine", ["luau", "lua51"])
@pytest.mark.parametrize("knows", ["its place first", "that it has loaded"])
def test_a_client_that_has_not_loaded_is_waited_for(server: ProtocolServer, engine: str, knows: str) -> None:
    place = 606849621 if knows == "its place first" else 0  # a place that was never published has none
    script = f"""
        thread(function()
          sleep(0.5)
          game.PlaceId, game.JobId = {place}, "job-1"
          sleep(0.5)
          services.Players.LocalPlayer = arrived
          sleep(0.5)
          loaded = true
        end)
    """
    with LuaRun(ROBLOX + EXECUTOR + LOADING + KEY + script + START % server.loader_url, engine=engine) as run:
        run.wait_line("running")
        server.wait_until(lambda: server.sessions_opened)
        server.send({"type": "stop", "code": "X", "message": "enough"})
        assert run.wait_for("kicked") == "enough"
    request = server.executions[0]
    expected = {"fingerprint": "hwid-1", "roblox_id": 10234711811, "place_id": place, "job_id": "job-1"}
    assert expected.items() <= request.items()


def test_a_client_that_never_loads_starts_with_what_is_there(server: ProtocolServer) -> None:
    script = """
        waited = 0
        task.wait = function(seconds)
          waited = waited + seconds
          return outside.wait(seconds)
        end
        WebSocket = nil
    """
    server.payload = b"print('waited', math.floor(waited + 0.5))"
    server.heartbeat_seconds = None
    with LuaRun(ROBLOX + EXECUTOR + LOADING + KEY + script + START % server.loader_url, time_rate=20) as run:
        assert run.wait_line("waited") == "waited\t25"
    request = server.executions[0]
    assert [request[name] for name in ("fingerprint", "roblox_id", "job_id")] == [None, None, None]


def test_a_player_who_comes_late_is_kicked_all_the_same(server: ProtocolServer) -> None:
    script = """
        thread(function()
          sleep(30)
          services.Players.LocalPlayer = arrived
          print("here")
        end)
    """
    with LuaRun(ROBLOX + EXECUTOR + LOADING + script + START % server.loader_url, time_rate=20) as run:
        run.wait_line("running")
        server.wait_until(lambda: server.sessions_opened)
        run.wait_line("here")
        server.send({"type": "stop", "code": "X", "message": "enough"})
        assert run.wait_for("kicked") == "enough"


def test_a_roblox_server_is_known_by_its_game(server: ProtocolServer) -> None:
    with LuaRun(ROBLOX + "game.GameId = 9876543210\n" + KEY + START % server.loader_url) as run:
        run.wait_line("running")
    assert server.executions[0]["fingerprint"] == "Roblox game 9876543210"


def test_a_hosts_fields_may_be_functions_that_are_asked_when_it_matters(server: ProtocolServer) -> None:
    script = """
        local known = false
        thread(function() sleep(1) known = true end)
        moonlatch_host.fingerprint = function() return known and "device 1" or nil end
        moonlatch_host.executor = function() return known and "Host" or nil end
        moonlatch_host.player = function() return known and 5 or error("not yet") end
        moonlatch_host.place = function() return known and 6 or nil end
        moonlatch_host.job = function() return known and "job" or nil end
    """
    with LuaRun(KEY + script + START % server.loader_url, engine="lua51") as run:
        run.wait_line("running")
    request = server.executions[0]
    names = ("fingerprint", "executor", "roblox_id", "place_id", "job_id")
    assert [request[name] for name in names] == ["device 1", "Host", 5, 6, "job"]


@pytest.mark.parametrize(
    ("key", "change", "engines", "most"),
    [
        (KEY, "", ["luau", "lua51"], 51),
        ("", "", ["luau", "lua51"], 1),  # nobody's device is asked for without a key
        (KEY, "moonlatch_host.wait, moonlatch_host.spawn = nil, nil", ["luau", "lua51"], 2),
        (KEY, "moonlatch_host.wait = function() error('not here') end", ["luau", "luajit"], 2),
    ],
)
def test_a_fingerprint_that_does_not_come_is_asked_for_in_bounds(
    server: ProtocolServer, key: str, change: str, engines: list[str], most: int
) -> None:
    server.payload = b"print('asked', asked)"
    server.heartbeat_seconds = None
    script = f"""
        {key}
        moonlatch_host.websocket = nil
        asked = 0
        moonlatch_host.fingerprint = function() asked = asked + 1 return '' end
        {change}
    """
    for engine in engines:
        with LuaRun(script + START % server.loader_url, engine=engine, time_rate=20) as run:
            assert run.wait_line("asked") == f"asked\t{most}"
    assert [request["fingerprint"] for request in server.executions] == [None, None]


@pytest.mark.parametrize(("given", "sent"), [("12345678901", "12345678901"), ("function() return 7 end", "7")])
def test_a_number_identifies_a_device_too(server: ProtocolServer, given: str, sent: Any) -> None:
    with LuaRun(f"moonlatch_host.fingerprint = {given}\n" + START % server.loader_url) as run:
        run.wait_line("running")
    assert server.executions[0]["fingerprint"] == sent


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("moonlatch_host.fingerprint = true", "moonlatch_host.fingerprint must be text, or a function that gives text"),
        ("moonlatch_host.fingerprint = {}", "moonlatch_host.fingerprint must be text, or a function that gives text"),
        ("moonlatch_host.clock = function() end", "moonlatch_host.clock must give a number"),
        ("moonlatch_host.wait = {}", "moonlatch_host.wait must be a function"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(server: ProtocolServer, change: str, message: str) -> None:
    with LuaRun(change + "\n" + START % server.loader_url, engine="lua54") as run:
        assert run.wait_for("raised").endswith(message)
    assert server.executions == []
