"""Compiles loops."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from moonlatch.obfuscator.analysis.dialect import is_function_everywhere
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.vm.closures import Built
from moonlatch.obfuscator.vm.code import HIDDEN, HOLE, Label, Operand
from moonlatch.obfuscator.vm.expressions import ExpressionLowering
from moonlatch.obfuscator.vm.texts import bare


@dataclass(frozen=True, slots=True)
class _Counting:
    """Where a numeric loop keeps its counter, limit and step (None when it was left out), and where it goes."""

    counter: int
    limit: int
    step: int | None
    body: Label
    end: Label


class LoopLowering(ExpressionLowering):
    """Compiles the loops of one function."""

    @abstractmethod
    def statements(self, block: s.Block) -> None:
        """Compile statements, in the scope that is open."""

    def _loop_body(self, block: s.Block, again: Label, end: Label) -> None:
        self.loops.append((again, end))
        self.statements(block)
        self.loops.pop()

    def while_loop(self, node: s.While) -> None:
        head, body, end = Label(), Label(), Label()
        self.depth += 1
        self.place(head)
        self.branch(node.condition, body, end)
        self.forget_temporaries()
        self.place(body)
        mark = self.enter_scope()
        self._loop_body(node.body, head, end)
        self.leave_scope(mark)
        self.jump(head)
        self.depth -= 1
        self.place(end)

    def repeat_loop(self, node: s.Repeat) -> None:
        head, test, end = Label(), Label(), Label()
        self.depth += 1
        self.place(head)
        mark = self.enter_scope()
        self._loop_body(node.body, test, end)
        self.place(test)
        self.branch(node.condition, end, head)
        self.leave_scope(mark)
        self.depth -= 1
        self.place(end)

    def numeric_for(self, node: s.NumericFor) -> None:
        bounds = [node.start, node.limit, *([node.step] if node.step is not None else [])]
        text, operands = self.joined(self.operands(bounds))
        mark = self.enter_scope()
        symbol = self.variables.symbol(node.binding)
        counter, limit = self.hidden_local(), self.hidden_local()
        step = self.hidden_local() if node.step is not None else None
        loop = _Counting(counter, limit, step, body=Label(), end=Label())
        again = Label()
        self._enter_numeric_for((text, operands), loop)
        self.depth += 1
        self.place(loop.body)
        inner = self.enter_scope()
        if not symbol.is_assigned:
            self.registers[node.binding] = counter
        elif self.variables.is_cell(node.binding):
            self.emit(f"{self.register_text}={{{self.register_text}}}", [self.declare(node.binding), counter])
        else:
            self.emit(f"{self.register_text}={self.register_text}", [self.declare(node.binding), counter])
        self._loop_body(node.body, again, loop.end)
        self.leave_scope(inner)
        self.place(again)
        self._next_number(node.step, loop)
        self.depth -= 1
        self.place(loop.end)
        self.leave_scope(mark)

    def _enter_numeric_for(self, bounds: Built, loop: _Counting) -> None:
        """A real `for` that ends at once checks and converts the bounds, with the messages of a real one."""
        here, value, node = self.register_text, self.names.value, self.names.node
        first, last, by, now = (self.names.local(number) for number in range(4))
        text, operands = bounds
        is_entered = value
        if self.target is not Target.LUAU:
            # The compiler of LuaJIT up to 2022, and of 2.0, enters a loop from or to NaN, which its interpreter does not.
            is_entered = f"({value}=={value} and {last}=={last} or {self.names.enters_nan}) and {value}"
        names, keep_step = f"{first},{last}", ""
        kept: list[Operand] = [loop.counter, loop.limit]
        if loop.step is not None:
            names, keep_step = f"{names},{by}", f"{here}={by}+0 "
            kept.append(loop.step)
        self.emit(
            f"local {names}={text} local {value} for {now}={names} do {value}={now} break end "
            f"if {is_entered} then {here}={value} {here}={last}+0 {keep_step}{node}={HOLE} else {node}={HOLE} end",
            [*operands, *kept, loop.body, loop.end],
            falls_through=False,
        )

    def _next_number(self, step: s.Expression | None, loop: _Counting) -> None:
        here, value, node = self.register_text, self.names.value, self.names.node
        known = 1.0 if step is None else _known_number(step)
        operands: list[Operand]
        if loop.step is None:
            text, operands = f"local {value}={here}+1 if {value}<={here} ", [loop.counter, loop.limit]
        elif known is not None and known != 0 and not math.isnan(known):
            sign = "<=" if known > 0 else ">="
            text = f"local {value}={here}+{here} if {value}{sign}{here} "
            operands = [loop.counter, loop.step, loop.limit]
        else:
            by = self.names.local(0)
            text = (
                f"local {by}={here} local {value}={here}+{by} "
                f"if {by}>0 and {value}<={here} or not({by}>0)and {here}<={value} "
            )
            operands = [loop.step, loop.counter, loop.limit, loop.limit]
        self.emit(
            f"{text}then {here}={value} {node}={HOLE} else {node}={HOLE} end",
            [*operands, loop.counter, loop.body, loop.end],
            falls_through=False,
        )

    def generic_for(self, node: s.GenericFor) -> None:
        values = self.operands(node.values, multiple_last=len(node.values) <= 3)
        text, operands = self.joined(self.for_targets(values, bare(node.values[-1]), 3))
        self.forget_temporaries()
        mark = self.enter_scope()
        here = self.register_text
        function, state, control = (self.hidden_local() for _ in range(3))
        three = [function, state, control]
        self.emit(f"{here},{here},{here}={text}", [*three, *operands])
        program = self.program
        if not (program.loops_take_functions or is_function_everywhere(node.values, self.variables.resolution)):
            program.has_generic_loops = True
            self.emit(
                f"if {self.names.type_of}({here})~={HIDDEN} then {here},{here},{here}={self.names.iterate}({here},{here},{here})"
                f"if {here}==false then for {self.names.local(0)} in {here} do end end end",
                [function, Constant(b"function", is_number=False), *three, *three, function, state],
            )
        body, again, end = Label(), Label(), Label()
        self.depth += 1
        self.place(again)
        inner = self.enter_scope()
        self._next_values(node.bindings, (function, state, control), body, end)
        self.place(body)
        for binding in node.bindings:
            if self.variables.is_cell(binding):
                self.put_into_cell(self.registers[binding])
        self._loop_body(node.body, again, end)
        self.leave_scope(inner)
        self.jump(again)
        self.depth -= 1
        self.place(end)
        self.leave_scope(mark)

    def _next_values(
        self, bindings: Sequence[s.Binding], source: tuple[int, int, int], body: Label, end: Label
    ) -> None:
        here, node = self.register_text, self.names.node
        function, state, control = source
        locals_ = [self.names.local(number) for number in range(len(bindings))]
        stores: list[str] = []
        operands: list[Operand] = [function, state, control]
        if self.variables.symbol(bindings[0]).is_assigned:
            stores.append(f"{here}={locals_[0]} ")
            operands.append(control)
        else:
            self.registers[bindings[0]] = control
        for name, binding in zip(locals_, bindings, strict=True):
            register = self.registers.get(binding)
            stores.append(f"{here}={name} ")
            operands.append(self.declare(binding) if register is None else register)
        self.emit(
            f"local {','.join(locals_)}={here}({here},{here})if {locals_[0]}~=nil then "
            f"{''.join(stores)}{node}={HOLE} else {node}={HOLE} end",
            [*operands, body, end],
            falls_through=False,
        )

    def put_into_cell(self, register: int) -> None:
        self.emit(f"{self.register_text}={{{self.register_text}}}", [register, register])


def _known_number(node: s.Expression) -> float | None:
    inner = unwrapped(node)
    if isinstance(inner, s.Unary) and inner.operator == "-":
        value = _known_number(inner.operand)
        return None if value is None else -value
    return inner.value if isinstance(inner, s.Number) else None
