"""Turns the statements of a block into the states of a machine: a loop around a decision tree over a state number.

Loops stay loops, so that hot ones run at full speed; the body of a loop becomes a machine only where it has another loop
inside. What a function does between them, and every `if` there, is taken apart. What probably runs often, because it is
in a loop or because a loop calls it, gets so few states that they cost little beside the work in them, often none.
"""

from __future__ import annotations

from moonlatch.obfuscator.analysis.capacity import Capacity
from moonlatch.obfuscator.analysis.nesting import height
from moonlatch.obfuscator.preparation.first_arguments import is_first_read
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter
from moonlatch.obfuscator.transform.rooms import Rooms
from moonlatch.obfuscator.transform.state_machine import (
    MOST_STATES,
    Cutter,
    MachineWriter,
    State,
    is_cuttable,
    leaves_loop,
    release,
    shared_locals,
    with_assignments,
)
from moonlatch.obfuscator.transform.unit import Unit

KEY = "flatten_control_flow"
_FEWEST_STATES = 3
# What a machine adds to the nesting of what is in it; Lua 5.1 allows 200 levels in all, Luau more.
_DEEPEST_SOURCE = 90
_MACHINE_DEPTH = 10
_MOST_DEPTH = 150
# How many nodes of the tree code that runs often has for each state, counting those in a loop several times.
_WORK_PER_STATE = 40
_LOOP_WEIGHT = 8
_LOOPS = (s.While, s.Repeat, s.NumericFor, s.GenericFor)


def run(unit: Unit) -> None:
    """Blocks that are too short, too deep, or in a function without room for their locals, stay as they are."""
    unit.make_names_unique()
    flattener = _Flattener(unit)
    flattener.whole_chunk()
    unit.resolve_anew()


