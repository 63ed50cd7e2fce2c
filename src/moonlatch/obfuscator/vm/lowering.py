"""Compiles a function to instructions: its statements but for the loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from moonlatch.obfuscator import syntax as s
from moonlatch.obfuscator.vm.code import HOLE, Label
from moonlatch.obfuscator.vm.loops import LoopLowering
from moonlatch.obfuscator.vm.texts import WIDEST_LIST, Built, bare, is_multiple


class FunctionLowering(LoopLowering):
    """Compiles one function's body."""

    def lower(self, body: s.Block, parameters: Sequence[s.Binding]) -> None:
        """Fills the proto's code."""
        for parameter in parameters:
            self.declare(parameter)
        if self.proto.takes_any_number and parameters:
            self._fill_registers([self.registers[parameter] for parameter in parameters], ("...", []))
        for parameter in parameters:
            if self.variables.is_cell(parameter):
                self.put_into_cell(self.registers[parameter])
        self.statements(body)
        self.emit("return", [], falls_through=False)

    # Blocks

    def statements(self, block: s.Block) -> None:
        for statement in block.body:
            self._statements[type(statement)](self, statement)
            self.forget_temporaries()

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
        text, operands = self.joined(values) if values else ("nil", [])
        self.forget_temporaries()
        registers = [self.declare(binding) for binding in node.bindings]
        self._fill_registers(registers, (text, operands))
        for binding, register in zip(node.bindings, registers, strict=True):
            if self.variables.is_cell(binding):
                self.put_into_cell(register)

    def _fill_registers(self, registers: Sequence[int], values: Built) -> None:
        """Give neighbouring registers the values of a list."""
        text, operands = values
        if len(registers) <= WIDEST_LIST:
            self.emit(",".join(self.register_text for _ in registers) + "=" + text, [*registers, *operands])
            return
        table, place = self.names.value, self.names.local(0)
        self.emit(
            f"local {table}={{{text}}}for {place}=1,{HOLE} do {self.names.registers}[{place}+{HOLE}]={table}[{place}]end",
            [*operands, len(registers), registers[0] - 1],
        )

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
        self.emit(
            f"local {name}={{{table}}}local {self.names.value}={make}{name}[{HOLE}]={self.names.value} {here}={self.names.value}",
            [*held, *made, place, register],
        )

    def _function_declaration(self, node: s.FunctionDeclaration) -> None:
        self._store(node.target, node.function)

    def _assign(self, node: s.Assign) -> None:
        if len(node.targets) == 1 and len(node.values) == 1:
            self._store(node.targets[0], node.values[0])
            return
        places = [part for target in node.targets for part in _parts(target)]
        keeps_last = len(node.values) <= len(node.targets)
        built = self.operands([*places, *node.values], multiple_last=keeps_last)
        rest = iter(built)
        targets = [self.target_text(target, [next(rest) for _ in _parts(target)]) for target in node.targets]
        left, left_operands = self.joined(targets)
        right, right_operands = self.joined(list(rest))
        self.emit(f"{left}={right}", [*left_operands, *right_operands])

    def _store(self, target: s.Expression, value: s.Expression) -> None:
        parts = _parts(target)
        late = [part for part in parts if self.is_own_cell(part)]
        if late and not all(part in late or self.is_pure(part) for part in [*parts, value]):
            # Luau reads a captured local that it indexes, or indexes with, only when it stores.
            early = {part: self.settled(part) for part in [*parts, value] if part not in late}
            built = [early[part] if part in early else self.value(part) for part in parts]
            self._emit_store(self.target_text(target, built), early[value])
            return
        *built, content = self.operands([*parts, value])
        self._emit_store(self.target_text(target, built), content)

    def _emit_store(self, target: Built, content: Built) -> None:
        if target != content:
            self.emit(f"{target[0]}={content[0]}", [*target[1], *content[1]])

    def _compound_assign(self, node: s.CompoundAssign) -> None:
        target, value = node.target, node.value
        late = self.is_own_cell(target) and node.operator != ".."
        if late and not self.is_pure(value):
            text, operands = self.settled(value)
            place, held = self.target_text(target, [])
            self.emit(f"{place} {node.operator}={text}", [*held, *operands])
            return
        parts = _parts(target)
        if all(self.is_inline(part) for part in [*parts, value]):
            place, held = self.target_text(target, [self.value(part) for part in parts])
            text, operands = self.value(value)
            self.emit(f"{place} {node.operator}={text}", [*held, *operands])
            return
        place, held = self.target_text(target, [self.settled(part) for part in parts])
        if isinstance(target, s.Name) and self.is_pure(target):
            text, operands = self.value(value)
            self.emit(f"{place} {node.operator}={text}", [*held, *operands])
            return
        before = self.temporary()
        self.emit(f"{self.register_text}={place}", [before, *held])
        text, operands = self.value(value)
        self.emit(f"{place}={self.register_text} {node.operator} ({text})", [*held, before, *operands])

    def _call_statement(self, node: s.CallStatement) -> None:
        text, operands = self.value(node.call)
        # A text that begins with a parenthesis would go on with the statement before it.
        self.emit(";" + text if text.startswith("(") else text, operands)

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
        s.Assign: _assign,
        s.CompoundAssign: _compound_assign,
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


def _parts(target: s.Expression) -> list[s.Expression]:
    """The expressions that a target is reached through."""
    if isinstance(target, s.Index):
        return [target.object, target.key]
    return [target.object] if isinstance(target, s.IndexName) else []
