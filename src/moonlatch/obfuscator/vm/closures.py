"""What one compiled function holds and captures, and the texts that make closures of other functions in it."""

from __future__ import annotations

from collections.abc import Sequence

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.vm.code import HOLE, REGISTER, Operand, Proto
from moonlatch.obfuscator.vm.names import Names
from moonlatch.obfuscator.vm.program import Program
from moonlatch.obfuscator.vm.variables import Variables

Built = tuple[str, list[Operand]]
"""The text of an operation, and what fills its holes."""


class Closures:
    """The variables of one function, by where they are."""

    def __init__(self, program: Program, proto: Proto) -> None:
        self.program = program
        self.proto = proto
        self.variables: Variables = program.variables
        self.names: Names = program.names
        self.registers: dict[s.Binding, int] = {}
        self.register_text = f"{self.names.registers}[{REGISTER}]"
        self.upvalue_text = f"{self.names.upvalues}[{HOLE}]"
        captures = self.variables.captures(proto.function)
        self.captured = {binding: place for place, binding in enumerate(captures, 1)}

    def is_native(self, function: s.Function) -> bool:
        return function in self.program.native

    def closure(self, function: s.Function) -> Built:
        captures = self.variables.captures(function)
        table, operands = self.capture_list(captures)
        if self.is_native(function):
            place = self.program.native_place(function, captures)
            return self._in_environment(f"{self.names.natives}[{HOLE}]({table})"), [place, *operands]
        if function in self.program.shared:
            kept, known = self.kept_closure(function)
            make, made = self.make_closure(function, f"{{{table}}}")
            return f"({kept}or {make})", [*known, *made, *operands]
        make, made = self.make_closure(function, f"{{{table}}}")
        return make, [*made, *operands]

    def kept_closure(self, function: s.Function) -> Built:
        """The one closure of a shared function, once there is one and the host keeps it."""
        return f"{HOLE}[2]", [self.program.proto(function)]

    def make_closure(self, function: s.Function, captures: str) -> Built:
        proto = self.program.proto(function)
        machine = self.names.machine(proto.machine)
        if function in self.program.shared:
            self.program.has_shared_closures = True
            return f"{self.names.shared}({HOLE},{machine},{captures})", [proto]
        return self._in_environment(f"{machine}({HOLE},{captures})"), [proto]

    def _in_environment(self, closure: str) -> str:
        """A closure that has the environment of the function that makes it, not of the machine."""
        return f"({self.names.inherit}({closure}))" if self.program.sets_environments else closure

    def capture_list(self, captures: Sequence[s.Binding], without: s.Binding | None = None) -> Built:
        """What a closure takes along: values, and cells as they are."""
        texts: list[str] = []
        operands: list[Operand] = []
        for binding in captures:
            if binding is without:
                texts.append("nil")
            elif binding in self.captured:
                texts.append(self.upvalue_text)
                operands.append(self.captured[binding])
            else:
                texts.append(self.register_text)
                operands.append(self.registers.get(binding, 0))
        return ",".join(texts), operands
