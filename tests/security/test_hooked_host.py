"""What somebody learns who replaces the functions of the host that the loader gives its loops and texts to."""

from __future__ import annotations

import re
import secrets
from itertools import combinations

import pytest

from moonlatch.client.loader_source import loader_source, lua_string
from support.lua_host import LoaderRun, ProtocolServer
from support.lua_host.protocol_server import LOADER_ID, SCRIPT_ID
from support.lua_host.run import run_text
from support.rounds import rounds

LOADERS = {"lua54": rounds(4, 20), "luajit": rounds(3, 20), "lua51": 2, "luau": 2}
A_TRIAL = 300
"""Characters; what only finds out what the host can do is shorter."""

BEFORE_THE_START = "-- Starts the script: the last part of the loader"

# Looks at every text and number that goes through the functions below, and through what is compiled.
WATCHING = r"""
local real, texts, numbers, sources = { string = string, table = table, type = type, next = next, load = loadstring or load }, {}, {}, {}
local unpack_all = table.unpack or unpack
local function note(value, depth)
  local kind = real.type(value)
  if kind == "string" then
    texts[value] = true
  elseif kind == "number" then
    numbers[value % 4294967296] = true
  elseif kind == "table" and depth < 3 then
    for _, inner in real.next, value do
      note(inner, depth + 1)
    end
  end
end
local function watch(run)
  return function(...)
    local given = { n = select("#", ...), ... }
    note(given, 0)
    local function pass(...)
      local results = { n = select("#", ...), ... }
      note(results, 0)
      return ...
    end
    return pass(run(unpack_all(given, 1, given.n)))
  end
end
local function compiled(value)
  if real.type(value) == "function" then
    return watch(value)
  end
  return value
end
local function hooked_load(source, ...)
  sources[#sources + 1] = source
  local chunk, problem = real.load(source, ...)
  if not chunk then
    return chunk, problem
  end
  return function(...)
    return compiled(chunk(...))
  end
end
local function library(name, functions)
  local own = setmetatable({}, { __index = real[name] })
  for _, one in real.next, functions do
    own[one] = watch(real[name][one])
  end
  return own
end
string = library("string", { "char", "byte", "sub", "rep", "format", "gsub", "find" })
table = library("table", { "concat", "insert" })
load, loadstring = hooked_load, hooked_load
if moonlatch_host and moonlatch_host.load then
  moonlatch_host.load = hooked_load
end
local function words(text)
  local list = {}
  for i = 1, #text, 4 do
    local a, b, c, d = real.string.byte(text, i, i + 3)
    list[#list + 1] = ((a * 256 + b) * 256 + c) * 256 + d
  end
  return list
end
local pads = { real.string.rep("\54", 32), real.string.rep("\92", 32) }
local function found(secret)
  for text in real.next, texts do
    if real.string.find(text, secret, 1, true) then
      return "the secret"
    elseif real.string.find(text, pads[1], 1, true) or real.string.find(text, pads[2], 1, true) then
      if real.string.find(text, "%X") then -- a coordinate in hex has as many sixes
        return "a padded key"
      end
    end
  end
  local seen = 0
  for _, word in real.next, words(secret) do
    seen = seen + (numbers[word] and 1 or 0)
  end
  return seen == 8 and "the secret in numbers" or "nothing"
end
"""

USE = """
local pad = sha256.derive(sha256.derive(settings.secret, "moonlatch/1 execute", "n", "m"), "payload")
local live = sha256.derive(sha256.derive(settings.secret, "moonlatch/1 live", "i"), "heartbeat", "1")
verify_signature(string.rep("k", 32), pad, live .. live)
x25519(pad, live)
local block = memory.from_string(pad)
blake2s(block, 32)
chacha20.apply(block, 32, 1, memory.from_string(pad), memory.from_string(string.rep("0", 12)))
"""


def loader(secret: bytes) -> str:
    return loader_source(
        script_id=SCRIPT_ID,
        loader_id=LOADER_ID,
        secret=secret,
        signing_key=bytes(32),
        exchange_key=bytes([9]) + bytes(31),
        base_url="http://127.0.0.1:1",
    ).decode()


def used(secret: bytes) -> str:
    """Lua that does with a loader what a start does, and says what was found out meanwhile."""
    modules, main, _ = loader(secret).partition(BEFORE_THE_START)
    assert main
    report = f"print(found({lua_string(secret)})) for i = 1, #sources do print(real.string.len(sources[i]), (real.string.gsub(sources[i], '%s+', ' '))) end"
    return f"local _ = (function()\n{WATCHING}\n;(function()\n{modules}\n{USE}\nend)()\n{report}\nend)()\n"


def outcomes(engine: str) -> tuple[list[str], list[list[str]]]:
    """For each of some loaders: what was found, and what it had the host compile."""
    found, compiled = [], []
    for _ in range(LOADERS[engine]):
        first, *sources = run_text(used(secrets.token_bytes(32)), engine=engine, timeout_seconds=120)
        found.append(first)
        compiled.append([source.partition("\t")[2] for source in sources])
    return found, compiled


@pytest.mark.parametrize("engine", LOADERS)
def test_no_loaders_secret_is_given_to_the_host(engine: str) -> None:
    found, compiled = outcomes(engine)
    assert found == ["nothing"] * LOADERS[engine]
    same = 0
    for one, other in combinations(compiled, 2):
        same += len(loops(one) & loops(other))
        # SHA-256, which the secret goes through, is another also without its names and numbers.
        same += shape_of(max(one, key=is_hash)) == shape_of(max(other, key=is_hash))
    assert same == 0


def loops(compiled: list[str]) -> set[str]:
    return {source for source in compiled if len(source) > A_TRIAL}


def is_hash(source: str) -> bool:
    return "byte" in source and "17, 64 do" in source


def shape_of(source: str) -> str:
    return re.sub(r"\b\d+\b", "0", re.sub(r"\b[A-Za-z_]\w*", "x", source))


@pytest.mark.parametrize("engine", LOADERS)
def test_nor_is_it_in_a_real_start(engine: str) -> None:
    with ProtocolServer("report()") as server:
        server.heartbeat_seconds = None
        text = server.own_loader()
        report = f"function report() print(found({lua_string(server.secret)}), #sources > 5) end\n"
        server.loader = (WATCHING + report).encode() + text
        with LoaderRun(server.loader_url, key="KEY", engine=engine) as run:
            run.wait_for("returned")
            assert run.lines == ["nothing\ttrue"]
