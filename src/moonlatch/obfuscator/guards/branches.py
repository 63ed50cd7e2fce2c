"""Makes guards of branches that only a text opens which nobody guesses: `if tostring(x) == "a long random text" then ... end`.

Only where it can be told from nothing but time: a test takes hundredths of a second, so neither in loops nor in functions
that loops call, and what the branch does must not depend on the function that it stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet

from moonlatch.obfuscator.analysis.capacity import MAX_UPVALUES
from moonlatch.obfuscator.analysis.hot_functions import hot_functions
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.guards.guessing import FEWEST_BITS, bits_of, texts_of
from moonlatch.obfuscator.guards.taking_out import MOST_CAPTURED
from moonlatch.obfuscator.preparation.macros import LONGEST_OPENER, Guarded
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.rewriter import AnyLoop, AroundLoops, InFunctions, Replacement, Rewriter
from moonlatch.obfuscator.target import Target

_TEXT_FUNCTIONS = frozenset({"lower", "upper", "sub", "gsub", "format", "rep", "reverse", "char"})
_TYPE_TESTS = ("type", "typeof")
_OF_A_FUNCTION = frozenset({"arg", "getfenv", "setfenv", "debug", "_ENV"})
"""Globals that tell in which function something runs."""
_SPARE_UPVALUES = 2


def guard_branches(
    chunk: s.Chunk, resolution: Resolution, target: Target, untouched: AbstractSet[s.Function], first_place: int
) -> list[Guarded]:
    """Changes the chunk, whose names are to be resolved anew if there are any; their places are counted on from the first.

    `untouched` functions stay as they are.
    """
    finder = _Candidates(resolution, target, untouched)
    finder.chunk(chunk)
    if not finder.found:
        return []
    hot = hot_functions(chunk, resolution, frozenset())
    texts = texts_of(chunk)
    chosen = {
        branch: opener
        for branch, (function, opener) in finder.found.items()
        if function not in hot and sum(opener in text for _, text in texts) == 1
    }
    maker = _Maker(chosen, finder.values, resolution.fresh_name("opened"), first_place)
    maker.chunk(chunk)
    return maker.guards


def _is_drawn(text: bytes) -> bool:
    """Looks as if a computer had drawn it; of sentences nobody knows how well they are chosen."""
    return b" " not in text and len(text) <= LONGEST_OPENER and bits_of(text) >= FEWEST_BITS


class _Candidates(AroundLoops, InFunctions):
    """The branches that may become guards, with the function that each is in and its text; `values` are what is compared."""

    def __init__(self, resolution: Resolution, target: Target, untouched: AbstractSet[s.Function]) -> None:
        super().__init__(untouched)
        self.found: dict[s.If, tuple[s.Function | None, bytes]] = {}
        self.values: dict[s.If, s.Expression] = {}
        self._resolution = resolution
        self._frames = {frame.node: frame for frame in resolution.frames}
        self._most_upvalues = MAX_UPVALUES[target] - _SPARE_UPVALUES
        self._texts: set[s.Binding] = set()
        self._loops = 0
        self._last: s.Statement | None = None

    def chunk(self, chunk: s.Chunk) -> None:
        self._last = chunk.body.body[-1] if chunk.body.body else None
        super().chunk(chunk)

    def function(self, function: s.Function) -> None:
        outer = self._loops, self._last
        self._loops, self._last = 0, function.body.body[-1] if function.body.body else None
        super().function(function)
        self._loops, self._last = outer

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        self._loops += 1
        replacement = rewrite(node)
        self._loops -= 1
        return replacement

    def rewrite_local(self, node: s.Local) -> Replacement:
        super().rewrite_local(node)
        for binding, value in zip(node.bindings, node.values, strict=False):
            if not self._resolution.symbols[binding].is_assigned and self._is_text(value):
                self._texts.add(binding)
        return node

    def rewrite_if(self, node: s.If) -> Replacement:
        value = self._compared(node)
        if value is None:
            return super().rewrite_if(node)
        self.values[node], opener = value
        self.found[node] = self.current, opener
        return node

    def _compared(self, node: s.If) -> tuple[s.Expression, bytes] | None:
        if self._loops or len(node.clauses) != 1 or node.otherwise is not None:
            return None
        condition, block = unwrapped(node.clauses[0][0]), node.clauses[0][1]
        tested = None
        if isinstance(condition, s.Binary) and condition.operator == "and":
            tested, condition = self._tested(condition.left), unwrapped(condition.right)
            if tested is None:
                return None
        if not isinstance(condition, s.Binary) or condition.operator != "==":
            return None
        value, text = condition.left, unwrapped(condition.right)
        if not isinstance(text, s.String):
            value, text = condition.right, unwrapped(condition.left)
        if not isinstance(text, s.String) or not _is_drawn(text.value):
            return None
        inner = unwrapped(value)
        is_text = self._is_text(inner) if tested is None else isinstance(inner, s.Name) and inner.binding is tested
        return (value, text.value) if is_text and self._can_move(node, block) else None

    def _tested(self, node: s.Expression) -> s.Binding | None:
        """The local of which `type(x) == "string"` asks whether it is a text."""
        node = unwrapped(node)
        if not isinstance(node, s.Binary) or node.operator != "==":
            return None
        call, kind = unwrapped(node.left), unwrapped(node.right)
        if not isinstance(call, s.Call) or not isinstance(kind, s.String) or kind.value != b"string":
            return None
        function, argument = call.function, call.arguments[0] if len(call.arguments) == 1 else None
        if not self._is_global(function, _TYPE_TESTS) or not isinstance(argument, s.Name):
            return None
        return argument.binding

    def _is_global(self, node: s.Expression, names: AbstractSet[str] | tuple[str, ...]) -> bool:
        if not isinstance(node, s.Name) or node.binding is not None or node.name not in names:
            return False
        return node.name not in self._resolution.assigned_globals

    def _is_text(self, node: s.Expression) -> bool:
        match unwrapped(node):
            case s.InterpolatedString():
                return True
            case s.Name(binding=binding):
                return binding in self._texts
            case s.Binary(operator="..", left=left, right=right):
                return any(isinstance(unwrapped(side), s.String) or self._is_text(side) for side in (left, right))
            case s.Call(function=s.IndexName(object=library, name=name)):
                return name in _TEXT_FUNCTIONS and self._is_global(library, ("string",))
            case s.Call(function=function):
                return self._is_global(function, ("tostring",))
            case s.MethodCall(name=name, object=subject):
                return name in _TEXT_FUNCTIONS and self._is_text(subject)
            case _:
                return False

    def _can_move(self, node: s.If, block: s.Block) -> bool:
        contents = _Contents()
        contents.block(block)
        if contents.is_bound or (contents.returns and node is not self._last and not _always_returns(block)):
            return False
        captured = {binding for binding in contents.used if binding not in contents.declared}
        frame = self._frames[self.current]
        while frame.parent is not None:
            # What the branch takes from outside is there already; what opens it is not.
            if len(frame.upvalues) >= self._most_upvalues:
                return False
            frame = frame.parent
        return len(captured) <= MOST_CAPTURED


class _Contents(InFunctions):
    """What a block uses and declares, whether it returns, and whether something in it has to stay where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[s.Binding] = set()
        self.declared: set[s.Binding] = set()
        self.returns = False
        self.is_bound = False
        self._plain_calls: set[s.Expression] = set()

    def function(self, function: s.Function) -> None:
        self.declared.update(function.parameters)
        super().function(function)

    def rewrite_varargs(self, node: s.Varargs) -> s.Expression:
        self.is_bound |= self.current is None
        return node

    def rewrite_name(self, node: s.Name) -> s.Expression:
        if node.binding is not None:
            self.used.add(node.binding)
        elif node.name in _OF_A_FUNCTION or (node.name == "error" and node not in self._plain_calls):
            self.is_bound = True
        return node

    def rewrite_call(self, node: s.Call) -> s.Expression:
        # With a level it looks at who called.
        if len(node.arguments) == 1 and not isinstance(node.arguments[0], s.MULTIPLE):
            self._plain_calls.add(node.function)
        return super().rewrite_call(node)

    def rewrite_return(self, node: s.Return) -> Replacement:
        self.returns |= self.current is None
        return super().rewrite_return(node)

    def rewrite_local(self, node: s.Local) -> Replacement:
        self.declared.update(node.bindings)
        self.is_bound |= node.is_exported
        return super().rewrite_local(node)

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        self.declared.add(node.binding)
        return super().rewrite_local_function(node)

    def rewrite_numeric_for(self, node: s.NumericFor) -> Replacement:
        self.declared.add(node.binding)
        return super().rewrite_numeric_for(node)

    def rewrite_generic_for(self, node: s.GenericFor) -> Replacement:
        self.declared.update(node.bindings)
        return super().rewrite_generic_for(node)


