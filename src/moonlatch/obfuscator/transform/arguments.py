"""Lua 5.1's implicit `arg`: a local that each function with `...` has there, nil where the function itself uses `...`.

Every other Lua, LuaJIT included, knows only a global of that name. So a mention of it is to stay among the functions
that it stands in; only one that belongs to the script's own code, which has no such local, may get a new function around.
"""

from __future__ import annotations

from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.parser import parse_written
from moonlatch.obfuscator.syntax.rewriter import Rewriter

IMPLICIT_ARGUMENTS = "arg"
_GLOBAL = "local NAME=setmetatable({},{__index=function()return arg end,__newindex=function(_name,_place,_value)arg=_value end})"


def functions_with_implicit_argument(chunk: s.Chunk) -> set[s.Function]:
    """The functions to whose own `arg` the chunk refers, where Lua 5.1 runs it. Names must have been resolved."""
    finder = _Finder()
    finder.chunk(chunk)
    return finder.found


def global_argument(name: str) -> str:
    """The statement that makes `name[1]` the global `arg`, also where a function with `...` is around."""
    return _GLOBAL.replace("NAME", name)


def keep_global_argument(chunk: s.Chunk) -> list[s.Statement]:
    """For a chunk that gets a function with `...` around itself: what to declare outside of that, if anything."""
    resolution = resolve(chunk)
    if IMPLICIT_ARGUMENTS not in resolution.globals:
        return []
    name = resolution.fresh_name("global")
    _GlobalReader(name).chunk(chunk)
    return parse_written(global_argument(name)).body.body


class _InVarargs(Rewriter):
    """Knows the innermost function with `...` around what it visits."""

    def __init__(self) -> None:
        super().__init__()
        self.owner: s.Function | None = None

    def function(self, function: s.Function) -> None:
        outer = self.owner
        if function.is_vararg:
            self.owner = function
        super().function(function)
        self.owner = outer


class _Finder(_InVarargs):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[s.Function] = set()

    def rewrite_name(self, node: s.Name) -> s.Expression:
        if node.name == IMPLICIT_ARGUMENTS and node.binding is None and self.owner is not None:
            self.found.add(self.owner)
        return node


class _GlobalReader(_InVarargs):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def rewrite_name(self, node: s.Name) -> s.Expression:
        if node.name != IMPLICIT_ARGUMENTS or node.binding is not None or self.owner is not None:
            return node
        return s.Index(s.Name(self._name, node.line), s.Number("1", 1.0, node.line), node.line)
