"""Writes out names that Lua 5.2 to 5.4 and LuaJIT reserve and Luau does not, so that plain Lua has them in quotes alone.

Fields are the printer's: `t.goto` becomes `t["goto"]`. Here is what cannot be put in quotes as it stands: variables,
methods and the names of functions.
"""

from __future__ import annotations

from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter
from moonlatch.obfuscator.syntax.spelling import RESERVED_ELSEWHERE

_ENVIRONMENT = ("getfenv", "_ENV")


def write_out_reserved_names(chunk: s.Chunk, resolution: Resolution) -> bool:
    """True when the chunk has changed; then its names are to be resolved anew."""
    hidden = set(RESERVED_ELSEWHERE)
    if not RESERVED_ELSEWHERE.isdisjoint(resolution.globals):
        hidden.update(_ENVIRONMENT)  # where the globals are, which no local of the script may hide
    has_renamed = _rename_locals(resolution, hidden)
    writer = _Writer(resolution)
    writer.chunk(chunk)
    return has_renamed or writer.has_changed


def _rename_locals(resolution: Resolution, names: set[str]) -> bool:
    found = [symbol for symbol in resolution.symbols.values() if symbol.binding.name in names]
    for symbol in found:
        name = resolution.fresh_name(symbol.binding.name)
        symbol.binding.name = name
        for reference in symbol.references:
            reference.name = name
    return bool(found)


class _Writer(Rewriter):
    def __init__(self, resolution: Resolution) -> None:
        super().__init__()
        self.has_changed = False
        self._subject = resolution.fresh_name("subject")

    def rewrite_name(self, node: s.Name) -> s.Expression:
        """A global: `(getfenv and getfenv() or _ENV)["goto"]`."""
        if node.binding is not None or node.name not in RESERVED_ELSEWHERE:
            return node
        self.has_changed = True
        line = node.line
        getfenv, other = _ENVIRONMENT
        call = s.Call(s.Name(getfenv, line), [], line)
        found = s.Binary("and", s.Name(getfenv, line), call, line)
        return _field(s.Group(s.Binary("or", found, s.Name(other, line), line), line), node.name, line)

    def rewrite_function_declaration(self, node: s.FunctionDeclaration) -> Replacement:
        """`function t.goto() end` becomes an assignment; `self` is among the parameters already."""
        rewritten = super().rewrite_function_declaration(node)
        if rewritten is not node or not _has_reserved_field(node.target):
            return rewritten
        self.has_changed = True
        return s.Assign([node.target], [node.function], node.line)

    def rewrite_method_call(self, node: s.MethodCall) -> s.Expression:
        """`t:goto(1)` becomes `t["goto"](t, 1)`, and evaluates what is more than a local once: `(function(t, ...) ... end)(f(), 1)`."""
        super().rewrite_method_call(node)
        if node.name not in RESERVED_ELSEWHERE:
            return node
        self.has_changed = True
        line = node.line
        subject = unwrapped(node.object)
        if isinstance(subject, s.Name) and subject.binding is not None:
            method = _field(_name_again(subject), node.name, line)
            return s.Call(method, [subject, *node.arguments], line)
        parameter = s.Binding(self._subject, line)
        called = _field(s.Name(self._subject, line), node.name, line)
        result = s.Return([s.Call(called, [s.Name(self._subject, line), s.Varargs(line)], line)], line)
        function = s.Function([], [parameter], True, s.Block([result], line), line, line)
        # In parentheses the object is one value, as it was.
        return s.Call(s.Group(function, line), [s.Group(node.object, line), *node.arguments], line)


def _has_reserved_field(node: s.Expression) -> bool:
    while isinstance(node, s.IndexName):
        if node.name in RESERVED_ELSEWHERE:
            return True
        node = node.object
    return False


def _field(node: s.Expression, name: str, line: int) -> s.Index:
    return s.Index(node, s.String(name.encode("ascii"), line), line)


def _name_again(node: s.Name) -> s.Name:
    again = s.Name(node.name, node.line)
    again.binding = node.binding
    return again
