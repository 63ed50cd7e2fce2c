"""Texts of operations: what each kind of expression looks like once the texts of its parts are there. Decides nothing about cutting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from moonlatch.obfuscator.preparation.powers import is_kept
from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.tree import NO_LINE
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.arguments import IMPLICIT_ARGUMENTS
from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.vm.closures import Built, Closures
from moonlatch.obfuscator.vm.code import (
    HIDDEN,
    HOLE,
    LINE,
    MOST_PARAMETERS,
    ConstantList,
    Instruction,
    Jump,
    Label,
    Operand,
    Proto,
    SourceLine,
)
from moonlatch.obfuscator.vm.program import Program

_LEAVES = (s.Nil, s.TrueValue, s.FalseValue, s.Number, s.Integer, s.String, s.Name, s.Varargs)
_SHORTEST_LIST = 8
_LARGEST_PLAIN_NUMBER = 2**20
WIDEST_LIST = 60
"""Values that one operation may hold in registers of its own."""
_MOST_CLEARED_BY_NAME = 2
_LOOP_WEIGHT = 8
_DEEPEST_LOOP = 5


def is_multiple(node: s.Expression) -> bool:
    """True for what can have several values, in parentheses or not."""
    return isinstance(unwrapped(node), s.MULTIPLE)


class Texts(Closures):
    """The registers, loops and code of one function, and the texts of its expressions."""

    def __init__(self, program: Program, proto: Proto) -> None:
        super().__init__(program, proto)
        self.target: Target = program.target
        self.loops: list[tuple[Label, Label]] = []
        """Of each loop around: where `continue` and `break` go."""
        self.depth = 0
        self.line = NO_LINE
        """That of the statement which is being compiled."""
        self._locals_top = 0
        self._top = 0
        self._highest = 0
        """The highest register that the statement has used which is being compiled."""

    # Code

    def emit(self, text: str, operands: list[Operand], *, falls_through: bool = True) -> None:
        weight = _LOOP_WEIGHT ** min(self.depth, _DEEPEST_LOOP)
        self.proto.code.append(Instruction(LINE + text, [SourceLine(self.line), *operands], weight, falls_through))

    def place(self, label: Label) -> None:
        self.proto.code.append(label)

    def jump(self, label: Label) -> None:
        self.proto.code.append(Jump(label))

    @property
    def is_cold(self) -> bool:
        """Return whether what is compiled now probably runs seldom."""
        return not self.depth and self.proto.function not in self.program.hot

    # Registers

    @property
    def top(self) -> int:
        """The highest register that is in use."""
        return self._top

    @property
    def highest(self) -> int:
        """The highest register that has been in use; while a statement is being compiled, by it."""
        return self._highest

    def declare(self, binding: s.Binding) -> int:
        register = self.registers[binding] = self.hidden_local()
        return register

    def slot(self, register: str) -> str:
        """The place of a register whose number the machine computes."""
        held = f"{self.names.slots}[{register}]" if self.is_cold else register
        return f"{self.names.registers}[{held}]"

    def hidden_local(self) -> int:
        self._locals_top += 1
        self._top = self._locals_top
        self._highest = max(self._highest, self._top)
        return self._locals_top

    def temporary(self) -> int:
        self._top += 1
        self._highest = max(self._highest, self._top)
        return self._top

    def forget_temporaries(self) -> None:
        self._top = self._locals_top

    def enter_scope(self) -> int:
        self.forget_temporaries()
        return self._locals_top

    def leave_scope(self, mark: int) -> None:
        self._locals_top = self._top = mark

    def begin_statement(self) -> int:
        """Watch what the next statement uses; gives what `end_statement` takes."""
        before, self._highest = self._highest, self._locals_top
        return before

    def end_statement(self, before: int, *, clears: bool) -> None:
        """Forget the statement's temporaries, and have the machine let go of what is left in registers that nobody reads any more.

        An object there would live for as long as the function runs.
        """
        self.forget_temporaries()
        dead = range(self._locals_top + 1, self._highest + 1)
        self._highest = max(before, self._highest)
        if not clears or not dead:
            return
        if len(dead) <= _MOST_CLEARED_BY_NAME:
            self.emit(",".join(self.register_text for _ in dead) + "=nil", list(dead))
        else:
            place = self.names.local(0)
            self.emit(f"for {place}={HOLE},{HOLE} do {self.slot(place)}=nil end", [dead[0], dead[-1]])

    # What kind of expression

    def is_own_local(self, node: s.Expression) -> bool:
        """A local of this function."""
        node = bare(node)
        return isinstance(node, s.Name) and node.binding is not None and node.binding not in self.captured

    def is_own_cell(self, node: s.Expression) -> bool:
        """A captured and assigned local of this function, which calls can change while an expression is evaluated."""
        node = bare(node)
        if not isinstance(node, s.Name) or node.binding is None or not self.is_own_local(node):
            return False
        return self.variables.is_cell(node.binding)

    def is_pure(self, node: s.Expression) -> bool:
        """Has the same value whenever it is read, and reading it does nothing."""
        node = bare(node)
        if isinstance(node, s.Name):
            if node.binding is None:
                return self.program.is_library_function(node)
            return not self.variables.is_cell(node.binding)
        return self.is_leaf(node)

    def is_leaf(self, node: s.Expression) -> bool:
        node = bare(node)
        return isinstance(node, _LEAVES) or self._is_library_member(node) or is_kept(node)

    def _is_library_member(self, node: s.Expression) -> bool:
        return isinstance(node, s.IndexName) and self.program.is_library_member(node)

    # Parts

    def joined(self, parts: Sequence[Built]) -> Built:
        return ",".join(text for text, _ in parts), [operand for _, operands in parts for operand in operands]

    def target_text(self, target: s.Expression, parts: list[Built]) -> Built:
        """The text of an assignment's target, given those of its object and key."""
        if isinstance(target, s.Name):
            return self._name(target)
        if isinstance(target, s.IndexName):
            ((text, operands),) = parts
            return f"{_prefix(text)}{LINE}[{HOLE}]", [*operands, SourceLine(target.line), _text_constant(target.name)]
        (text, operands), (key, more) = parts
        return f"{_prefix(text)}{LINE}[{key}]", [*operands, SourceLine(target.line), *more]

    def _binary_text(self, node: s.Binary, parts: list[Built]) -> Built:
        (left, left_operands), (right, right_operands) = parts
        operator = f" {node.operator} "
        # Luau tells the line that the expression begins on, Lua that of the operator or what comes after it.
        lines = SourceLine(_first_line(node.left)), SourceLine(node.line), SourceLine(_first_line(node.right))
        begin, middle, end = lines
        text = f"({LINE}{left}{LINE}{operator}{LINE}{_after(operator, right)})"
        return text, [begin, *left_operands, middle, end, *right_operands]

    def _unary_text(self, node: s.Unary, parts: list[Built]) -> Built:
        ((text, operands),) = parts
        operand = bare(node.operand)
        if (
            node.operator == "-"
            and isinstance(operand, s.Number)
            and not (operand.value or operand.is_kept or operands)
        ):
            # Lua 5.1 takes the constants 0 and -0 of one function, which an interpreter is, for the same; this is negated when it runs.
            text, operands = HOLE, [self._number_constant(operand)]
        operator = "not " if node.operator == "not" else node.operator
        return f"({LINE}{operator}{_after(operator, text)})", [SourceLine(node.line), *operands]

    def _grouped(self, node: s.Expression, part: Built) -> Built:
        text, operands = part
        return (f"({text})", operands) if is_multiple(node) else part

    def listed(self, values: Sequence[Built], last: s.Expression | None) -> Built:
        """Values side by side, in a table where they are more than an operation has registers for."""
        text, operands = self.joined(values)
        if len(values) > WIDEST_LIST and not isinstance(last, s.MULTIPLE):
            return f"{self.names.unpack}({{{text}}},1,{HOLE})", [*operands, len(values)]
        return text, operands

    def _call_text(self, node: s.Call, function: Built, arguments: Sequence[Built]) -> Built:
        text, operands = self.listed(arguments, bare(node.arguments[-1]) if node.arguments else None)
        return f"{LINE}{_prefix(function[0])}({text})", [SourceLine(node.line), *function[1], *operands]

    def _method_text(self, node: s.MethodCall, subject: Built, arguments: Sequence[Built]) -> Built:
        text, operands = self.listed(arguments, bare(node.arguments[-1]) if node.arguments else None)
        return f"{_prefix(subject[0])}{LINE}:{node.name}({text})", [*subject[1], SourceLine(node.line), *operands]

    def _late_method_text(self, node: s.MethodCall, subject: Built, arguments: Sequence[Built]) -> Built:
        """A method call whose object is read when all values of its last argument are there."""
        *first, (last, last_operands) = arguments
        text, operands = self._method_text(node, subject, [*first, ("...", [])])
        return f"(function(...)return {text} end)({last})", [*operands, *last_operands]

    def _interpolated_text(self, node: s.InterpolatedString, values: Sequence[Built]) -> Built:
        """As Luau itself compiles one: a call of the text's method `format`."""
        if not values:
            return self._string(s.String(node.parts[0], node.line))
        parts = [part.replace(b"%", b"%%") for part in node.parts]
        text, operands = self._string(s.String(b"%*".join(parts), node.line))
        arguments = list(values)
        if is_multiple(node.values[-1]):
            arguments[-1] = f"({arguments[-1][0]})", arguments[-1][1]
        joined, more = self.joined(arguments)
        return f"({text}):format({joined})", [*operands, *more]

    def _if_text(self, parts: list[Built]) -> Built:
        *clauses, otherwise = parts
        text = ""
        operands: list[Operand] = []
        for place in range(0, len(clauses), 2):
            condition, value = clauses[place], clauses[place + 1]
            text += f"{'elseif' if place else 'if'} {condition[0]} then {value[0]} "
            operands += [*condition[1], *value[1]]
        return f"({text}else {otherwise[0]})", [*operands, *otherwise[1]]

    def _table_text(self, node: s.Table, parts: list[Built]) -> Built:
        constants = self._constant_list(node)
        if constants is not None:
            count = len(constants.items)
            return f"{{{self.names.unpack}({HOLE},1,{HOLE})}}", [constants, count]
        rest = iter(parts)
        texts: list[str] = []
        operands: list[Operand] = []
        for place, item in enumerate(node.items):
            if isinstance(item, s.KeyedItem):
                key, held = next(rest)
                text = f"[{key}]="
                operands += held
            elif isinstance(item, s.NamedItem):
                text = f"[{HOLE}]="
                operands.append(_text_constant(item.name))
            else:
                text = ""
            value, held = next(rest)
            is_last = place == len(node.items) - 1
            # What stood in parentheses, or is not the last item, is one value.
            if is_last and isinstance(item, s.PositionalItem) and isinstance(bare(item.value), s.Group):
                value = f"({value})"
            texts.append(text + value)
            operands += held
        return f"{{{','.join(texts)}}}", operands

    def _constant_list(self, node: s.Table) -> ConstantList | None:
        """A table that is nothing but many literals; they are kept as one operand."""
        if not _SHORTEST_LIST <= len(node.items) <= self.program.longest_list:
            return None
        constants: list[Constant] = []
        for item in node.items:
            value = bare(item.value)
            if not isinstance(item, s.PositionalItem):
                return None
            if isinstance(value, s.String):
                constants.append(Constant(value.value, is_number=False))
            elif isinstance(value, s.Number):
                constants.append(self._number_constant(value))
            else:
                return None
        return ConstantList(tuple(constants))

    # Leaves

    def _name(self, node: s.Name) -> Built:
        binding = node.binding
        if binding is None:
            return self._global(node.name), []
        cell = "[1]" if self.variables.is_cell(binding) else ""
        if binding in self.captured:
            return self.upvalue_text + cell, [self.captured[binding]]
        return self.register_text + cell, [self.registers.get(binding, 0)]

    def _global(self, name: str) -> str:
        if name == IMPLICIT_ARGUMENTS and self.target is Target.LUA51 and self.proto.takes_any_number:
            # This function's machine has `...`, and so in Lua 5.1 an `arg` of its own.
            self.program.has_global_argument = True
            return f"{self.names.argument}[1]"
        return name

    def _string(self, node: s.String) -> Built:
        hole = HOLE if self.depth else HIDDEN
        return hole, [Constant(node.value, is_number=False)]

    def _number(self, node: s.Number) -> Built:
        value = node.value
        if value in (0, 1) and node.text in ("0", "1"):
            return node.text, []
        if node.is_kept:
            return spelling.number(value, node.text, self.target), []
        if self.target is Target.LUAU and value.is_integer() and 0 <= value < _LARGEST_PLAIN_NUMBER:
            return HOLE, [int(value)]
        if value in (float("inf"), float("-inf")):
            return "1e309", []
        return HOLE, [self._number_constant(node)]

    def _number_constant(self, node: s.Number) -> Constant:
        return Constant(spelling.number(node.value, node.text, self.target).encode("ascii"), is_number=True)

    def _integer(self, node: s.Integer) -> Built:
        # In parentheses, because a minus before it would be the sign of a literal.
        return f"({node.value & 0xFFFFFFFFFFFFFFFF:#x}i)", []

    def _varargs_value(self, _: s.Varargs) -> Built:
        ((text, operands),) = self._first_varargs(1)
        return f"({text})" if operands else text, operands

    def _first_varargs(self, count: int) -> list[Built]:
        """As many of the values of `...`, those that the machine keeps a variable for and then the rest.

        Never `...` itself, cut down to some values: LuaJIT before 2.1 of July 2022 compiles that wrongly in a loop of the
        function itself, which the machine is.
        """
        return self.first_arguments(self.proto.parameters + 1, count)

    def first_arguments(self, start: int, count: int) -> list[Built]:
        """As many of the arguments that the machine was called with, from number `start` on."""
        kept = range(start, min(start + count, MOST_PARAMETERS + 1))
        built: list[Built] = [(self.names.parameter(number), []) for number in kept]
        self.program.most_kept = max(self.program.most_kept, *kept, 0)
        if len(built) < count:
            built.append((f"{self.names.select}({HOLE},...)", [start + len(built)]))
        return built

    def for_targets(self, values: list[Built], last: s.Expression | None, targets: int) -> list[Built]:
        """The values of a list that as many targets take."""
        if not isinstance(last, s.Varargs) or len(values) > targets:
            return values
        return [*values[:-1], *self._first_varargs(targets - len(values) + 1)]

    def _varargs(self) -> Built:
        if not self.proto.parameters:
            return "...", []
        return f"{self.names.select}({HOLE},...)", [self.proto.parameters + 1]

    _leaves: ClassVar[dict[type[s.Expression], Callable[..., Built]]] = {
        s.Nil: lambda _self, _node: ("nil", []),
        s.TrueValue: lambda _self, _node: ("true", []),
        s.FalseValue: lambda _self, _node: ("false", []),
        s.Number: _number,
        s.Integer: _integer,
        s.String: _string,
        s.Name: _name,
        s.Varargs: _varargs_value,
    }


def bare(node: s.Expression) -> s.Expression:
    """Without parentheses, casts and instantiations, unless they cut several values down to one."""
    while isinstance(node, s.Group | s.TypeAssertion | s.Instantiation) and not is_multiple(node):
        node = node.value
    return node


def _text_constant(name: str) -> Constant:
    return Constant(name.encode("ascii"), is_number=False)


def _first_line(node: s.Expression) -> int:
    """The line of the first token."""
    while True:
        if isinstance(node, s.IndexName | s.Index | s.MethodCall):
            node = node.object
        elif isinstance(node, s.Call):
            node = node.function
        elif isinstance(node, s.Binary):
            node = node.left
        else:
            return node.line


def _prefix(text: str) -> str:
    """Text that can be called or indexed."""
    if text in ("nil", "true", "false"):
        return f"({text})"
    first = text.lstrip(LINE)[0]
    return text if first.isalpha() or first in "_(" else f"({text})"


def _after(operator: str, text: str) -> str:
    return f" {text}" if operator == "-" and text.startswith("-") else text
