"""Keeps one closure of each function that Luau makes one of, where passes have taken from Luau what it needs to see that.

Such a function is written `kept[3] or kept[1](3, function ... end)`. Whether the first closure is kept is for the host to
say: where two closures of one function are never the same, as in Lua 5.1, each stays one of its own.
"""

from __future__ import annotations

from moonlatch.obfuscator.analysis.capacity import needs_own_function
from moonlatch.obfuscator.analysis.scopes import Symbol
from moonlatch.obfuscator.analysis.sharing import shared_functions
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.parser import parse_written
from moonlatch.obfuscator.syntax.rewriter import InFunctions, Replacement, Rewriter
from moonlatch.obfuscator.transform.enclosure import enclose
from moonlatch.obfuscator.transform.rooms import Rooms
from moonlatch.obfuscator.transform.unit import Unit
from moonlatch.obfuscator.transform.witness import whole_number

_KEEPER = """
TABLE[PLACE]=(function()
    local function _make() return function() end end
    if _make()==_make() then return function(_place,_closure) TABLE[_place]=_closure return _closure end end
    return function(_place,_closure) return _closure end
end)()
"""


def keep_shared_closures(unit: Unit) -> None:
    """For when all passes but the naming of locals are done; it leaves the names resolved for that.

    What is in a function without room for one more variable stays as it is.
    """
    table: s.Binding | None = None
    places: dict[s.Function, int] = {}
    while lost := _lost(unit) - places.keys():
        if table is None:
            if needs_own_function(unit.resolution.main):
                enclose(unit.chunk, uses_varargs=unit.resolution.main.uses_varargs)
                unit.resolve_anew()
                lost = _lost(unit)
            table = unit.new_binding(unit.chunk.body.line)
        first = len(places) + 2
        places |= {function: place for place, function in enumerate(_in_order(unit, lost), first)}
        # It makes no function and moves none, and says itself which variable it assigns: the names stay resolved.
        _Keeper(unit, table, places, lost).chunk(unit.chunk)
    if table is not None:
        line = table.line
        declaration = s.Local([table], [s.Table([], line)], is_const=False, is_exported=False, line=line)
        keeper = parse_written(_KEEPER.replace("TABLE", table.name).replace("PLACE", "1"))
        unit.chunk.body.body[:0] = [declaration, *keeper.body.body]
        unit.resolve_anew()


def _in_order(unit: Unit, functions: set[s.Function]) -> list[s.Function]:
    return [frame.node for frame in unit.resolution.frames if frame.node in functions]


def _lost(unit: Unit) -> set[s.Function]:
    """The functions that Luau shared in the source, and does not in what has become of it, although that could be seen."""
    here = unit.shared.intersection(frame.node for frame in unit.resolution.frames if frame.node is not None)
    if not here:
        return here
    lost = here - shared_functions(unit.chunk, unit.resolution)
    if lost:
        finder = _OnlyCalled(unit)
        finder.chunk(unit.chunk)
        lost -= finder.found
    return lost


class _OnlyCalled(Rewriter):
    """Finds the functions that nothing can be compared with: they are called where they stand, or only ever by name."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.found: set[s.Function] = set()
        self._symbols = unit.resolution.symbols
        self._called: set[s.Expression] = set()
        self._named: list[tuple[Symbol, s.Function]] = []

    def chunk(self, chunk: s.Chunk) -> None:
        super().chunk(chunk)
        for symbol, function in self._named:
            if not symbol.is_assigned and self._called.issuperset(symbol.references):
                self.found.add(function)

    def rewrite_call(self, node: s.Call) -> s.Expression:
        called = node.function
        while isinstance(called, s.Group):
            called = called.value
        if isinstance(called, s.Function):
            self.found.add(called)
        self._called.add(called)
        return super().rewrite_call(node)

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        self._named.append((self._symbols[node.binding], node.function))
        return super().rewrite_local_function(node)


class _Keeper(InFunctions):
    def __init__(self, unit: Unit, table: s.Binding, places: dict[s.Function, int], lost: set[s.Function]) -> None:
        super().__init__(unit.sealed)
        self._table = table
        self._places = places
        self._lost = lost
        self._rooms = Rooms(unit, reserved_upvalues=0)
        self._symbols = unit.resolution.symbols

    def _can_keep(self, function: s.Function) -> bool:
        if function not in self._lost or self._rooms.spare_upvalues(self.current, None) < 1:
            return False
        self._rooms.take_upvalues([self.current], None)
        return True

    def _kept(self, function: s.Function) -> s.Expression:
        line, place = function.line, self._places[function]
        make = s.Call(self._in_table(1, line), [whole_number(place, line), function], line)
        return s.Group(s.Binary("or", self._in_table(place, line), make, line), line)

    def _in_table(self, place: int, line: int) -> s.Index:
        return s.Index(s.Name(self._table.name, line), whole_number(place, line), line)

    def rewrite_function(self, node: s.Function) -> s.Expression:
        super().rewrite_function(node)
        return self._kept(node) if self._can_keep(node) else node

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        super().rewrite_local_function(node)
        if node.is_exported or not self._can_keep(node.function):
            return node
        line, kept = node.line, self._kept(node.function)
        binding = node.binding
        names_itself = self._symbols[binding] in self._rooms.frames[node.function].upvalues
        self._symbols[binding].is_assigned |= names_itself
        values = [] if names_itself else [kept]
        local = s.Local([binding], values, is_const=False, is_exported=False, line=line)
        return [local, s.Assign([s.Name(binding.name, line)], [kept], line)] if names_itself else local

    def rewrite_function_declaration(self, node: s.FunctionDeclaration) -> Replacement:
        super().rewrite_function_declaration(node)
        if not self._can_keep(node.function):
            return node
        return s.Assign([node.target], [self._kept(node.function)], node.line)
