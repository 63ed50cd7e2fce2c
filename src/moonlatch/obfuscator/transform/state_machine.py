"""Cuts a block into states and writes them as a loop that finds the state to run next in a decision tree.

Every state runs at most once, because loops of the script are not taken apart: so a local that several states use can
be declared in front of them all and still is a fresh variable each time the block is entered.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from moonlatch.obfuscator.analysis.scopes import Frame
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from moonlatch.obfuscator.transform.witness import whole_number

_MOST_CLAUSES = 6
# State numbers are short and never large enough to look like constants of the script.
_STATE_NUMBERS = range(10, 1000)
MOST_STATES = 120


@dataclass(slots=True, eq=False)
class State:
    """Statements, then either the end, one next state, or a condition that chooses between two."""

    code: list[s.Statement] = field(default_factory=list)
    condition: s.Expression | None = None
    targets: tuple[State | None, ...] = ()
    is_final: bool = False
    left: list[s.Binding] = field(default_factory=list)
    """The locals of branches that were left when it begins."""


class Cutter:
    """Cuts blocks into states; `run_length` says how many plain statements a state has at most.

    Branches become states of their own only if it `cuts_branches`.
    """

    def __init__(self, generator: random.Random, run_length: int, *, cuts_branches: bool = True) -> None:
        self.states: list[State] = []
        self._generator = generator
        self._run_length = run_length
        self._cuts_branches = cuts_branches

    def cut(self, body: list[s.Statement], following: State | None) -> State:
        """The first state of the statements, of which the last goes on with `following`; None leaves the block."""
        first = current = self._new_state()
        room = self._draw_room()
        for index, statement in enumerate(body):
            if self._cuts_branches and isinstance(statement, s.If) and is_cuttable(statement):
                is_last = index == len(body) - 1
                joined = following if is_last else self._new_state()
                self._cut_if(statement, current, joined)
                if is_last:
                    return first
                assert joined is not None
                current, room = joined, self._draw_room()
                continue
            if room <= 0:
                following_run = self._new_state()
                current.targets = (following_run,)
                current, room = following_run, self._draw_room()
            current.code.append(statement)
            current.is_final = isinstance(statement, s.Return)
            room -= 1
        if not current.is_final:
            current.targets = (following,)
        return first

    def _cut_if(self, statement: s.If, current: State, joined: State | None) -> None:
        for index, (condition, block) in enumerate(statement.clauses):
            then = self.cut(block.body, joined)
            _note_left(block, joined)
            is_last = index == len(statement.clauses) - 1
            otherwise: State | None = joined
            if not is_last:
                otherwise = self._new_state()
            elif statement.otherwise is not None:
                otherwise = self.cut(statement.otherwise.body, joined)
                _note_left(statement.otherwise, joined)
            current.condition, current.targets = condition, (then, otherwise)
            if otherwise is not None and not is_last:
                current = otherwise

    def _new_state(self) -> State:
        state = State()
        self.states.append(state)
        return state

    def _draw_room(self) -> int:
        return self._generator.randint(1, self._run_length)


def _note_left(branch: s.Block, joined: State | None) -> None:
    if joined is not None:
        joined.left += [binding for statement in branch.body for binding in declared_by(statement)]


def is_cuttable(statement: s.If) -> bool:
    """True for an `if` whose branches can become states: none leaves the loop around it."""
    if len(statement.clauses) > _MOST_CLAUSES:
        return False
    blocks = [block for _, block in statement.clauses]
    if statement.otherwise is not None:
        blocks.append(statement.otherwise)
    return not any(leaves_loop(block) for block in blocks)


def leaves_loop(block: s.Block) -> bool:
    """True when a `break` or `continue` in the block belongs to a loop around it."""
    for statement in block.body:
        match statement:
            case s.Break() | s.Continue():
                return True
            case s.Do():
                if leaves_loop(statement.body):
                    return True
            case s.If():
                if any(leaves_loop(inner) for _, inner in statement.clauses):
                    return True
                if statement.otherwise is not None and leaves_loop(statement.otherwise):
                    return True
            case _:
                pass
    return False


# Locals


class _Names(Rewriter):
    """Collects the names of the variables that a piece of code mentions; of a function, those that it captures."""

    def __init__(self, frames: Mapping[s.Function | None, Frame]) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._frames = frames

    def rewrite_name(self, node: s.Name) -> s.Expression:
        self.found.add(node.name)
        return node

    def function(self, function: s.Function) -> None:
        self.found.update(symbol.binding.name for symbol in self._frames[function].upvalues)


def shared_locals(states: list[State], frames: Mapping[s.Function | None, Frame]) -> list[s.Binding]:
    """The locals that are declared in one state and used in another. Names must be unique; `frames` are the functions'."""
    declared: dict[str, tuple[State, s.Binding]] = {}
    for state in states:
        for statement in state.code:
            for binding in declared_by(statement):
                declared[binding.name] = (state, binding)
    shared: dict[s.Binding, None] = {}
    for state in states:
        names = _Names(frames)
        names.block(s.Block(state.code, 0))
        if state.condition is not None:
            names.expression(state.condition)
        for name in sorted(names.found & declared.keys()):
            home, binding = declared[name]
            if home is not state:
                shared[binding] = None
    # All variables of one statement go together.
    for state in states:
        for statement in state.code:
            bindings = declared_by(statement)
            if not shared.keys().isdisjoint(bindings):
                shared.update(dict.fromkeys(bindings))
    return list(shared)


