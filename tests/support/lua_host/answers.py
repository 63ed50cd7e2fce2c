"""Evaluates many Lua expressions over the loader's modules in one child process."""

from __future__ import annotations

from collections.abc import Mapping

from moonlatch.client.loader_source import lua_string, modules_source
from support.lua_host.run import run_text

HELPERS = """
local function shown(value)
  if type(value) == "string" then
    return "s" .. (string.gsub(value, ".", function(c) return string.format("%02x", string.byte(c)) end))
  end
  return tostring(value)
end
"""


def evaluate(expressions: Mapping[str, str], *, modules: str, engine: str) -> dict[str, bytes | str]:
    """The value of each Lua expression: bytes for a string, the text of anything else.

    The expressions see the loader's modules up to the one named `modules`. One that fails gives `error: ` and the message.
    """
    # A function each keeps the chunk below the limits on locals and registers.
    evaluations = "".join(
        f"do local ok, value = pcall(function() return {expression} end) "
        f'print({lua_string(name.encode())} .. "\\t" .. (ok and shown(value) or "error: " .. tostring(value))) end\n'
        for name, expression in expressions.items()
    )
    lines = run_text(modules_source(modules) + HELPERS + evaluations, engine=engine, timeout_seconds=120)
    answers: dict[str, bytes | str] = {}
    for line in lines:
        name, _, value = line.partition("\t")
        answers[name] = bytes.fromhex(value[1:]) if value.startswith("s") else value
    return answers
