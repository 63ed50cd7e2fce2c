"""Moves a whole script into a function of its own, where it has all the locals and registers of a fresh one."""

from __future__ import annotations

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.transform.arguments import keep_global_argument


def enclose(chunk: s.Chunk, *, uses_varargs: bool, parameters: list[s.Binding] | None = None) -> None:
    """The function is called with the chunk's arguments and returns what the script returns; `parameters` take the first.

    It takes `...` only where the script uses it, because Lua 5.1 then counts a hidden local `arg`.
    """
    line = chunk.body.line
    outside = keep_global_argument(chunk) if uses_varargs else []
    function = s.Function([], parameters or [], uses_varargs, chunk.body, line, line)
    arguments: list[s.Expression] = [s.Varargs(line)] if uses_varargs or parameters else []
    chunk.body = s.Block([*outside, s.Return([s.Call(s.Group(function, line), arguments, line)], line)], line)
