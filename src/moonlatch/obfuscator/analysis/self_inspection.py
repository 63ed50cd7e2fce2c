"""Finds where a script looks at its own functions with `debug`, and would see the machine that runs them instead.

What is known to differ is a fault, what may differ is left to a warning, and what stays the same is neither: the source, the
function itself, and all that is asked about functions of the host.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from moonlatch.obfuscator.analysis.builtins import FUNCTIONS, LIBRARIES
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.syntax.rewriter import InFunctions, Replacement, Rewriter

_LIBRARY = "debug"
_HARMLESS = {
    *("profilebegin", "profileend", "setmemorycategory", "resetmemorycategory", "getmemorycategory"),
    *("getmetatable", "setmetatable", "getregistry", "getuservalue", "setuservalue"),
}
_REPORTS = {"getinfo", "info"}
# The second line is what executors add for looking into functions.
_LOOKS_INSIDE = {
    *("getlocal", "setlocal", "getupvalue", "setupvalue", "upvalueid", "upvaluejoin"),
    *("getupvalues", "getconstant", "getconstants", "setconstant", "getproto", "getprotos", "getstack", "setstack"),
}
_TYPE_TESTS = {"type", "typeof"}
_FACTS = {
    "getinfo": {
        "S": {"source", "short_src", "what", "linedefined", "lastlinedefined"},
        "l": {"currentline"},
        "n": {"name", "namewhat"},
        "u": {"nups", "nparams", "isvararg"},
        "t": {"istailcall"},
        "f": {"func"},
        "L": {"activelines"},
        "r": {"ftransfer", "ntransfer"},
    },
    "info": {"s": {"source"}, "l": {"currentline"}, "f": {"func"}, "n": {"name"}, "a": {"nparams", "isvararg"}},
}
"""What each letter of the options asks for."""
_SHAPE = {"nups", "nparams", "isvararg"}
_CALL = {"name", "namewhat", "istailcall"}


def inspections(
    chunk: s.Chunk, resolution: Resolution, native: AbstractSet[s.Function]
) -> tuple[list[Diagnostic], int | None]:
    """The faults, and the line of the first place that may see something else; `native` functions stay as they are."""
    if _LIBRARY in resolution.assigned_globals or _LIBRARY not in resolution.globals:
        return [], None
    known = _Known(resolution)
    known.chunk(chunk)
    inspector = _Inspector(known, resolution, native)
    inspector.chunk(chunk)
    return inspector.faults, min(inspector.doubts, default=None)


def _member(node: s.Expression) -> str | None:
    """The name of a member of the library that the expression is."""
    if isinstance(node, s.IndexName) and _is_library(node.object):
        return node.name
    if isinstance(node, s.Index) and _is_library(node.object) and isinstance(node.key, s.String):
        return node.key.value.decode("latin-1")
    return None


def _is_library(node: s.Expression) -> bool:
    return isinstance(node, s.Name) and node.binding is None and node.name == _LIBRARY


class _Known(Rewriter):
    """What locals that keep their first value are: functions of the script, members of the library, reports."""

    def __init__(self, resolution: Resolution) -> None:
        super().__init__()
        self._symbols = resolution.symbols
        self.functions: dict[s.Binding, s.Function] = {}
        self.members: dict[s.Binding, str] = {}
        self.fields: dict[s.Expression, str] = {}
        """The field that is read of a value, by the expression that gives it."""
        self.reports: dict[s.Call, s.Binding] = {}

    def rewrite_local(self, node: s.Local) -> Replacement:
        for binding, value in zip(node.bindings, node.values, strict=False):
            if self._symbols[binding].is_assigned:
                continue
            member = _member(value)
            if isinstance(value, s.Function):
                self.functions[binding] = value
            elif isinstance(value, s.Call) and (len(node.bindings) == 1 or value is not node.values[-1]):
                self.reports[value] = binding
            elif member is not None:
                self.members[binding] = member
        return super().rewrite_local(node)

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        if not self._symbols[node.binding].is_assigned:
            self.functions[node.binding] = node.function
        return super().rewrite_local_function(node)

    def rewrite_index_name(self, node: s.IndexName) -> s.Expression:
        self.fields[node.object] = node.name
        return super().rewrite_index_name(node)

    def used_fields(self, call: s.Call) -> set[str] | None:
        """The fields of a report that the script reads; None when nobody can tell."""
        if call in self.fields:
            return {self.fields[call]}
        binding = self.reports.get(call)
        if binding is None:
            return None
        read = [self.fields.get(reference) for reference in self._symbols[binding].references]
        return None if None in read else {field for field in read if field is not None}


class _Inspector(InFunctions):
    def __init__(self, known: _Known, resolution: Resolution, native: AbstractSet[s.Function]) -> None:
        super().__init__(native)
        self._known = known
        self._native = native
        self._globals = resolution.assigned_globals
        self._quiet: set[s.Expression] = set()
        """Mentions that only ask whether something is there, or give it a name that is followed."""
        self.faults: list[Diagnostic] = []
        self.doubts: list[int] = []

    # Mentions

    def rewrite_name(self, node: s.Name) -> s.Expression:
        if node not in self._quiet and _is_library(node):
            self.doubts.append(node.line)
        return node

    def rewrite_index_name(self, node: s.IndexName) -> s.Expression:
        return self._mention(node) or super().rewrite_index_name(node)

    def rewrite_index(self, node: s.Index) -> s.Expression:
        return self._mention(node) or super().rewrite_index(node)

    def _mention(self, node: s.IndexName | s.Index) -> s.Expression | None:
        member = _member(node)
        if member is None:
            return None
        if node not in self._quiet and member not in _HARMLESS:
            self.doubts.append(node.line)
        return node

    def rewrite_local(self, node: s.Local) -> Replacement:
        for binding, value in zip(node.bindings, node.values, strict=False):
            if binding in self._known.members:
                self._quiet.add(value)
        return super().rewrite_local(node)

    def rewrite_if(self, node: s.If) -> Replacement:
        self._quiet.update(condition for condition, _ in node.clauses)
        return super().rewrite_if(node)

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        self._quiet.update(condition for condition, _ in node.clauses)
        return super().rewrite_if_expression(node)

    def rewrite_unary(self, node: s.Unary) -> s.Expression:
        self._quiet.add(node.operand)
        return super().rewrite_unary(node)

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        if node.operator in ("==", "~="):
            self._quiet.update((node.left, node.right))
        elif node.operator == "and" or node in self._quiet:
            self._quiet.add(node.left)
            if node in self._quiet:
                self._quiet.add(node.right)
        return super().rewrite_binary(node)

    # Calls

    def rewrite_call(self, node: s.Call) -> s.Expression:
        function = node.function
        member = _member(function)
        if member is None and isinstance(function, s.Name):
            if function.binding is not None:
                member = self._known.members.get(function.binding)
            elif function.name in _TYPE_TESTS and function.name not in self._globals:
                self._quiet.update(node.arguments)
        if member is None:
            return super().rewrite_call(node)
        self._call(node, member)
        self.expressions(node.arguments)
        return node

    def _call(self, node: s.Call, member: str) -> None:
        if member in _HARMLESS:
            return
        if member not in _REPORTS | _LOOKS_INSIDE:
            self.doubts.append(node.line)
            return
        subject = node.arguments[0] if node.arguments else None
        seen = self._differences(node, member, subject)
        if not seen or (subject is not None and self._is_of_host(subject)):
            return
        if not self._is_own(subject):
            self.doubts.append(node.line)
            return
        what = f" where it asks for {' and '.join(map(repr, seen))}" if seen != [member] else ""
        self.faults.append(
            Diagnostic(
                node.line,
                1,
                f"debug.{member} would see the machine of the profile 'maximum'{what}; "
                "keep the function as it is with LA_NO_VIRTUALIZE, or choose another profile",
            )
        )

    def _differences(self, node: s.Call, member: str, subject: s.Expression | None) -> list[str]:
        """What the call tells that is not as it was, in order; the member itself where that is everything."""
        if member not in _REPORTS:
            return [member]
        different = set(_SHAPE)
        if member == "info":
            different.add("name")
        if subject is None or self._function(subject) is None:
            different |= _CALL
            # The chunk's own code is `main`, and the machine's is not; how many levels up it is, nobody can tell.
            is_here = isinstance(subject, s.Number) and subject.value == 1
            if not (is_here and self.current is not None):
                different.add("what")
        return sorted(self._asked(node, member) & different)

    def _asked(self, node: s.Call, member: str) -> set[str]:
        letters = _FACTS[member]
        options = node.arguments[1] if len(node.arguments) > 1 else None
        asked = set().union(*letters.values())
        if isinstance(options, s.String):
            asked = set().union(*(letters.get(letter, set()) for letter in options.value.decode("latin-1")))
        used = self._known.used_fields(node) if member == "getinfo" else None
        return asked if used is None else asked & used

    def _is_own(self, subject: s.Expression | None) -> bool:
        """A level of the stack, or a function of the script's that the machine runs."""
        if isinstance(subject, s.Number):
            return subject.value >= 1
        function = None if subject is None else self._function(subject)
        return function is not None and function not in self._native

    def _is_of_host(self, node: s.Expression) -> bool:
        if isinstance(node, s.IndexName):
            library = node.object
            return isinstance(library, s.Name) and library.name in LIBRARIES and self._is_global(library)
        return isinstance(node, s.Name) and node.name in FUNCTIONS and self._is_global(node)

    def _is_global(self, node: s.Name) -> bool:
        return node.binding is None and node.name not in self._globals

    def _function(self, node: s.Expression) -> s.Function | None:
        """The function of the script's that the expression is, as far as can be told."""
        if isinstance(node, s.Name) and node.binding is not None:
            return self._known.functions.get(node.binding)
        return node if isinstance(node, s.Function) else None
