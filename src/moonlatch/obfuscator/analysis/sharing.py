"""Tells which functions Luau makes one closure of for all times, however often the script comes by: comparing them shows it."""

from __future__ import annotations

from collections.abc import Callable

from moonlatch.obfuscator.analysis.constants import UNKNOWN, Constants, is_true
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import AnyLoop, AroundLoops, InFunctions, Replacement

# With this name anywhere in a script, Luau shares nothing: whoever sets one closure's environment means that one.
_PREVENTS = "setfenv"


def shared_functions(chunk: s.Chunk, resolution: Resolution) -> set[s.Function]:
    """The functions of which Luau makes no second closure, as its compiler decides it (`shouldShareClosure`).

    None of the variables that such a function captures is ever assigned, and each is a local of the script's own top
    level, outside of loops, or holds a function of the same kind that was written before. Variables whose values Luau
    knows when it compiles are not captured.
    """
    if _PREVENTS in resolution.globals:
        return set()
    finder = _Finder(resolution)
    finder.chunk(chunk)
    return finder.shared


class _Finder(AroundLoops, InFunctions):
    """Visits what Luau compiles: branches that its constants rule out capture nothing."""

    def __init__(self, resolution: Resolution) -> None:
        super().__init__()
        self.shared: set[s.Function] = set()
        self._symbols = resolution.symbols
        self._constants = Constants()
        self._single: set[s.Binding] = set()
        self._initial: dict[s.Binding, s.Function] = {}
        self._captures: set[s.Binding] = set()
        self._loops = 0

    # Functions are decided about when all that is written before them, or inside, has been.

    def function(self, function: s.Function) -> None:
        outer = self._captures, self._loops
        self._captures, self._loops = set(), 0
        super().function(function)
        captures = self._captures
        self._captures, self._loops = outer
        if all(self._is_same_always(binding, function) for binding in captures):
            self.shared.add(function)
        # `current` is the function around, which hands down what is not its own.
        self._captures.update(one for one in captures if self._symbols[one].function is not self.current)

    def rewrite_name(self, node: s.Name) -> s.Expression:
        binding = node.binding
        if binding is None or binding in self._constants.locals:
            return node
        if self._symbols[binding].function is not self.current:
            self._captures.add(binding)
        return node

    def _is_same_always(self, binding: s.Binding, function: s.Function) -> bool:
        if self._symbols[binding].is_assigned:
            return False
        if binding in self._single:
            return True
        initial = self._initial.get(binding)
        return initial is function or initial in self.shared

    # Branches

    def _truth(self, condition: s.Expression) -> bool | None:
        """What Luau knows of a condition when it compiles."""
        known = self._constants.value(condition)
        return None if known is UNKNOWN else is_true(known)

    def rewrite_if(self, node: s.If) -> Replacement:
        for condition, block in node.clauses:
            truth = self._truth(condition)
            if truth is None:
                self.expression(condition)
            if truth is not False:
                self.block(block)
            if truth:
                return node
        if node.otherwise is not None:
            self.block(node.otherwise)
        return node

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        for condition, value in node.clauses:
            truth = self._truth(condition)
            if truth is None:
                self.expression(condition)
            if truth is not False:
                self.expression(value)
            if truth:
                return node
        self.expression(node.otherwise)
        return node

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        if node.operator in ("and", "or"):
            truth = self._truth(node.left)
            if truth is not None:
                return self.expression(node.right if truth is (node.operator == "and") else node.left)
        return super().rewrite_binary(node)

    # Variables

    def _declared(self, binding: s.Binding) -> None:
        if self.current is None and not self._loops:
            self._single.add(binding)

    def rewrite_local(self, node: s.Local) -> Replacement:
        super().rewrite_local(node)
        for binding in node.bindings:
            self._declared(binding)
        for binding, value in zip(node.bindings, node.values, strict=False):
            if isinstance(value, s.Function):  # in parentheses, or under a cast, it does not count for Luau
                self._initial[binding] = value
            else:
                self._known(binding, value)
        if not node.values or not isinstance(node.values[-1], s.MULTIPLE):
            for binding in node.bindings[len(node.values) :]:
                self._known(binding, s.Nil(node.line))
        return node

    def _known(self, binding: s.Binding, value: s.Expression) -> None:
        known = UNKNOWN if self._symbols[binding].is_assigned else self._constants.value(value)
        if known is not UNKNOWN:
            self._constants.locals[binding] = known

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        self._declared(node.binding)
        self._initial[node.binding] = node.function
        return super().rewrite_local_function(node)

    # Loops

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        self._loops += 1
        replacement = rewrite(node)
        self._loops -= 1
        return replacement

    def rewrite_while(self, node: s.While) -> Replacement:
        return node if self._truth(node.condition) is False else super().rewrite_while(node)
