"""Which locals are in scope while a script is read, kept only for scripts in which that can make a fault of syntax."""

from __future__ import annotations

from moonlatch.obfuscator.syntax.lexer import Tokens


class LocalNames:
    """Locals in scope, by name. Two faults of syntax depend on them: assigning a constant, and a type function that looks outside."""

    def __init__(self) -> None:
        self._locals: dict[str, list[tuple[bool, int]]] = {}  # by name, innermost last: (is constant, function depth)
        self._declared: list[str] = []
        self._functions: list[int] = []
        self._type_function_depth = 0

    @classmethod
    def if_needed(cls, tokens: Tokens) -> LocalNames | None:
        """Locals for a script that has `const`, `export` or `type function` in it, None for any other."""
        vocabulary = tokens.vocabulary
        if "const" in vocabulary or "export" in vocabulary:
            return cls()
        if "type" in vocabulary and ("type", "function") in zip(tokens.texts, tokens.texts[1:], strict=False):
            return cls()
        return None

    def declare(self, name: str, *, is_const: bool = False) -> None:
        self._declared.append(name)
        self._locals.setdefault(name, []).append((is_const, len(self._functions)))

    def mark(self) -> int:
        """What `leave` takes to forget everything declared from now on."""
        return len(self._declared)

    def leave(self, mark: int) -> None:
        for name in self._declared[mark:]:
            self._locals[name].pop()
        del self._declared[mark:]

    def enter_function(self) -> None:
        self._functions.append(self.mark())

    def leave_function(self) -> None:
        self.leave(self._functions.pop())

    def enter_type_function(self) -> int:
        """Forbids the locals outside from now on; answers what `leave_type_function` takes."""
        outer = self._type_function_depth
        self._type_function_depth = len(self._functions) + 1
        return outer

    def leave_type_function(self, outer: int) -> None:
        self._type_function_depth = outer

    def is_constant(self, name: str) -> bool:
        found = self._locals.get(name)
        return found[-1][0] if found else False

    def is_out_of_reach(self, name: str) -> bool:
        found = self._locals.get(name)
        return found[-1][1] < self._type_function_depth if found else False
