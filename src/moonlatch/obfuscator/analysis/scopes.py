"""Finds out which variable every name refers to: bind, resolve, count. It changes nothing but `Name.binding`.

A scope is a block with the names declared in it; a function is a frame with a limited number of locals and upvalues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from moonlatch.obfuscator.syntax import tree as s

_DECLARATIONS = (s.Local, s.LocalFunction)
_HIDDEN_LOOP_LOCALS = 3
# A table constructor writes its positional items out in groups: 16 in Luau, 50 in Lua 5.1.
_ITEMS_HELD = 50


@dataclass(slots=True, eq=False)
class Frame:
    """One function, or the chunk itself (`node` is None and `parent` is None).

    `max_locals` and `peak` are upper bounds: the locals alive at once (with the three hidden ones of a loop), and those
    plus the values an expression holds on to while its later parts are evaluated, which is about the registers it needs.
    """

    node: s.Function | None
    parent: Frame | None
    uses_varargs: bool = False
    upvalues: set[Symbol] = field(default_factory=set)
    max_locals: int = 0
    active_locals: int = 0
    peak: int = 0


@dataclass(slots=True, eq=False)
class Scope:
    """A block that declares something. `free` are the symbols used in it (or deeper) but declared outside; `globals` the global names likewise."""

    parent: Scope | None
    frame: Frame
    symbols: list[Symbol] = field(default_factory=list)
    free: set[Symbol] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Symbol:
    """One local variable. `declared` and `last_use` are positions in reading order: between them the name is needed.

    `function` is the one that declares it, None the chunk. It refers to no scope and no frame, which refer to it: so a
    resolution makes no cycle, and is gone as soon as nobody needs it.
    """

    binding: s.Binding
    function: s.Function | None
    declared: int
    last_use: int
    is_exported: bool = False
    is_assigned: bool = False
    is_captured: bool = False
    references: list[s.Name] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Resolution:
    """What `resolve` found. `scopes` are in reading order, every parent before its children; every function has one."""

    scopes: list[Scope]
    frames: list[Frame]
    symbols: dict[s.Binding, Symbol]
    globals: dict[str, list[s.Name]]
    assigned_globals: dict[str, list[s.Name]]
    methods: list[s.FunctionDeclaration] = field(default_factory=list)

    @property
    def main(self) -> Frame:
        return self.frames[0]

    def fresh_name(self, wanted: str) -> str:
        """`wanted`, made longer until no variable of the script has a name that begins like that."""
        used = {binding.name for binding in self.symbols} | self.globals.keys()
        while any(name.startswith(wanted) for name in used):
            wanted += "_"
        return wanted


def resolve(chunk: s.Chunk) -> Resolution:
    """Sets `binding` of every `Name` in the chunk and returns the scopes, frames, symbols and globals."""
    resolver = _Resolver()
    resolver.chunk(chunk)
    return resolver.resolution


class _Resolver:
    def __init__(self) -> None:
        self.resolution = Resolution([], [], {}, {}, {})
        self._visible: dict[str, list[tuple[Symbol, Scope]]] = {}
        self._position = 0
        self._pending = 0
        self._frame = Frame(None, None)
        self._scope = Scope(None, self._frame)

    def chunk(self, chunk: s.Chunk) -> None:
        self.resolution.frames.append(self._frame)
        self.resolution.scopes.append(self._scope)
        self._statements(chunk.body)

    # Scopes and symbols

    def _open(self) -> Scope:
        scope = Scope(self._scope, self._frame)
        self.resolution.scopes.append(scope)
        self._scope = scope
        return scope

    def _close(self) -> None:
        scope = self._scope
        visible = self._visible
        for symbol in scope.symbols:
            visible[symbol.binding.name].pop()
        scope.frame.active_locals -= len(scope.symbols)
        assert scope.parent is not None
        self._scope = scope.parent

    def _declare(self, binding: s.Binding, is_exported: bool = False) -> None:
        self._position += 1
        scope, frame = self._scope, self._frame
        symbol = Symbol(binding, frame.node, self._position, self._position, is_exported)
        scope.symbols.append(symbol)
        self.resolution.symbols[binding] = symbol
        self._visible.setdefault(binding.name, []).append((symbol, scope))
        frame.active_locals += 1
        frame.max_locals = max(frame.max_locals, frame.active_locals)
        self._measure(0)

    def _name(self, node: s.Name) -> None:
        self._position += 1
        stack = self._visible.get(node.name)
        if not stack:
            self._global(node)
            return
        symbol, home = stack[-1]
        node.binding = symbol.binding
        symbol.references.append(node)
        symbol.last_use = self._position
        scope: Scope | None = self._scope
        if scope is home:
            return
        while scope is not home and scope is not None and symbol not in scope.free:
            scope.free.add(symbol)
            scope = scope.parent
        frame: Frame | None = self._frame
        if frame is not home.frame:
            symbol.is_captured = True
            while frame is not home.frame and frame is not None and symbol not in frame.upvalues:
                frame.upvalues.add(symbol)
                frame = frame.parent

    def _global(self, node: s.Name) -> None:
        node.binding = None
        self.resolution.globals.setdefault(node.name, []).append(node)
        scope: Scope | None = self._scope
        while scope is not None and node.name not in scope.globals:
            scope.globals.add(node.name)
            scope = scope.parent

    def _assigned(self, node: s.Expression) -> None:
        if not isinstance(node, s.Name):
            return
        if node.binding is None:
            self.resolution.assigned_globals.setdefault(node.name, []).append(node)
        else:
            self.resolution.symbols[node.binding].is_assigned = True

    # Expressions

    def _leaf(self, node: s.Node) -> None:
        pass

    def _varargs(self, _: s.Varargs) -> None:
        self._frame.uses_varargs = True

    def _all(self, nodes: list[s.Expression], held: int = 0) -> None:
        """Visits expressions of which each is held on to while the next ones are evaluated, like `held` values before them."""
        visit = self._inner.get
        pending = self._pending
        for place, node in enumerate(nodes, pending + held):
            inner = visit(type(node))
            if inner is not None:
                self._pending = place
                inner(self, node)
        self._pending = pending
        self._measure(held + len(nodes))

    def _measure(self, held: int) -> None:
        frame = self._frame
        needed = frame.active_locals + self._pending + held
        if needed > frame.peak:  # noqa: PLR1730 -- asked at most nodes, where a call costs
            frame.peak = needed

    def _interpolated(self, node: s.InterpolatedString) -> None:
        self._all(node.values)

    def _value(self, node: s.Group | s.Instantiation | s.TypeAssertion) -> None:
        self._visit[type(node.value)](self, node.value)

    def _index_name(self, node: s.IndexName) -> None:
        self._visit[type(node.object)](self, node.object)

    def _index(self, node: s.Index) -> None:
        self._visit[type(node.object)](self, node.object)
        self._pending += 1
        inner = self._inner.get(type(node.key))
        if inner is not None:
            inner(self, node.key)
        self._measure(1)
        self._pending -= 1

    def _call(self, node: s.Call) -> None:
        self._visit[type(node.function)](self, node.function)
        self._all(node.arguments, 1)

    def _method_call(self, node: s.MethodCall) -> None:
        self._visit[type(node.object)](self, node.object)
        self._all(node.arguments, 2)

    def _unary(self, node: s.Unary) -> None:
        self._visit[type(node.operand)](self, node.operand)

    def _binary(self, node: s.Binary) -> None:
        visit = self._inner.get
        inner = visit(type(node.left))
        if inner is not None:
            inner(self, node.left)
        self._pending += 1
        inner = visit(type(node.right))
        if inner is not None:
            inner(self, node.right)
        self._measure(0)
        self._pending -= 1

    def _if_expression(self, node: s.IfExpression) -> None:
        for condition, value in node.clauses:
            self._visit[type(condition)](self, condition)
            self._visit[type(value)](self, value)
        self._visit[type(node.otherwise)](self, node.otherwise)

    def _table(self, node: s.Table) -> None:
        visit = self._visit
        held = 1 + min(_ITEMS_HELD, len(node.items))
        self._pending += held
        for item in node.items:
            if isinstance(item, s.KeyedItem):
                visit[type(item.key)](self, item.key)
                visit[type(item.value)](self, item.value)
            else:
                visit[type(item.value)](self, item.value)
        self._measure(0)
        self._pending -= held

    def _function(self, node: s.Function) -> None:
        outer, pending = self._frame, self._pending
        self._frame, self._pending = Frame(node, outer), 0
        self.resolution.frames.append(self._frame)
        self._open()
        for parameter in node.parameters:
            self._declare(parameter)
        self._statements(node.body)
        self._close()
        self._frame, self._pending = outer, pending

    # Statements

    def _statements(self, block: s.Block) -> None:
        visit = self._visit
        for statement in block.body:
            visit[type(statement)](self, statement)

    def _block(self, block: s.Block) -> None:
        for statement in block.body:
            if type(statement) in _DECLARATIONS:
                self._open()
                self._statements(block)
                self._close()
                return
        self._statements(block)

    def _local(self, node: s.Local) -> None:
        self._all(node.values)
        for binding in node.bindings:
            self._declare(binding, node.is_exported)

    def _local_function(self, node: s.LocalFunction) -> None:
        self._declare(node.binding, node.is_exported)
        self._function(node.function)

    def _function_declaration(self, node: s.FunctionDeclaration) -> None:
        self._visit[type(node.target)](self, node.target)
        self._assigned(node.target)
        if node.is_method:
            self.resolution.methods.append(node)
        self._function(node.function)

    def _assign(self, node: s.Assign) -> None:
        self._all(node.targets)
        self._all(node.values)
        for target in node.targets:
            self._assigned(target)

    def _compound_assign(self, node: s.CompoundAssign) -> None:
        self._visit[type(node.target)](self, node.target)
        self._visit[type(node.value)](self, node.value)
        self._assigned(node.target)

    def _call_statement(self, node: s.CallStatement) -> None:
        self._visit[type(node.call)](self, node.call)

    def _do(self, node: s.Do) -> None:
        self._block(node.body)

    def _while(self, node: s.While) -> None:
        self._visit[type(node.condition)](self, node.condition)
        self._block(node.body)

    def _repeat(self, node: s.Repeat) -> None:
        self._open()
        self._statements(node.body)
        self._visit[type(node.condition)](self, node.condition)
        self._close()

    def _numeric_for(self, node: s.NumericFor) -> None:
        self._visit[type(node.start)](self, node.start)
        self._visit[type(node.limit)](self, node.limit)
        if node.step is not None:
            self._visit[type(node.step)](self, node.step)
        self._loop([node.binding], node.body)

    def _generic_for(self, node: s.GenericFor) -> None:
        self._all(node.values)
        self._loop(node.bindings, node.body)

    def _loop(self, bindings: list[s.Binding], body: s.Block) -> None:
        frame = self._frame
        frame.active_locals += _HIDDEN_LOOP_LOCALS
        self._open()
        for binding in bindings:
            self._declare(binding)
        self._statements(body)
        self._close()
        frame.active_locals -= _HIDDEN_LOOP_LOCALS

    def _if(self, node: s.If) -> None:
        for condition, block in node.clauses:
            self._visit[type(condition)](self, condition)
            self._block(block)
        if node.otherwise is not None:
            self._block(node.otherwise)

    def _return(self, node: s.Return) -> None:
        self._all(node.values)

    _inner: ClassVar[dict[type[s.Node], Callable[[Any, Any], None]]] = {
        s.Varargs: _varargs,
        s.InterpolatedString: _interpolated,
        s.Name: _name,
        s.Group: _value,
        s.Instantiation: _value,
        s.TypeAssertion: _value,
        s.IndexName: _index_name,
        s.Index: _index,
        s.Call: _call,
        s.MethodCall: _method_call,
        s.Unary: _unary,
        s.Binary: _binary,
        s.IfExpression: _if_expression,
        s.Table: _table,
        s.Function: _function,
        s.Local: _local,
        s.LocalFunction: _local_function,
        s.FunctionDeclaration: _function_declaration,
        s.Assign: _assign,
        s.CompoundAssign: _compound_assign,
        s.CallStatement: _call_statement,
        s.Do: _do,
        s.While: _while,
        s.Repeat: _repeat,
        s.NumericFor: _numeric_for,
        s.GenericFor: _generic_for,
        s.If: _if,
        s.Return: _return,
    }
    _leaves = (
        s.Nil,
        s.TrueValue,
        s.FalseValue,
        s.Choice,
        s.Number,
        s.Integer,
        s.String,
        s.Break,
        s.Continue,
        s.TypeAlias,
        s.TypeFunction,
    )
    # Half of a tree is leaves, and a call for each costs: what goes through many nodes asks `_inner`.
    _visit: ClassVar[dict[type[s.Node], Callable[[Any, Any], None]]] = dict.fromkeys(_leaves, _leaf) | _inner