def _always_returns(block: s.Block) -> bool:
    last = block.body[-1] if block.body else None
    if isinstance(last, s.Do):
        return _always_returns(last.body)
    if isinstance(last, s.If):
        return last.otherwise is not None and all(map(_always_returns, _blocks(last)))
    return isinstance(last, s.Return)


def _blocks(node: s.If) -> Iterator[s.Block]:
    yield from (block for _, block in node.clauses)
    if node.otherwise is not None:
        yield node.otherwise


class _Maker(Rewriter):
    """`do local opened = GUARD if opened then return opened() end end`; without `return` where the branch has none."""

    def __init__(
        self, chosen: dict[s.If, bytes], values: dict[s.If, s.Expression], name: str, first_place: int
    ) -> None:
        super().__init__()
        self.guards: list[Guarded] = []
        self._chosen = chosen
        self._values = values
        self._name = name
        self._first_place = first_place

    def rewrite_if(self, node: s.If) -> Replacement:
        opener = self._chosen.get(node)
        if opener is None:
            return super().rewrite_if(node)
        line, block, value = node.line, node.clauses[0][1], self._values[node]
        contents = _Contents()
        contents.block(block)
        function = s.Function([], [], False, block, line, line)
        call = s.Call(s.Name(self._name, line), [value, function], line)
        place = self._first_place + len(self.guards)
        self.guards.append(Guarded(call, value, opener, function, place, is_called=False))
        opened = s.Call(s.Name(self._name, line), [], line)
        run: s.Statement = s.Return([opened], line) if contents.returns else s.CallStatement(opened, line)
        take = s.Local([s.Binding(self._name, line)], [call], is_const=False, is_exported=False, line=line)
        test = s.If([(s.Name(self._name, line), s.Block([run], line))], None, line)
        return s.Do(s.Block([take, test], line), line)
