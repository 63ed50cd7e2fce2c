"""Enciphers strings and telling numbers into several stores, each use under a key of its own, with no table of them all.

Code that runs once asks a store on the spot. A function keeps its constants in variables around it, filled when it is
first called; a loop, in locals before it. So a constant costs no more than a variable wherever code is hot.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from moonlatch.obfuscator.analysis.capacity import Capacity, needs_own_function
from moonlatch.obfuscator.passes.encrypt_numbers import is_telling
from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import is_turn, spellings
from moonlatch.obfuscator.syntax.parser import parse_written
from moonlatch.obfuscator.syntax.rewriter import AnyLoop, AroundLoops, InFunctions, Replacement, Rewriter
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.enclosure import enclose
from moonlatch.obfuscator.transform.interpolation import format_call
from moonlatch.obfuscator.transform.keyed_store import KeyedStore
from moonlatch.obfuscator.transform.phrasing import phrase
from moonlatch.obfuscator.transform.rooms import Rooms
from moonlatch.obfuscator.transform.unit import Unit

KEY = "keyed_constants"
_MOST_STORES = 4
_FEW_LOCALS = 40
# Each store needs at most two variables in a function, and a call two registers.
_RESERVED_UPVALUES = 2 * _MOST_STORES + 2
_MOST_HELD = {Target.LUAU: 60, Target.LUA51: 40}
# So many locals the top level of a script keeps for itself before holders get blocks of their own.
_SPARE_AT_LEAST = 50
_LOOP_WEIGHT = 8
_PER_STATEMENT = 8
_Constant = tuple[bytes, bool]


def run(unit: Unit) -> None:
    """Constants in a function without room for a store stay as they are, with a warning."""
    unit.make_names_unique()
    main = unit.resolution.main
    generator = unit.random(KEY)
    count = _MOST_STORES if len(unit.resolution.symbols) > _FEW_LOCALS else 2
    line = unit.chunk.body.line
    stores = [
        KeyedStore(unit.new_binding(line), unit.new_binding(line), random.Random(generator.random()))
        for _ in range(count)
    ]
    _Interpolations(unit).chunk(unit.chunk)
    _Keeper(unit, stores, generator).chunk(unit.chunk)
    used = [store for store in stores if len(store)]
    if not used:
        return
    if needs_own_function(main):
        enclose(unit.chunk, uses_varargs=main.uses_varargs)
    for store in used:
        declarations = parse_written(store.source(unit.target, unit.marks, unit.run)).body.body
        phrase(declarations, [store.decode.name], f"{unit.new_binding(line).name}q", generator)
        _seal(unit, declarations)
        unit.chunk.body.body[:0] = declarations
    unit.resolve_anew()


def _seal(unit: Unit, statements: list[s.Statement]) -> None:
    for statement in statements:
        if isinstance(statement, s.Local):
            value = statement.values[0]
            if isinstance(value, s.Call) and isinstance(value.function, s.Group):
                made = value.function.value
                if isinstance(made, s.Function):
                    unit.sealed.add(made)


class _Interpolations(Rewriter):
    """Interpolated strings have texts too; where a function has no room they become calls all the same."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit.sealed)
        self._is_luau = unit.target is Target.LUAU

    def rewrite_interpolated_string(self, node: s.InterpolatedString) -> s.Expression:
        super().rewrite_interpolated_string(node)
        return format_call(node) if self._is_luau else node


# What a function or a loop has in it


@dataclass(slots=True)
class _Use:
    weight: int = 0
    functions: set[s.Function | None] = field(default_factory=set)


class _Census(AroundLoops, InFunctions):
    """Weighs the constants of a piece of code: what is in a loop counts more."""

    def __init__(self, unit: Unit, capacity: Capacity, function: s.Function | None) -> None:
        super().__init__(unit.sealed)
        self.machines = unit.machines
        self.uses: dict[_Constant, _Use] = {}
        self._unit = unit
        self._capacity = capacity
        self._weight = 1
        self.current = function

    def _use(self, constant: _Constant) -> None:
        use = self.uses.setdefault(constant, _Use())
        use.weight += self._weight
        use.functions.add(self.current)

    def rewrite_local(self, node: s.Local) -> Replacement:
        return (
            _local_without_constants(self, node) if self._capacity.needs_constant(node) else super().rewrite_local(node)
        )

    def rewrite_string(self, node: s.String) -> s.Expression:
        if node.value:
            self._use((node.value, False))
        return node

    def rewrite_number(self, node: s.Number) -> s.Expression:
        if is_telling(node):
            self._use(_number(node, self._unit.target))
        return node

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        is_kept = spellings(node) is not None and not is_turn(node)
        return node if is_kept else super().rewrite_if_expression(node)

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        self._weight *= _LOOP_WEIGHT
        rewrite(node)
        self._weight //= _LOOP_WEIGHT
        return node


