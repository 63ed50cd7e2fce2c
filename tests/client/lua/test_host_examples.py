"""The examples of `docs/reference/host-table.md` run the loader, in hosts faked after the programs' documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.lua_host import LuaRun, ProtocolServer

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "host-table.md").read_text()
EXAMPLES = dict(re.findall(r"^### ([^\n]+)\n(?:(?!^### ).)*?```lua\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
PAYLOAD = """
local la = ...
la.la_handle("echo", function(data) return data end)
print("running")
"""
OUTSIDE = (
    'local outside, http_get, compile = moonlatch_host, http_get, loadstring moonlatch_host = nil script_key = "KEY"\n'
)

FIVEM = """
loadstring = nil
promise = { new = function() return { resolve = function(self, value) self.value = value end } end }
function PerformHttpRequest(url, done, method, body, headers)
  outside.spawn(function()
    local status, text = outside.request(method, url, headers, body)
    if not status then
      done(0, nil, {}, "connection failed")
    elseif status >= 400 then
      done(status, nil, {}, "HTTP " .. math.floor(status) .. ": " .. text)
    else
      done(status, text, {}, nil)
    end
  end)
end
Citizen = {
  Await = function(promised)
    while not promised.value do outside.wait(0.01) end
    return promised.value
  end,
  CreateThread = outside.spawn,
  Wait = function(milliseconds) outside.wait(milliseconds / 1000) end,
}
function GetConvar(name, default) return name == "sv_licenseKeyToken" and "owner:licence" or default end
"""

GARRYS_MOD = """
loadstring, load = nil, nil
SERVER = true
local started = seconds()
game = { GetIPAddress = function() return seconds() - started > 0.5 and "203.0.113.5:27015" or "0.0.0.0:27015" end }
function ErrorNoHalt(text) print("error", text) end
function CompileString(source, name, handles_errors)
  local chunk, problem = compile(source, name)
  return chunk or problem
end
timer = { Simple = function(delay, run) outside.spawn(function() outside.wait(delay) run() end) end }
function HTTP(asked)
  assert(asked.type == "application/json")
  outside.spawn(function()
    local status, text = outside.request(asked.method, asked.url, asked.headers, asked.body)
    if status then asked.success(status, text, {}) else asked.failed(text) end
  end)
end
"""

LOVE = """
local files = {}
local real_resume, real_yield = coroutine.resume, coroutine.yield
-- Requests block in LOVE: what they wait for here is waited for by whoever resumes.
local coroutine = setmetatable({}, { __index = coroutine })
function coroutine.resume(thread, ...)
  local ok, what, id = real_resume(thread, ...)
  if what ~= "await" then return ok, what, id end
  return coroutine.resume(thread, real_yield(what, id))
end
function require(name)
  assert(name == "https")
  return { request = function(url, options) return outside.request(options.method, url, options.headers, options.data) end }
end
love = {
  timer = { getTime = seconds },
  math = { random = math.random },
  filesystem = {
    read = function(name) return files[name] end,
    write = function(name, content) files[name] = content return true end,
  },
  window = { showMessageBox = function() end },
  event = { quit = function() end },
}
outside.spawn(function()
  while true do
    if love.update then love.update() end
    outside.wait(0.02)
  end
end)
"""

LUNE = """
loadstring = nil
local files = {}
local function socket(url)
  local texts, closed = {}, false
  local inner = outside.websocket(url, function(text) table.insert(texts, text) end, function() closed = true end)
  return {
    next = function()
      while not texts[1] and not closed do outside.wait(0.01) end
      return table.remove(texts, 1)
    end,
    send = inner.send,
    close = inner.close,
  }
end
local modules = {
  ["@lune/net"] = {
    request = function(asked)
      if type(asked) == "string" then return { body = http_get(asked), statusCode = 200 } end
      local status, body = outside.request(asked.method, asked.url, asked.headers, asked.body)
      if not status then error(body) end
      return { statusCode = status, body = body }
    end,
    socket = socket,
  },
  ["@lune/task"] = { spawn = outside.spawn, wait = outside.wait },
  ["@lune/process"] = { env = { HOME = "/home/somebody" } },
  ["@lune/fs"] = {
    isFile = function(name) return files[name] ~= nil end,
    readFile = function(name) return files[name] end,
    writeFile = function(name, content) files[name] = content end,
  },
  ["@lune/luau"] = {
    load = function(source, options)
      local chunk = assert(compile(source, options.debugName))
      if options.environment then
        setfenv(chunk, setmetatable(options.environment, { __index = getfenv() }))
      end
      return chunk
    end,
  },
}
function require(name) return assert(modules[name], name) end
"""

HOSTS = {
    "FiveM (server, Lua 5.4)": ("lua54", FIVEM, "^owner:licence$"),
    "Garry's Mod (LuaJIT)": ("luajit", GARRYS_MOD, r"^203\.0\.113\.5:27015$"),
    "LÖVE 12 (LuaJIT, the bundled `https` module)": ("luajit", LOVE, "^[0-9a-f]{32}$"),
    "Lune (Luau)": ("luau", LUNE, "^[0-9a-f]{32}$"),
}


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with ProtocolServer(PAYLOAD) as server:
        server.loader = server.own_loader()
        yield server


def test_there_is_a_host_for_every_example() -> None:
    assert set(EXAMPLES) == set(HOSTS)


@pytest.mark.parametrize("example", HOSTS)
def test_an_example_starts_a_script_and_tells_its_device(server: ProtocolServer, example: str) -> None:
    engine, host, device = HOSTS[example]
    server.heartbeat_seconds = 1
    start = 'assert((moonlatch_host.load or compile)(text, "=loader"))()'
    code = EXAMPLES[example].replace("https://HOST/loader/SCRIPT_ID", server.loader_url)
    if "luau.load(source" not in code:
        code, placeholders = re.subn(r"--\[\[ fetch.*?\]\]", start, code)
        code += "" if placeholders else start
    fetched = f'local text = http_get("{server.loader_url}")\n'
    with LuaRun(OUTSIDE + fetched + host + code, engine=engine, time_rate=4) as run:
        run.wait_line("running", timeout_seconds=30)
        server.wait_until(lambda: server.heartbeats or server.sessions_opened)
        if server.sessions_opened:
            server.send({"type": "message", "id": 1, "key": "echo", "data": {"a": 1}})
            assert server.wait_frame(type="reply")["data"] == {"a": 1}
        assert (run.raised, run.thread_errors) == (None, [])
    assert re.search(device, server.executions[0]["fingerprint"])
