"""Finds where a lowered script passes a limit that Lua 5.1 or LuaJIT has and Luau has not."""

from __future__ import annotations

from moonlatch.obfuscator.analysis.capacity import MAX_UPVALUES
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from moonlatch.obfuscator.target import Target

_MAX_LOCALS = 200
_MAX_REGISTERS = 250
# Lua 5.1 and LuaJIT read 200 levels of nesting; a concatenation is one level an operand.
_MAX_LEVELS = 190


def plain_lua_faults(chunk: s.Chunk, resolution: Resolution) -> list[Diagnostic]:
    """One diagnostic for each function that is too large and each statement that is too deep, in source order."""
    faults = []
    for frame in resolution.frames:
        line = 1 if frame.node is None else frame.node.line
        hidden = 1 if frame.node is not None and frame.node.is_vararg else 0
        if len(frame.upvalues) > MAX_UPVALUES[Target.LUA51]:
            faults.append(
                _fault(
                    line, f"captures {len(frame.upvalues)} variables, and Lua 5.1 allows {MAX_UPVALUES[Target.LUA51]}"
                )
            )
        if frame.max_locals + hidden > _MAX_LOCALS:
            faults.append(
                _fault(
                    line, f"has {frame.max_locals + hidden} local variables at once, and Lua 5.1 allows {_MAX_LOCALS}"
                )
            )
        elif frame.peak + hidden > _MAX_REGISTERS:
            faults.append(_fault(line, f"needs {frame.peak + hidden} registers, and Lua 5.1 has {_MAX_REGISTERS}"))
    depths = _Depths()
    depths.chunk(chunk)
    return sorted([*faults, *depths.faults], key=lambda fault: fault.line)


def _fault(line: int, what: str) -> Diagnostic:
    return Diagnostic(line, 1, f"This function {what}; choose the target 'luau' or split it")


class _Depths(Rewriter):
    """Counts as Lua 5.1 does: each block and each expression within another is a level, a left operand is none."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Diagnostic] = []
        self._level = 0

    def block(self, block: s.Block) -> None:
        self._level += 1
        super().block(block)
        self._level -= 1

    def expression(self, node: s.Expression) -> s.Expression:
        self._level += 1
        if self._level > _MAX_LEVELS:
            if not self.faults or self.faults[-1].line != node.line:
                message = (
                    "Too many levels of nesting for Lua 5.1, which allows 200; choose the target 'luau' or split this"
                )
                self.faults.append(Diagnostic(node.line, 1, message))
        else:
            super().expression(node)
        self._level -= 1
        return node

    # What is indexed or called, and a left operand, is read in a loop, however long the chain.

    def _head(self, node: s.Expression) -> None:
        self._level -= 1
        self.expression(node)
        self._level += 1

    def rewrite_index_name(self, node: s.IndexName) -> s.Expression:
        self._head(node.object)
        return node

    def rewrite_index(self, node: s.Index) -> s.Expression:
        self._head(node.object)
        self.expression(node.key)
        return node

    def rewrite_call(self, node: s.Call) -> s.Expression:
        self._head(node.function)
        self.expressions(node.arguments)
        return node

    def rewrite_method_call(self, node: s.MethodCall) -> s.Expression:
        self._head(node.object)
        self.expressions(node.arguments)
        return node

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        left: s.Expression = node
        while isinstance(left, s.Binary):
            self.expression(left.right)
            left = left.left
        self._head(left)
        return node