def declared_by(statement: s.Statement) -> list[s.Binding]:
    if isinstance(statement, s.Local):
        return statement.bindings
    return [statement.binding] if isinstance(statement, s.LocalFunction) else []


def with_assignments(code: list[s.Statement], shared: set[s.Binding]) -> list[s.Statement]:
    """The code with the declarations of `shared` variables turned into assignments."""
    out: list[s.Statement] = []
    for statement in code:
        if isinstance(statement, s.Local) and not shared.isdisjoint(statement.bindings):
            if statement.values:
                targets: list[s.Expression] = [s.Name(one.name, statement.line) for one in statement.bindings]
                out.append(s.Assign(targets, statement.values, statement.line))
        elif isinstance(statement, s.LocalFunction) and statement.binding in shared:
            target = s.Name(statement.binding.name, statement.line)
            out.append(s.Assign([target], [statement.function], statement.line))
        else:
            out.append(statement)
    return out


def release(names: Sequence[s.Binding], line: int) -> s.Assign:
    """Lets go of what variables hold whose block was left."""
    targets: list[s.Expression] = [s.Name(one.name, line) for one in names]
    return s.Assign(targets, [s.Nil(line)], line)


# Writing it down


class MachineWriter:
    """Writes states as statements that keep the number of the next one in `variable`."""

    def __init__(self, variable: s.Binding, generator: random.Random) -> None:
        self._variable = variable
        self._generator = generator
        self._line = variable.line
        self._numbers: dict[State, int] = {}

    def write(self, states: list[State]) -> tuple[s.Local, s.While]:
        """The declaration of the variable, and the loop. The first state is where it begins."""
        chosen = self._generator.sample(_STATE_NUMBERS, len(states))
        self._numbers = dict(zip(states, chosen, strict=True))
        line = self._line
        start = whole_number(self._numbers[states[0]], line)
        declaration = s.Local([self._variable], [start], is_const=False, is_exported=False, line=line)
        ordered = sorted(states, key=self._numbers.__getitem__)
        return declaration, s.While(s.TrueValue(line), s.Block(self._tree(ordered), line), line)

    def _tree(self, states: list[State]) -> list[s.Statement]:
        if len(states) == 1:
            return self._leaf(states[0])
        middle = len(states) // 2
        if len(states) > 2:
            middle = self._generator.randint(max(1, middle - 1), min(len(states) - 1, middle + 1))
        line, generator = self._line, self._generator
        boundary = generator.randint(self._numbers[states[middle - 1]] + 1, self._numbers[states[middle]])
        low, high = s.Block(self._tree(states[:middle]), line), s.Block(self._tree(states[middle:]), line)
        variable, number = self._read(), whole_number(boundary, line)
        if generator.random() < 0.5:
            return [s.If([(s.Binary("<", variable, number, line), low)], high, line)]
        return [s.If([(s.Binary(">=", variable, number, line), high)], low, line)]

    def _leaf(self, state: State) -> list[s.Statement]:
        line = self._line
        if state.is_final:
            return state.code
        if state.condition is None:
            return [*state.code, *self._go(state, state.targets[0])]
        then, otherwise = state.targets
        if then is not None and otherwise is not None and self._generator.random() < 0.5:
            # Numbers are true, so that this never takes the second one by mistake.
            one = s.Binary("and", state.condition, whole_number(self._numbers[then], line), line)
            value = s.Binary("or", one, whole_number(self._numbers[otherwise], line), line)
            return [*state.code, s.Assign([self._read()], [value], line)]
        choice = s.If(
            [(state.condition, s.Block(self._go(state, then), line))], s.Block(self._go(state, otherwise), line), line
        )
        return [*state.code, choice]

    def _go(self, state: State, target: State | None) -> list[s.Statement]:
        line = self._line
        if target is None:
            return [s.Break(line)]
        value: s.Expression
        if self._generator.random() < 0.3:
            value = whole_number(self._numbers[target], line)
        else:
            distance = self._numbers[target] - self._numbers[state]
            value = s.Binary("+" if distance > 0 else "-", self._read(), whole_number(abs(distance), line), line)
        return [s.Assign([self._read()], [value], line)]

    def _read(self) -> s.Name:
        return s.Name(self._variable.name, self._line)
