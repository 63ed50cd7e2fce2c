"""Whether the loader notices that the host's functions were replaced, and takes no host for one where they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.lua_host import LoaderRun, LuaRun, ProtocolServer
from support.lua_host.roblox import EXECUTOR, ROBLOX
from support.lua_host.run import ENGINES

START = 'return assert(loadstring(http_get("%s")))()'
NO_OWN_LOAD = "moonlatch_host.load = nil\n"

REPLACED = {
    "string.char": "local real = string.char string.char = function(...) return real(...) end\n",
    "table.concat": "local real = table.concat table.concat = function(...) return real(...) end\n",
    "all of string": "string = setmetatable({ sub = function(...) return ('').sub(...) end }, { __index = string })\n",
}


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with ProtocolServer('print("running")') as server:
        server.offers_session = False
        server.loader = server.own_loader()
        yield server


def is_noticed(server: ProtocolServer, run: LuaRun) -> bool:
    """Whether the start that this run makes says so; it is granted in any case."""
    with run:
        run.wait_line("running")
    (request,) = server.executions
    assert request.get("hooked", True) is True, "and says nothing otherwise"
    return "hooked" in request


@pytest.mark.parametrize("engine", ENGINES)
def test_an_honest_host_is_none(server: ProtocolServer, engine: str) -> None:
    assert not is_noticed(server, LoaderRun(server.loader_url, key="KEY", engine=engine))


@pytest.mark.parametrize("what", REPLACED)
@pytest.mark.parametrize("engine", ["luau", "lua51", "lua54", "luajit"])
def test_a_replaced_function_of_a_library_is_noticed(server: ProtocolServer, engine: str, what: str) -> None:
    server.loader = REPLACED[what].encode() + server.own_loader()
    if engine == "luau":  # where libraries are read-only, as there, all of one is replaced
        server.loader = b"string = table.clone(string) table = table.clone(table)\n" + server.loader
    assert is_noticed(server, LoaderRun(server.loader_url, key="KEY", engine=engine))


@pytest.mark.parametrize("engine", ["lua52", "lua53", "lua54", "luajit"])
@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_replaced_load_is_noticed(server: ProtocolServer, engine: str, *, is_replaced: bool) -> None:
    # The test host's own `loadstring` is of Lua.
    script = START % server.loader_url
    begin = "local first = loadstring loadstring = nil\n" + NO_OWN_LOAD + script.replace("loadstring(", "first(")
    if is_replaced:
        begin = "local real = load load = function(...) return real(...) end\n" + begin
    assert is_noticed(server, LuaRun(begin, engine=engine)) is is_replaced


def test_what_compiles_by_the_word_of_the_hosts_table_is_not_asked(server: ProtocolServer) -> None:
    script = "local load_text = loadstring moonlatch_host.load = function(...) return load_text(...) end\n"
    assert not is_noticed(server, LuaRun(script + START % server.loader_url, engine="lua54"))


OF_LUA = "getgenv = function() return _G end\n"
NATIVE = "getgenv = getfenv\n"
SAYS_SO = "isfunctionhooked = function(f) return f == %s end\n"


@pytest.mark.parametrize("engine", ["luau", "luajit"])
@pytest.mark.parametrize(
    ("executor", "noticed"),
    [
        ("", False),
        (OF_LUA, False),
        (NATIVE, True),
        (OF_LUA + SAYS_SO % "nil", False),
        (OF_LUA + SAYS_SO % "request", True),
        (OF_LUA + SAYS_SO % "loadstring", True),
        (OF_LUA + SAYS_SO % "string.char", True),
        (OF_LUA + "isfunctionhooked = function() error('not on this platform') end\n", False),
        (OF_LUA + "isfunctionhooked = 7\n", False),
    ],
    ids=["bare", "of Lua", "native", "says no", "request", "loadstring", "char", "raises", "no function"],
)
def test_an_executor_is_asked_and_one_that_is_written_in_lua_is_honest(
    server: ProtocolServer, engine: str, executor: str, *, noticed: bool
) -> None:
    if engine == "luajit" and not executor:
        pytest.skip("without getgenv it is a plain Lua, whose `load` is not of Lua")
    script = ROBLOX + EXECUTOR + executor + 'script_key = "KEY"\n' + START % server.loader_url
    assert is_noticed(server, LuaRun(script, engine=engine)) is noticed
