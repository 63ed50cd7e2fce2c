"""Tells plain Lua from what only Luau has, for targets that are plain Lua; it lowers nothing."""

from __future__ import annotations

from moonlatch.obfuscator import syntax as s
from moonlatch.obfuscator.capacity import MAX_UPVALUES
from moonlatch.obfuscator.diagnostics import Diagnostic
from moonlatch.obfuscator.rewriter import Replacement, Rewriter
from moonlatch.obfuscator.scopes import Resolution
from moonlatch.obfuscator.spelling import Target


def luau_only_constructs(chunk: s.Chunk) -> list[Diagnostic]:
    """One diagnostic for each construct that Lua 5.1 lacks, in source order. Types do not count: they are dropped."""
    finder = _Finder()
    finder.chunk(chunk)
    return sorted(finder.diagnostics, key=lambda diagnostic: diagnostic.line)


def most_portable_target(chunk: s.Chunk, resolution: Resolution) -> Target:
    """Plain Lua where the source would run on any version of it, Luau otherwise."""
    too_wide = any(len(frame.upvalues) > MAX_UPVALUES[Target.LUA51] for frame in resolution.frames)
    if too_wide:
        return Target.LUAU
    finder = _Finder(with_floor_division=False)  # Lua 5.3 has it too.
    finder.chunk(chunk)
    return Target.LUAU if finder.diagnostics else Target.LUA51


class _Finder(Rewriter):
    def __init__(self, *, with_floor_division: bool = True) -> None:
        super().__init__()
        self.diagnostics: list[Diagnostic] = []
        self._with_floor_division = with_floor_division

    def _found(self, line: int, construct: str) -> None:
        self.diagnostics.append(
            Diagnostic(line, 1, f"{construct} cannot be written in Lua 5.1; choose the target 'luau'")
        )

    def rewrite_interpolated_string(self, node: s.InterpolatedString) -> s.Expression:
        self._found(node.line, "An interpolated string")
        return super().rewrite_interpolated_string(node)

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        self._found(node.line, "An if-expression")
        return super().rewrite_if_expression(node)

    def rewrite_integer(self, node: s.Integer) -> s.Expression:
        self._found(node.line, "An integer literal")
        return node

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        if node.operator == "//" and self._with_floor_division:
            self._found(node.line, "The operator '//'")
        return super().rewrite_binary(node)

    def function(self, function: s.Function) -> None:
        for attribute in function.attributes:
            self._found(attribute.line, f"The attribute '@{attribute.name}'")
        super().function(function)

    def rewrite_compound_assign(self, node: s.CompoundAssign) -> Replacement:
        self._found(node.line, f"The compound assignment '{node.operator}='")
        return super().rewrite_compound_assign(node)

    def rewrite_continue(self, node: s.Continue) -> Replacement:
        self._found(node.line, "'continue'")
        return node

    def rewrite_local(self, node: s.Local) -> Replacement:
        if node.is_exported:
            self._found(node.line, "'export'")
        return super().rewrite_local(node)

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        if node.is_exported:
            self._found(node.line, "'export'")
        return super().rewrite_local_function(node)
