"""A host for Lua in tests: real interpreters, real HTTP, real WebSockets."""

from support.lua_host.protocol_server import ProtocolServer
from support.lua_host.run import ENGINES, Happened, LoaderRun, LuaRun, run_text

__all__ = ["ENGINES", "Happened", "LoaderRun", "LuaRun", "ProtocolServer", "run_text"]
