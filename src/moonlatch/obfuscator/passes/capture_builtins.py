"""Reads the well-known library functions once, into locals at the top of the script, and uses those everywhere.

A script that could change one of them, or a library, keeps reading it where it did. Luau compiles calls of such locals
to the same fast instructions as calls of the library itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from moonlatch.obfuscator.analysis.builtins import ENVIRONMENTS, FUNCTIONS, library_members
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import is_turn, spellings
from moonlatch.obfuscator.syntax.rewriter import InFunctions, Replacement, Rewriter
from moonlatch.obfuscator.transform.rooms import Rooms
from moonlatch.obfuscator.transform.unit import Unit

KEY = "capture_builtins"
_MOST_CAPTURED = 60
# Locals that later passes need at the top of the script.
_RESERVED_LOCALS = 60
_Builtin = tuple[str, str | None]


def run(unit: Unit) -> None:
    unit.make_names_unique()
    if unit.changes_environment or ENVIRONMENTS & unit.resolution.globals.keys():
        return
    survey = _Survey(unit)
    survey.chunk(unit.chunk)
    captured = _chosen(unit, survey.mentions)
    if captured:
        _Capturer(unit, captured, survey).chunk(unit.chunk)
        _declare(unit, captured)
        unit.resolve_anew()


@dataclass(slots=True)
class _Mentions:
    count: int = 0
    functions: set[s.Function | None] = field(default_factory=set)


class _Reader(InFunctions):
    """Knows a builtin when it sees one, also in a local that the script keeps it in."""

    def __init__(self, unit: Unit, exposed: set[str]) -> None:
        super().__init__(unit.sealed)
        self.unit = unit
        self.copies: dict[s.Binding, _Builtin] = {}
        self.exposed = exposed
        self._members = library_members(unit.target)
        self._replaced = unit.resolution.assigned_globals.keys()

    def builtin(self, node: s.Expression) -> _Builtin | None:
        if isinstance(node, s.Name):
            if node.binding is not None:
                return self.copies.get(node.binding)
            return (node.name, None) if node.name in FUNCTIONS and node.name not in self._replaced else None
        if isinstance(node, s.IndexName) and isinstance(node.object, s.Name) and node.object.binding is None:
            found = (node.object.name, node.name)
            return found if found in self._members and node.object.name not in self.exposed else None
        return None

    def rewrite_local(self, node: s.Local) -> Replacement:
        if not self.unit.sealed and not node.is_exported and len(node.bindings) == len(node.values):
            for binding, value in zip(node.bindings, node.values, strict=True):
                found = self.builtin(value)
                if found is not None and not self.unit.resolution.symbols[binding].is_assigned:
                    self.copies[binding] = found
        return super().rewrite_local(node)


class _Survey(_Reader):
    """Counts mentions by function."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit, _exposed_libraries(unit))
        self.mentions: dict[_Builtin, _Mentions] = {}

    def _mention(self, node: s.Expression) -> bool:
        found = self.builtin(node)
        if found is None:
            return False
        mentions = self.mentions.setdefault(found, _Mentions())
        mentions.count += 1
        mentions.functions.add(self.current)
        return True

    def rewrite_name(self, node: s.Name) -> s.Expression:
        self._mention(node)
        return node

    def rewrite_index_name(self, node: s.IndexName) -> s.Expression:
        return node if self._mention(node) else super().rewrite_index_name(node)