class _Flattener(Rewriter):
    def __init__(self, unit: Unit) -> None:
        super().__init__(unit.sealed)
        self._unit = unit
        self._generator = unit.random(KEY)
        self._rooms = Rooms(unit)
        self._symbols = unit.resolution.symbols
        self._capacity = Capacity(unit.resolution, unit.target)
        self._function: s.Function | None = None
        self._depth = 0
        self._loops = 0

    def whole_chunk(self) -> None:
        chunk = self._unit.chunk
        self._depth = height(chunk.body)
        if self._depth <= _DEEPEST_SOURCE:
            self._flatten(chunk.body)

    def function(self, function: s.Function) -> None:
        outer, self._function = self._function, function
        self._flatten(function.body)
        self._function = outer

    def _flatten(self, block: s.Block) -> None:
        """Makes the block a machine if it can be one, and then what is inside it."""
        cutter = self._machine(block)
        if cutter is None:
            self.block(block)
            return
        self._depth += _MACHINE_DEPTH
        self.block(block)
        self._depth -= _MACHINE_DEPTH

    def _machine(self, block: s.Block) -> Cutter | None:
        if self._depth + _MACHINE_DEPTH > _MOST_DEPTH or not _is_worth_it(block) or leaves_loop(block):
            return None
        if self._rooms.is_crowded(self._function) or any(not self._can_move(one) for one in block.body):
            return None
        first, rest = self._constants_first(block.body)
        cutter = self._cut(rest, _run_length(block))
        if cutter is None:
            return None
        states = cutter.states
        shared = shared_locals(states, self._rooms.frames)
        if len(shared) + 1 > self._rooms.spare_locals(self._function):
            return None
        self._rooms.take_locals(self._function, len(shared) + 1)
        self._write(block, first, states, shared)
        return cutter

    def _cut(self, body: list[s.Statement], run_length: int) -> Cutter | None:
        most = MOST_STATES
        if self._loops > 0 or self._function in self._unit.hot:
            most = min(most, _work_in(body) // _WORK_PER_STATE)
            if most < _FEWEST_STATES:
                return None
        cutter = Cutter(self._generator, run_length)
        cutter.cut(body, None)
        if len(cutter.states) > most and most < MOST_STATES:
            # Runs are half as long as they may be, on average: about as many states as there may be.
            cutter = Cutter(self._generator, max(run_length, -(-2 * len(body) // most)), cuts_branches=False)
            cutter.cut(body, None)
        return cutter if _FEWEST_STATES <= len(cutter.states) <= MOST_STATES else None

    def _write(self, block: s.Block, first: list[s.Statement], states: list[State], shared: list[s.Binding]) -> None:
        line = block.line
        moved = set(shared)
        for state in states:
            # A closure goes on with its variable when the block is left.
            dead = [one for one in state.left if one in moved and not self._symbols[one].is_captured]
            state.code = with_assignments(state.code, moved)
            if dead:
                state.code.insert(0, release(dead, line))
        variable = self._unit.new_binding(line)
        declaration, loop = MachineWriter(variable, self._generator).write(states)
        self._unit.machines.add(loop)
        body = [*first, declaration, loop]
        if shared:
            self._generator.shuffle(shared)
            body.insert(0, s.Local(shared, [], is_const=False, is_exported=False, line=line))
        block.body = body

    def _constants_first(self, body: list[s.Statement]) -> tuple[list[s.Statement], list[s.Statement]]:
        """Locals that have to be declared in front of the machine, and the rest.

        They are those that the compiler knows the values of, which it does only if they are declared with them, and
        what reads `...` at the top of a function.
        """
        first: list[s.Statement] = []
        rest: list[s.Statement] = []
        has_done_nothing = True
        for statement in body:
            if not rest and is_first_read(statement):
                first.append(statement)
                continue
            if isinstance(statement, s.Local) and not any(self._symbols[one].is_assigned for one in statement.bindings):
                is_at_top = has_done_nothing and all(map(_is_library_read, statement.values))
                if statement.values and (is_at_top or all(map(_is_literal, statement.values))):
                    first.append(statement)
                    continue
            has_done_nothing = has_done_nothing and self._does_nothing(statement)
            rest.append(statement)
        return first, rest

    def _does_nothing(self, statement: s.Statement) -> bool:
        """True for what cannot change a library: declarations, and a witness that grows."""
        match statement:
            case s.Local():
                return all(map(_is_library_read, statement.values))
            case s.LocalFunction():
                return True
            case s.Assign(targets=[s.Name(name=name)]):
                witness = self._unit.witness
                return witness is not None and witness.binding.name == name
            case _:
                return False

    def _can_move(self, statement: s.Statement) -> bool:
        """False for what only compiles, or is only seen by others, where it is."""
        if isinstance(statement, s.Local):
            return not statement.is_exported and not self._capacity.needs_constant(statement)
        if isinstance(statement, s.LocalFunction):
            return not statement.is_exported
        if isinstance(statement, s.If) and is_cuttable(statement):
            blocks = [block for _, block in statement.clauses] + ([statement.otherwise] if statement.otherwise else [])
            return all(self._can_move(one) for block in blocks for one in block.body)
        return True

    # Blocks inside

    def rewrite_do(self, node: s.Do) -> Replacement:
        self._flatten(node.body)
        return node

    def rewrite_while(self, node: s.While) -> Replacement:
        if node in self._unit.machines:
            return super().rewrite_while(node)
        node.condition = self.expression(node.condition)
        self._loop_body(node.body)
        return node

    def rewrite_numeric_for(self, node: s.NumericFor) -> Replacement:
        body, node.body = node.body, s.Block([], node.line)
        super().rewrite_numeric_for(node)
        node.body = body
        self._loop_body(body)
        return node

    def rewrite_generic_for(self, node: s.GenericFor) -> Replacement:
        node.values = self.expressions(node.values)
        self._loop_body(node.body)
        return node

    def rewrite_repeat(self, node: s.Repeat) -> Replacement:
        self._loops += 1
        super().rewrite_repeat(node)
        self._loops -= 1
        return node

    def _loop_body(self, body: s.Block) -> None:
        self._loops += 1
        if any(isinstance(one, _LOOPS) for one in body.body):
            self._flatten(body)
        else:
            self.block(body)
        self._loops -= 1


class _Work(Rewriter):
    """Counts nodes, those in loops several times, those in functions not at all: they run some other time."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._weight = 1

    def expression(self, node: s.Expression) -> s.Expression:
        self.count += self._weight
        return super().expression(node)

    def statement(self, node: s.Statement) -> Replacement:
        self.count += self._weight
        is_loop = isinstance(node, _LOOPS)
        self._weight *= _LOOP_WEIGHT if is_loop else 1
        super().statement(node)
        self._weight //= _LOOP_WEIGHT if is_loop else 1
        return node

    def function(self, function: s.Function) -> None:
        del function


def _work_in(body: list[s.Statement]) -> int:
    """How much code runs, about, when these statements do: in nodes of the tree."""
    work = _Work()
    work.block(s.Block(body, 0))
    return work.count


def _is_literal(node: s.Expression) -> bool:
    return isinstance(node, s.Number | s.String | s.TrueValue | s.FalseValue | s.Nil)


def _is_library_read(node: s.Expression) -> bool:
    if isinstance(node, s.IndexName):
        node = node.object
    return _is_literal(node) or (isinstance(node, s.Name) and node.binding is None)


def _is_worth_it(block: s.Block) -> bool:
    return len(block.body) > 1 or any(isinstance(one, s.If) for one in block.body)


def _run_length(block: s.Block) -> int:
    """Short runs where a block has a loop, whose time is spent there; otherwise fewer steps, as it may be called often."""
    has_loop = any(isinstance(one, _LOOPS) for one in block.body)
    return max(2 if has_loop else 3, len(block.body) // 40)