def _number(node: s.Number, target: Target) -> _Constant:
    return spelling.number(node.value, node.text, target).encode("ascii"), True


def _local_without_constants(rewriter: Rewriter, node: s.Local) -> s.Local:
    node.values = [rewriter.expression(value) if isinstance(value, s.Function) else value for value in node.values]
    return node


# Moving them out


@dataclass(slots=True)
class _Holders:
    """The variables that hold the constants of one function or loop."""

    store: KeyedStore
    held: dict[_Constant, s.Binding]


class _Keeper(AroundLoops):
    def __init__(self, unit: Unit, stores: list[KeyedStore], generator: random.Random) -> None:
        super().__init__(unit.sealed)
        self.machines = unit.machines
        self._unit = unit
        self._stores = stores
        self._generator = generator
        self._capacity = Capacity(unit.resolution, unit.target)
        self._rooms = Rooms(unit, _RESERVED_UPVALUES)
        self._function: s.Function | None = None
        self._has_room = self._is_roomy(None)
        self._holders: _Holders | None = None
        self._undeclared: list[s.Binding] = []
        self._is_fixed = False
        self._is_spelling = False
        """Inside a value that has two spellings."""

    def _is_roomy(self, function: s.Function | None) -> bool:
        return self._capacity.has_room(function) and self._rooms.spare_upvalues(function, None) > 2 - _RESERVED_UPVALUES

    # Constants

    def rewrite_string(self, node: s.String) -> s.Expression:
        return self._replacement((node.value, False), node) if node.value else node

    def rewrite_number(self, node: s.Number) -> s.Expression:
        return self._replacement(_number(node, self._unit.target), node) if is_telling(node) else node

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        if spellings(node) is None or is_turn(node):
            return super().rewrite_if_expression(node)
        outer, self._is_spelling = self._is_spelling, True
        super().rewrite_if_expression(node)
        self._is_spelling = outer
        return node

    def _replacement(self, constant: _Constant, node: s.String | s.Number) -> s.Expression:
        if not self._has_room:
            return node
        holders, line = self._holders, node.line
        if holders is None:
            return self._decoded(self._generator.choice(self._stores), constant, line)
        # By the number that it is asked for with, two spellings are told apart when all variables have other names.
        if constant in holders.held and not self._is_spelling:
            return s.Name(holders.held[constant].name, line)
        store = holders.store
        store.is_cached = True
        return s.Index(s.Name(store.cache.name, line), self._reference(store, constant, line), line)

    def _decoded(self, store: KeyedStore, constant: _Constant, line: int) -> s.Expression:
        return s.Call(s.Name(store.decode.name, line), [self._reference(store, constant, line)], line)

    def _reference(self, store: KeyedStore, constant: _Constant, line: int) -> s.Number:
        text, is_number = constant
        return store.reference(text, is_number=is_number, line=line)

    def rewrite_local(self, node: s.Local) -> Replacement:
        if self._capacity.needs_constant(node):
            return _local_without_constants(self, node)
        return super().rewrite_local(node)

    # Functions

    def rewrite_call(self, node: s.Call) -> s.Expression:
        called = node.function.value if isinstance(node.function, s.Group) else node.function
        if self._holders is None and isinstance(called, s.Function) and called not in self._sealed:
            # It runs here and now, so that it is code like that around it.
            self._inside(called, lambda: super(_Keeper, self).function(called))
            node.arguments = self.expressions(node.arguments)
            return node
        return super().rewrite_call(node)

    def function(self, function: s.Function) -> None:
        self._inside(function, lambda: self._held_or_not(function))

    def _inside(self, function: s.Function, rewrite: Callable[[], None]) -> None:
        outer = self._function, self._has_room
        self._function, self._has_room = function, self._is_roomy(function)
        if outer[1] and not self._has_room:
            self._unit.warnings.append(
                f"line {function.line}: this function is too close to the compiler's limits; its strings stay readable"
            )
        rewrite()
        self._function, self._has_room = outer

    def _held_or_not(self, function: s.Function) -> None:
        if self._holders is not None or not self._has_room:
            super().function(function)
            return
        around = self._rooms.path(function, None)[1:]
        owner = around[0] if around else None
        census = _Census(self._unit, self._capacity, None)
        census.function(function)
        holders = self._chosen(census, owner, function)
        self._holders = holders
        super().function(function)
        self._holders = None
        if holders.held:
            self._undeclared += holders.held.values()
            function.body.body.insert(0, self._filling(holders, function.line))

    def _chosen(self, census: _Census, owner: s.Function | None, function: s.Function | None) -> _Holders:
        """Variables of `owner` for the weightiest constants; `function`, if one, fills them, otherwise they are filled at once."""
        rooms = self._rooms
        holders = _Holders(self._generator.choice(self._stores), {})
        spare = min(_MOST_HELD[self._unit.target], rooms.spare_locals(owner) - len(self._undeclared))
        ordered = sorted(census.uses.items(), key=lambda item: -item[1].weight)
        for constant, use in ordered:
            if len(holders.held) >= spare or self._is_fixed:
                break
            functions = use.functions | {function} if function is not None else use.functions
            if all(rooms.spare_upvalues(one, owner) > 0 for one in functions):
                rooms.take_upvalues(functions, owner)
                holders.held[constant] = self._unit.new_binding(self._unit.chunk.body.line)
        return holders

    def _filling(self, holders: _Holders, line: int) -> s.If:
        """Fills the variables the first time; the one that is asked about is among the last."""
        order = list(holders.held.items())
        self._generator.shuffle(order)
        statements: list[s.Statement] = []
        for start in range(0, len(order), _PER_STATEMENT):
            part = order[start : start + _PER_STATEMENT]
            targets: list[s.Expression] = [s.Name(binding.name, line) for _, binding in part]
            values = [self._decoded(holders.store, constant, line) for constant, _ in part]
            statements.append(s.Assign(targets, values, line))
        empty = s.Unary("not", s.Name(order[-1][1].name, line), line)
        return s.If([(empty, s.Block(statements, line))], None, line)

    # Loops

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        """The loop, within a block that decodes its constants first when it has any."""
        if self._holders is not None or not self._has_room:
            return rewrite(node)
        census = _Census(self._unit, self._capacity, self._function)
        census.statement(node)
        holders = self._chosen(census, self._function, None)
        self._holders = holders
        rewrite(node)
        self._holders = None
        if not holders.held:
            return node
        statements: list[s.Statement] = []
        order = list(holders.held.items())
        self._generator.shuffle(order)
        for start in range(0, len(order), _PER_STATEMENT):
            part = order[start : start + _PER_STATEMENT]
            values = [self._decoded(holders.store, constant, node.line) for constant, _ in part]
            bindings = [binding for _, binding in part]
            statements.append(s.Local(bindings, values, is_const=False, is_exported=False, line=node.line))
        return s.Do(s.Block([*statements, node], node.line), node.line)

    # Where the variables are declared

    def block(self, block: s.Block) -> None:
        if self._holders is not None:
            super().block(block)
            return
        body: list[s.Statement] = []
        for statement in block.body:
            outer = self._undeclared, self._is_fixed
            self._undeclared = []
            self._is_fixed = isinstance(statement, s.Local | s.LocalFunction) and statement.is_exported
            replacement = self.statement(statement)
            assert isinstance(replacement, s.Statement)
            body += self._declared(replacement)
            self._undeclared, self._is_fixed = outer
        block.body = body

    def _declared(self, statement: s.Statement) -> list[s.Statement]:
        """The statement, with the variables of the functions in it declared before it."""
        if not self._undeclared:
            return [statement]
        line = statement.line
        holders = s.Local(self._undeclared, [], is_const=False, is_exported=False, line=line)
        if not isinstance(statement, s.Local | s.LocalFunction):
            return [s.Do(s.Block([holders, statement], line), line)]
        if self._rooms.spare_locals(self._function) - len(self._undeclared) >= _SPARE_AT_LEAST:
            self._rooms.take_locals(self._function, len(self._undeclared))
            return [holders, statement]
        bindings = statement.bindings if isinstance(statement, s.Local) else [statement.binding]
        values = statement.values if isinstance(statement, s.Local) else [statement.function]
        targets: list[s.Expression] = [s.Name(binding.name, line) for binding in bindings]
        filled: list[s.Statement] = [holders, s.Assign(targets, list(values), line)]
        return [
            s.Local(bindings, [], is_const=False, is_exported=False, line=line),
            s.Do(s.Block(filled, line), line),
        ]
