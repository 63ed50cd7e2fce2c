"""One function's registers, locals and captured variables as Luau's compiler hands them out, with its limits."""

from __future__ import annotations

from moonlatch.obfuscator.syntax import tree
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.syntax.places import column_of
from moonlatch.obfuscator.syntax.tree import Binding, Node

MAX_REGISTERS = 255
MAX_LOCALS = 200
MAX_UPVALUES = 200
MAX_CLOSURES = 32768


class RegisterFrame:
    """The function being compiled. Of several faults in one function only the first counts, as the compiler stops there."""

    def __init__(self) -> None:
        self.top = 0
        self.locals = 0
        self.upvalues: dict[Binding, None] = {}
        self.closures = 0
        self.fault: Diagnostic | None = None

    def fail(self, line: int, message: str) -> None:
        if self.fault is None:
            self.fault = Diagnostic(int(line), column_of(line), message)

    def allocate(self, count: int, node: Node) -> int:
        """Takes the next `count` registers for a node; answers the first."""
        first = self.top
        self.top += count
        if self.top > MAX_REGISTERS and self.fault is None:
            self.fail(
                first_line(node),
                f"Out of registers when trying to allocate {count} registers: exceeded limit {MAX_REGISTERS}",
            )
        return first

    def add_local(self, binding: Binding) -> None:
        if self.locals >= MAX_LOCALS:
            self.fail(
                binding.line,
                f"Out of local registers when trying to allocate {binding.name}: exceeded limit {MAX_LOCALS}",
            )
        self.locals += 1

    def capture(self, binding: Binding) -> None:
        if binding in self.upvalues:
            return
        if len(self.upvalues) >= MAX_UPVALUES:
            self.fail(
                binding.line,
                f"Out of upvalue registers when trying to allocate {binding.name}: exceeded limit {MAX_UPVALUES}",
            )
        self.upvalues[binding] = None

    def add_closure(self, line: int) -> None:
        self.closures += 1
        if self.closures > MAX_CLOSURES:
            self.fail(line, "Exceeded closure limit; simplify the code to compile")


def first_line(value: Node) -> int:
    """The line a node begins on, which `line` is not for calls, indexing and operators."""
    while True:
        match value:
            case tree.Call():
                value = value.function
            case tree.MethodCall() | tree.IndexName() | tree.Index():
                value = value.object
            case tree.Binary():
                value = value.left
            case tree.TypeAssertion() | tree.Instantiation():
                value = value.value
            case tree.Function(attributes=[first, *_]):
                return first.line
            case _:
                return value.line
