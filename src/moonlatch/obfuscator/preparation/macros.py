"""Compiles the `LA_*` macros and their `LPH_*` namesakes to what they stand for: their argument, or a line number.

A macro that the script defines itself, as a local or as a global outside a dead branch, is an ordinary name.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from moonlatch.obfuscator.analysis.scopes import Resolution, resolve
from moonlatch.obfuscator.preparation.dead_branches import remove_dead_branches
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import choice
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.syntax.outline import exact_nodes
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter

ALWAYS_TRUE = "LPH_OBFUSCATED"
_LINES = frozenset({"LA_LINE", "LPH_LINE"})
STRING_MACROS = frozenset({"LA_ENCRYPT_STRING", "LPH_ENCSTR", "LPH_STRENC"})
_NUMBERS = frozenset({"LPH_ENCNUM", "LPH_NUMENC"})
_NATIVE = frozenset({"LA_NO_VIRTUALIZE", "LPH_NO_VIRTUALIZE", "LPH_JIT", "LPH_JIT_MAX"})
_UNTOUCHED = "LPH_NO_UPVALUES"
# Luraph's takes a key to encrypt with and an expression to decrypt with after the function.
_FUNCTION_WITH_KEYS = "LPH_ENCFUNC"
_CRASH = "LPH_CRASH"
GUARD = "LA_GUARD"
VARIANT = "LA_VARIANT"
_CALLED = STRING_MACROS | _NUMBERS | _NATIVE | {_UNTOUCHED, _FUNCTION_WITH_KEYS, _CRASH, GUARD, VARIANT}
MACROS = _CALLED | _LINES | {ALWAYS_TRUE}
_TESTS = ("and", "or", "==", "~=")
# How an engine that has the LPH_* macros itself knows those of ours that it has to see.
_NAMESAKES = {"LA_ENCRYPT_STRING": "LPH_ENCSTR", "LA_NO_VIRTUALIZE": "LPH_NO_VIRTUALIZE"}


_OPENER_ARGUMENTS = 2
_SPELLINGS = 2
LONGEST_OPENER = 4096
"""Bytes of the text that a guard compares with; a longer input opens nothing, and is not hashed."""


@dataclass(frozen=True, slots=True, eq=False)
class Guarded:
    """A call of `LA_GUARD`, which stands in the tree: its function is called where `value` is the text `opener`.

    `place` counts them from 1. Unless it `is_called`, the function itself is what the call gives.
    """

    call: s.Call
    value: s.Expression
    opener: bytes
    function: s.Function
    place: int
    is_called: bool = True


@dataclass(slots=True)
class Expansion:
    """What the macros of a script ask for besides what they leave in its tree.

    `native` functions are to stay code of the target language, with every function in them: no pass may compile them for
    an interpreter. `untouched` ones, which are native too, must capture the variables they capture in the source and no
    other (a host's hooks refuse more): no pass may change anything inside them but names. `guards` are to be taken out.
    """

    diagnostics: list[Diagnostic] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    native: set[s.Function] = field(default_factory=set)
    untouched: set[s.Function] = field(default_factory=set)
    guards: list[Guarded] = field(default_factory=list)
    choices: int = 0
    """How many values of the tree have two spellings."""


def is_true_in_builds(chunk: s.Chunk, name: str) -> bool:
    """True when the script only assigns the global `name`, if at all, where it is not true, as mocks do."""
    if name not in resolve(chunk).assigned_globals:
        return True
    trial = copy.deepcopy(chunk)
    resolve(trial)
    remove_dead_branches(trial, {name})
    return name not in resolve(trial).assigned_globals


def macro_lines(resolution: Resolution, wanted: AbstractSet[str]) -> list[tuple[int, str]]:
    """Where the script uses one of these macros, and which one."""
    names = (wanted & resolution.globals.keys()) - resolution.assigned_globals.keys()
    return sorted((node.line, name) for name in names for node in resolution.globals[name])


def expand_macros(
    chunk: s.Chunk,
    resolution: Resolution,
    *,
    keeps_calls: bool = False,
    has_guards: bool = True,
    has_choices: bool = False,
) -> Expansion:
    """Replaces every macro in the tree, or says what is wrong with its use. `resolution` is the chunk's own.

    `keeps_calls` leaves those that are called to the engine that gets the text, under their `LPH_*` names. Unless it
    `has_guards`, a guard becomes what it does; unless it `has_choices`, of two spellings the first is taken.
    """
    active = (MACROS & resolution.globals.keys()) - resolution.assigned_globals.keys()
    if not active:
        return Expansion()
    expander = _Expander(active, keeps_calls=keeps_calls, has_guards=has_guards, has_choices=has_choices)
    expander.chunk(chunk)
    expansion = expander.expansion
    for frame in resolution.frames:
        if frame.node in expansion.untouched and frame.upvalues:
            names = ", ".join(sorted(symbol.binding.name for symbol in frame.upvalues))
            expansion.warnings.append(f"line {frame.node.line}: the function of {_UNTOUCHED} itself captures {names}")
    return expansion


class _Expander(Rewriter):
    def __init__(self, active: AbstractSet[str], *, keeps_calls: bool, has_guards: bool, has_choices: bool) -> None:
        super().__init__()
        self._keeps_calls = keeps_calls
        self._has_guards = has_guards
        self._has_choices = has_choices
        self._guarded = 0
        self._is_in_guard = False
        self._is_spelling = False
        self.expansion = Expansion()
        self._active = active

    def _macro(self, node: s.Expression) -> str | None:
        is_macro = isinstance(node, s.Name) and node.binding is None and node.name in self._active
        return node.name if is_macro and isinstance(node, s.Name) else None

    def _refuse(self, node: s.Name | s.Call, message: str) -> None:
        self.expansion.diagnostics.append(Diagnostic(node.line, 1, message))

    def rewrite_name(self, node: s.Name) -> s.Expression:
        name = self._macro(node)
        if name is None:
            return node
        if name == ALWAYS_TRUE:
            return s.TrueValue(node.line)
        if name in _LINES:
            return s.Number(str(node.line), float(node.line), node.line)
        self._refuse(node, f"{name} is a macro and can only be called")
        return node

    def _tested(self, node: s.Expression) -> s.Expression:
        """An operand of a test: `LPH_JIT or function ...` asks whether the macro exists, and may."""
        return node if self._macro(node) in _CALLED else self.expression(node)

    def rewrite_unary(self, node: s.Unary) -> s.Expression:
        node.operand = self._tested(node.operand) if node.operator == "not" else self.expression(node.operand)
        return node

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        visit: Callable[[s.Expression], s.Expression] = self._tested if node.operator in _TESTS else self.expression
        node.left = visit(node.left)
        node.right = visit(node.right)
        return node

    def rewrite_call(self, node: s.Call) -> s.Expression:
        name = self._macro(unwrapped(node.function))
        if name not in _CALLED:
            return super().rewrite_call(node)
        if name == GUARD:
            return self._guard(node)
        if name == VARIANT:
            return self._variant(node)
        node.arguments = self.expressions(node.arguments)
        if self._keeps_calls:
            return self._kept(node, name)
        if name == _CRASH:
            return self._crash(node)
        if name == _FUNCTION_WITH_KEYS and len(node.arguments) > 1:
            del node.arguments[1:]
            self.expansion.warnings.append(f"line {node.line}: the key of {name} is not used; its function needs none")
        argument = self._argument(node, name, node.arguments)
        if isinstance(argument, s.Function):
            self._mark(argument, name)
        return argument

    def _guard(self, node: s.Call) -> s.Expression:
        before, outer = self._guarded, self._is_in_guard
        self._is_in_guard = True
        node.arguments = self.expressions(node.arguments)
        self._is_in_guard = outer
        self._guarded += 1
        if self._guarded > before + 1:
            self._refuse(node, f"{GUARD} cannot stand in another one")
            return node
        compared, function = [*map(unwrapped, node.arguments), None, None][:_OPENER_ARGUMENTS]
        found = _compared_with_text(compared)
        if len(node.arguments) != _OPENER_ARGUMENTS or found is None or not isinstance(function, s.Function):
            self._refuse(node, f'{GUARD} takes a comparison with a text, `value == "text"`, and a function expression')
            return node
        value, opener = found
        if len(opener) > LONGEST_OPENER:
            self._refuse(node, f"The text of {GUARD} is longer than {LONGEST_OPENER} bytes")
            return node
        guards = self.expansion.guards
        if self._has_guards:
            guards.append(Guarded(node, value, opener, function, len(guards) + 1))
            node.arguments[0] = value  # so that the text is found nowhere in the tree
        else:
            node.function = s.Group(_plain_guard(node.line), node.line)
        return node

    def _variant(self, node: s.Call) -> s.Expression:
        if self._is_spelling:
            self._refuse(node, f"{VARIANT} cannot stand in another one")
            return node
        guards = self._guarded
        self._is_spelling = True
        self.expressions(node.arguments)
        self._is_spelling = False
        if len(node.arguments) != _SPELLINGS:
            self._refuse(node, f"{VARIANT} takes two spellings of one value, got {len(node.arguments)}")
            return node
        first, second = node.arguments
        if exact_nodes(first) == exact_nodes(second):
            self._warn(node, "the two spellings of {VARIANT} differ in nothing that is left when variables are renamed")
        elif self._is_in_guard or guards != self._guarded:
            self._warn(node, "{VARIANT} has no effect in {GUARD} and around it; the first spelling is taken")
        elif self._has_choices and not self._keeps_calls:
            self.expansion.choices += 1
            return s.Group(choice(self.expansion.choices, first, second, node.line), node.line)
        return s.Group(first, node.line)

    def _warn(self, node: s.Expression, message: str) -> None:
        self.expansion.warnings.append(f"line {node.line}: {message.format(VARIANT=VARIANT, GUARD=GUARD)}")

    def _kept(self, node: s.Call, name: str) -> s.Expression:
        if name == _CRASH:
            self._crash(node)
        else:
            self._argument(node, name, node.arguments[:1] if name == _FUNCTION_WITH_KEYS else node.arguments)
        node.function = s.Name(_NAMESAKES.get(name, name), node.line)
        return node

    def _mark(self, function: s.Function, name: str) -> None:
        if name in _NATIVE or name == _UNTOUCHED:
            self.expansion.native.add(function)
        if name == _UNTOUCHED:
            self.expansion.untouched.add(function)

    def _crash(self, node: s.Call) -> s.Expression:
        if node.arguments:
            self._refuse(node, f"{_CRASH} takes no argument")
        return s.Call(s.Name("error", node.line), [s.Nil(node.line), s.Number("0", 0.0, node.line)], node.line)

    def _argument(self, node: s.Call, name: str, arguments: list[s.Expression]) -> s.Expression:
        if len(arguments) != 1:
            self._refuse(node, f"{name} takes exactly one argument, got {len(arguments)}")
            return node
        argument = unwrapped(arguments[0])
        if name in STRING_MACROS:
            is_literal, wanted = isinstance(argument, s.String), "a string literal"
        elif name in _NUMBERS:
            is_literal, wanted = _is_number_literal(argument), "a number literal"
        else:
            is_literal, wanted = isinstance(argument, s.Function), "a function expression"
        if not is_literal:
            self._refuse(node, f"{name} takes {wanted}")
        return argument

    def rewrite_call_statement(self, node: s.CallStatement) -> Replacement:
        if isinstance(node.call, s.Call) and self._macro(unwrapped(node.call.function)) == VARIANT:
            self._refuse(
                node.call,
                f"{VARIANT} stands for a value; two ways to do something are two functions, {VARIANT}(function() ... end, function() ... end)()",
            )
            return node
        call = self.expression(node.call)
        # A literal that nobody uses does nothing.
        return s.CallStatement(call, node.line) if isinstance(call, s.Call | s.MethodCall) else None


def _is_number_literal(node: s.Expression) -> bool:
    if isinstance(node, s.Unary) and node.operator == "-":
        node = unwrapped(node.operand)
    return isinstance(node, s.Number | s.Integer)


def _compared_with_text(node: s.Expression | None) -> tuple[s.Expression, bytes] | None:
    """What is compared, and the text, on whichever side it stands."""
    if not isinstance(node, s.Binary) or node.operator != "==":
        return None
    left, right = unwrapped(node.left), unwrapped(node.right)
    if isinstance(right, s.String):
        return None if isinstance(left, s.String) else (node.left, right.value)
    return (node.right, left.value) if isinstance(left, s.String) else None


def _plain_guard(line: int) -> s.Function:
    """`function(opens, guarded) if opens then return guarded() end end`."""
    opens, guarded = "opens", "guarded"
    call = s.Return([s.Call(s.Name(guarded, line), [], line)], line)
    branch = s.If([(s.Name(opens, line), s.Block([call], line))], None, line)
    return s.Function(
        [], [s.Binding(opens, line), s.Binding(guarded, line)], False, s.Block([branch], line), line, line
    )