class _Capturer(_Reader):
    def __init__(self, unit: Unit, captured: dict[_Builtin, s.Binding], survey: _Survey) -> None:
        super().__init__(unit, survey.exposed)
        self._captured = captured
        self.copies = survey.copies
        self._is_spelling = False
        """Inside a value that has two spellings."""

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        outer, self._is_spelling = (
            self._is_spelling,
            self._is_spelling or (spellings(node) is not None and not is_turn(node)),
        )
        super().rewrite_if_expression(node)
        self._is_spelling = outer
        return node

    def _local(self, node: s.Name | s.IndexName) -> s.Expression | None:
        found = self.builtin(node)
        if found is None or found not in self._captured:
            return None
        if not self._is_spelling:
            return s.Name(self._captured[found].name, node.line)
        # What two spellings differ in may be a builtin's name, and a variable's is lost when all are given others.
        library, member = found
        name = s.Name(library, node.line)
        return name if member is None else s.IndexName(name, member, node.line)

    def rewrite_name(self, node: s.Name) -> s.Expression:
        return self._local(node) or node

    def rewrite_index_name(self, node: s.IndexName) -> s.Expression:
        return self._local(node) or super().rewrite_index_name(node)

    def rewrite_local(self, node: s.Local) -> Replacement:
        kept = [
            (binding, value)
            for binding, value in zip(node.bindings, node.values, strict=False)
            if self.copies.get(binding) not in self._captured
        ]
        if len(node.bindings) != len(node.values) or len(kept) == len(node.bindings):
            return super().rewrite_local(node)
        if not kept:
            return None
        node.bindings, node.values = [binding for binding, _ in kept], [value for _, value in kept]
        return super().rewrite_local(node)


def _exposed_libraries(unit: Unit) -> set[str]:
    """The libraries that the script does anything with but read their members."""
    libraries = {library for library, _ in library_members(unit.target)}
    finder = _LibraryUses()
    finder.chunk(unit.chunk)
    return {
        library
        for library in libraries
        if any(node not in finder.read for node in unit.resolution.globals.get(library, ()))
    }


class _LibraryUses(Rewriter):
    """Collects the names of which only a member is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[s.Expression] = set()

    def rewrite_index_name(self, node: s.IndexName) -> s.Expression:
        self.read.add(node.object)
        return super().rewrite_index_name(node)

    def _written(self, target: s.Expression) -> None:
        if isinstance(target, s.IndexName | s.Index):
            self.read.discard(target.object)

    def rewrite_assign(self, node: s.Assign) -> Replacement:
        super().rewrite_assign(node)
        for target in node.targets:
            self._written(target)
        return node

    def rewrite_compound_assign(self, node: s.CompoundAssign) -> Replacement:
        super().rewrite_compound_assign(node)
        self._written(node.target)
        return node

    def rewrite_function_declaration(self, node: s.FunctionDeclaration) -> Replacement:
        super().rewrite_function_declaration(node)
        self._written(node.target)
        return node


def _chosen(unit: Unit, mentions: dict[_Builtin, _Mentions]) -> dict[_Builtin, s.Binding]:
    """The most mentioned builtins that all their functions can capture, as many as the script's top level has room for."""
    rooms = Rooms(unit)
    spare = min(_MOST_CAPTURED, rooms.spare_locals(None) - _RESERVED_LOCALS)
    chosen: dict[_Builtin, s.Binding] = {}
    for found, one in sorted(mentions.items(), key=lambda item: (-item[1].count, item[0][0], item[0][1] or "")):
        if len(chosen) >= spare:
            break
        if all(rooms.spare_upvalues(function, None) > 0 for function in one.functions):
            rooms.take_upvalues(one.functions, None)
            chosen[found] = unit.new_binding(unit.chunk.body.line)
    return chosen


def _declare(unit: Unit, captured: dict[_Builtin, s.Binding]) -> None:
    line = unit.chunk.body.line
    order = list(captured.items())
    unit.random(KEY).shuffle(order)
    values: list[s.Expression] = []
    for (name, member), _ in order:
        value = s.Name(name, line)
        values.append(value if member is None else s.IndexName(value, member, line))
    bindings = [binding for _, binding in order]
    statements: list[s.Statement] = []
    # One statement needs all its registers at once.
    for start in range(0, len(order), _PER_STATEMENT):
        part = slice(start, start + _PER_STATEMENT)
        statements.append(s.Local(bindings[part], values[part], is_const=False, is_exported=False, line=line))
    unit.chunk.body.body[:0] = statements


_PER_STATEMENT = 12
