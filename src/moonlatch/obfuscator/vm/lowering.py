"""Compiles a function to instructions: its statements but for the loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.vm.assignments import AssignmentLowering
from moonlatch.obfuscator.vm.code import HOLE, LINE, MOST_PARAMETERS, Label
from moonlatch.obfuscator.vm.loops import LoopLowering
from moonlatch.obfuscator.vm.texts import bare, is_multiple

_WITH_BLOCKS = (s.Do, s.If, s.While, s.Repeat, s.NumericFor, s.GenericFor)


class FunctionLowering(LoopLowering, AssignmentLowering):
    """Compiles one function's body."""

    def lower(self, body: s.Block, parameters: Sequence[s.Binding]) -> None:
        """Fills the proto's code."""
        for parameter in parameters:
            self.declare(parameter)
        if self.proto.takes_any_number:
            # The machine puts those that it keeps into the first registers.
            self.first_arguments(1, min(len(parameters), MOST_PARAMETERS))
            others = [self.registers[parameter] for parameter in parameters[MOST_PARAMETERS:]]
            if others:
                self.fill_registers(others, self.joined(self.first_arguments(MOST_PARAMETERS + 1, len(others))))
        for parameter in parameters:
            if self.variables.is_cell(parameter):
                self.put_into_cell(self.registers[parameter])
        self.statements(body)
        self.emit("return", [], falls_through=False)
        self.proto.registers = self.highest

    # Blocks

    def statements(self, block: s.Block) -> None:
        line = self.line
        for statement in block.body:
            before = self.begin_statement()
            self.line = statement.line
            self._statements[type(statement)](self, statement)
            # What stands around the block does it for the last one, or comes round again. In a loop the next temporaries,
            # which are few there, take the place of those before.
            is_last = statement is block.body[-1]
            self.end_statement(before, clears=not is_last and (self.is_cold or isinstance(statement, _WITH_BLOCKS)))
        self.line = line

    def block(self, block: s.Block) -> None:
        mark = self.enter_scope()
        self.statements(block)
        self.leave_scope(mark)

    # Statements

    def _nothing(self, _: s.Statement) -> None:
        pass

    def _local(self, node: s.Local) -> None:
        if len(node.bindings) == 1 and len(node.values) <= 1:
            self._single_local(node.bindings[0], node.values[0] if node.values else None)
            return
        values = self.operands(node.values, multiple_last=len(node.values) <= len(node.bindings))
        if values:
            values = self.for_targets(values, bare(node.values[-1]), len(node.bindings))
        text, operands = self.joined(values) if values else ("nil", [])
        self.forget_temporaries()
        registers = [self.declare(binding) for binding in node.bindings]
        self.fill_registers(registers, (text, operands))
        for binding, register in zip(node.bindings, registers, strict=True):
            if self.variables.is_cell(binding):
                self.put_into_cell(register)

    def _single_local(self, binding: s.Binding, value: s.Expression | None) -> None:
        is_cell = self.variables.is_cell(binding)
        if value is None:
            self.emit(f"{self.register_text}={'{}' if is_cell else 'nil'}", [self.declare(binding)])
            return
        text, operands = self.value(value)
        self.forget_temporaries()
        register = self.declare(binding)
        if is_cell:
            inner = f"({text})" if is_multiple(value) else text
            self.emit(f"{self.register_text}={{{inner}}}", [register, *operands])
        elif text != self.register_text or operands != [register]:
            self.emit(f"{self.register_text}={text}", [register, *operands])

    def _local_function(self, node: s.LocalFunction) -> None:
        register = self.declare(node.binding)
        here = self.register_text
        if self.variables.is_cell(node.binding):
            self.emit(f"{here}={{}}", [register])
            text, operands = self.closure(node.function)
            self.emit(f"{here}[1]={text}", [register, *operands])
            return
        captures = self.variables.captures(node.function)
        if node.binding not in captures or self.is_native(node.function):
            text, operands = self.closure(node.function)
            self.emit(f"{here}={text}", [register, *operands])
            return
        name = self.names.captures
        table, held = self.capture_list(captures, without=node.binding)
        make, made = self.make_closure(node.function, name)
        place = captures.index(node.binding) + 1
        value = self.names.value
        make_it = f"local {name}={{{table}}}{value}={make}{name}[{HOLE}]={value}"
        if node.function in self.program.shared:
            kept, known = self.kept_closure(node.function)
            text = f"local {value}={kept} if not {value} then {make_it} end {here}={value}"
            self.emit(text, [*known, *held, *made, place, register])
            return
        self.emit(f"local {value} {make_it} {here}={value}", [*held, *made, place, register])

    def _function_declaration(self, node: s.FunctionDeclaration) -> None:
        self.store(node.target, node.function)

    def _call_statement(self, node: s.CallStatement) -> None:
        text, operands = self.value(node.call)
        # A text that begins with a parenthesis would go on with the statement before it.
        self.emit(";" + text if text.lstrip(LINE).startswith("(") else text, operands)

    def _do(self, node: s.Do) -> None:
        self.block(node.body)

    def _return(self, node: s.Return) -> None:
        values = self.operands(node.values, multiple_last=True)
        text, operands = self.listed(values, bare(node.values[-1]) if node.values else None)
        self.emit(f"return {text}", operands, falls_through=False)

    # Branches

    def _if(self, node: s.If) -> None:
        end = Label()
        for position, (condition, block) in enumerate(node.clauses):
            then, otherwise = Label(), Label()
            self.branch(condition, then, otherwise)
            self.forget_temporaries()
            self.place(then)
            self.block(block)
            is_last = position == len(node.clauses) - 1 and node.otherwise is None
            if not is_last:
                self.jump(end)
            self.place(otherwise)
        if node.otherwise is not None:
            self.block(node.otherwise)
        self.place(end)

    def _break(self, _: s.Break) -> None:
        self.jump(self.loops[-1][1])

    def _continue(self, _: s.Continue) -> None:
        self.jump(self.loops[-1][0])

    _statements: ClassVar[dict[type[s.Statement], Callable[..., None]]] = {
        s.Local: _local,
        s.LocalFunction: _local_function,
        s.FunctionDeclaration: _function_declaration,
        s.Assign: AssignmentLowering.assign,
        s.CompoundAssign: AssignmentLowering.compound_assign,
        s.CallStatement: _call_statement,
        s.Do: _do,
        s.While: LoopLowering.while_loop,
        s.Repeat: LoopLowering.repeat_loop,
        s.NumericFor: LoopLowering.numeric_for,
        s.GenericFor: LoopLowering.generic_for,
        s.If: _if,
        s.Return: _return,
        s.Break: _break,
        s.Continue: _continue,
        s.TypeAlias: _nothing,
        s.TypeFunction: _nothing,
    }
