"""Tells plain Lua from Luau, and names what only Luau can say; it changes nothing."""

from __future__ import annotations

from moonlatch.obfuscator.analysis.builtins import ENVIRONMENTS
from moonlatch.obfuscator.analysis.capacity import MAX_UPVALUES
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import spellings
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter
from moonlatch.obfuscator.target import Target

_ITERATOR_MAKERS = frozenset({"pairs", "ipairs"})


def constructs_without_counterpart(chunk: s.Chunk) -> list[Diagnostic]:
    """One diagnostic for each construct that no Lua has and none can be written for, in source order."""
    finder = _Unlowerable()
    finder.chunk(chunk)
    return sorted(finder.diagnostics, key=lambda diagnostic: diagnostic.line)


def most_portable_target(chunk: s.Chunk, resolution: Resolution) -> Target:
    """Plain Lua where the source, its types aside, would run on any version of it, Luau otherwise."""
    too_wide = any(len(frame.upvalues) > MAX_UPVALUES[Target.LUA51] for frame in resolution.frames)
    if too_wide:
        return Target.LUAU
    finder = _LuauSyntax()
    finder.chunk(chunk)
    return Target.LUAU if finder.is_there else Target.LUA51


def is_function_everywhere(values: list[s.Expression], resolution: Resolution) -> bool:
    """True when what a `for` goes through is a function whatever happens, so that every Lua's loop calls it alike.

    Anything else may be a table, which Luau's loop traverses and any other Lua's calls.
    """
    first = unwrapped(values[0])
    if isinstance(first, s.Function):
        return True
    called = first.function if isinstance(first, s.Call) else None
    name = first if called is None else called
    if not isinstance(name, s.Name) or name.binding is not None or name.name in resolution.assigned_globals:
        return False
    if name.name not in (("next",) if called is None else _ITERATOR_MAKERS):
        return False
    return ENVIRONMENTS.isdisjoint(resolution.globals)


class _Unlowerable(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self.diagnostics: list[Diagnostic] = []

    def _found(self, line: int, construct: str) -> None:
        self.diagnostics.append(
            Diagnostic(line, 1, f"{construct} cannot be written in Lua 5.1; choose the target 'luau'")
        )

    def rewrite_integer(self, node: s.Integer) -> s.Expression:
        self._found(node.line, "An integer literal")
        return node

    def rewrite_local(self, node: s.Local) -> Replacement:
        if node.is_exported:
            self._found(node.line, "'export'")
        return super().rewrite_local(node)

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        if node.is_exported:
            self._found(node.line, "'export'")
        return super().rewrite_local_function(node)


class _LuauSyntax(Rewriter):
    """Looks for any; `//` does not count, for Lua 5.3 has it too.

    Nor does a loop over a value that may be a function: it does in each host what that host's loops do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_there = False

    def rewrite_interpolated_string(self, node: s.InterpolatedString) -> s.Expression:
        self.is_there = True
        return node

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        if spellings(node) is not None:
            return super().rewrite_if_expression(node)
        self.is_there = True
        return node

    def rewrite_integer(self, node: s.Integer) -> s.Expression:
        self.is_there = True
        return node

    def function(self, function: s.Function) -> None:
        self.is_there |= bool(function.attributes)
        super().function(function)

    def rewrite_compound_assign(self, node: s.CompoundAssign) -> Replacement:
        self.is_there = True
        return node

    def rewrite_continue(self, node: s.Continue) -> Replacement:
        self.is_there = True
        return node

    def rewrite_generic_for(self, node: s.GenericFor) -> Replacement:
        self.is_there |= isinstance(unwrapped(node.values[0]), s.Table)
        return super().rewrite_generic_for(node)

    def rewrite_local(self, node: s.Local) -> Replacement:
        self.is_there |= node.is_exported
        return super().rewrite_local(node)

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        self.is_there |= node.is_exported
        return super().rewrite_local_function(node)
