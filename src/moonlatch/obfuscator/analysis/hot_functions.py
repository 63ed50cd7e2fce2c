"""Estimates which functions run often: those that loops call, directly or not, and those that call themselves.

A guess from the text alone, which passes may use to choose what code costs but never what it does. Fields and methods
are told apart by name. A loop that waits for the host runs a few times per second and counts as straight code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import InFunctions, Replacement

# What a function is called by: a local, a global, a field of a certain local, or a field of anything.
_Key = s.Binding | str | tuple[s.Binding | str, str]
_ANY_ENTRY = ".[]"
# Library functions that call what they are given again and again.
_REPEATING = {("table", "sort"), ("string", "gsub"), ("table", "foreach"), ("table", "foreachi")}
_WAITING = {"wait", "Wait"}
_NAMING = (s.Function, s.Name, s.IndexName)
_RARE_METAMETHODS = {"__tostring", "__gc", "__mode", "__metatable", "__name", "__close"}


def hot_functions(chunk: s.Chunk, resolution: Resolution, sealed: AbstractSet[s.Function]) -> set[s.Function]:
    """The functions that probably run often. What is in `sealed` is not looked at; `resolution` is that of the chunk."""
    census = _Census(sealed)
    census.chunk(chunk)
    return census.hot([frame.node for frame in resolution.frames if frame.node is not None])


@dataclass(slots=True)
class _Mention:
    """A call of `key`, or `key` handed to the function that `receiver` names, from within so many loops of `caller`."""

    caller: s.Function | None
    key: _Key | s.Function
    loops: int
    is_certain: bool
    receiver: _Key | None = None
    is_handed: bool = False


@dataclass(slots=True)
class _Loop:
    first_mention: int
    waits: bool = False


@dataclass(slots=True)
class _Called:
    """Who calls whom; `certain` leaves out what is only guessed from the name of a method."""

    all: dict[s.Function | None, set[s.Function]] = field(default_factory=dict)
    certain: dict[s.Function, set[s.Function]] = field(default_factory=dict)


class _Census(InFunctions):
    def __init__(self, sealed: AbstractSet[s.Function]) -> None:
        super().__init__(sealed)
        self._loops: list[_Loop] = []
        self._mentions: list[_Mention] = []
        self._defined: dict[_Key, list[_Key | s.Function]] = {}
        self._hot: set[s.Function] = set()
        self._returned: set[s.Function] = set()
        self._repeating: set[s.Binding] = set()
        # Of a parameter, the function that has it; of a first one, also the local that the function is a field of.
        self._parameters: dict[s.Binding, s.Function] = {}
        self._owners: dict[s.Binding, s.Binding | str] = {}
        # Functions that call one of their parameters in a loop, or in the function that they return.
        self._appliers: set[s.Function] = set()
        self._inner_appliers: dict[s.Function, set[s.Function]] = {}

    # What is called what

    def _key(self, node: s.Expression) -> _Key | s.Function | None:
        match node:
            case s.Function():
                return node
            case s.Group():
                return self._key(node.value)
            case s.Name():
                return node.binding or node.name
            case s.IndexName():
                return self._field(node.object, node.name)
            case s.Index():
                return f".{node.key.value.decode('latin-1')}" if isinstance(node.key, s.String) else _ANY_ENTRY
            case _:
                return None

    def _field(self, owner: s.Expression, name: str) -> _Key:
        if not isinstance(owner, s.Name):
            return f".{name}"
        binding = owner.binding
        if binding is None:
            return owner.name, name
        return self._owners.get(binding, binding), name

    def _define(self, key: _Key | s.Function | None, value: s.Expression) -> None:
        what = self._key(value)
        if what is None or key is None or isinstance(key, s.Function):
            return
        self._defined.setdefault(key, []).append(what)
        if isinstance(key, tuple):
            self._defined.setdefault(f".{key[1]}", []).append(what)
        name = key[1] if isinstance(key, tuple) else key
        if isinstance(what, s.Function) and isinstance(name, str) and _is_frequent_metamethod(name.lstrip(".")):
            self._hot.add(what)
        if isinstance(key, s.Binding) and self._is_repeating(what):
            self._repeating.add(key)

    def _is_repeating(self, key: _Key | s.Function | None) -> bool:
        return key in _REPEATING or key in self._repeating

    def _functions_of(self, key: _Key | s.Function) -> Iterator[s.Function]:
        seen: set[_Key | s.Function] = set()
        waiting = [key]
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            if isinstance(one, s.Function):
                yield one
            elif one in self._defined:
                waiting += self._defined[one]
            elif isinstance(one, tuple):
                waiting.append(f".{one[1]}")

    def rewrite_local(self, node: s.Local) -> Replacement:
        for binding, value in zip(node.bindings, node.values, strict=False):
            self._define(binding, value)
        return super().rewrite_local(node)

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        self._define(node.binding, node.function)
        return super().rewrite_local_function(node)

    def rewrite_function_declaration(self, node: s.FunctionDeclaration) -> Replacement:
        key = self._key(node.target)
        self._define(key, node.function)
        if isinstance(key, tuple) and node.function.parameters:
            self._owners[node.function.parameters[0]] = key[0]
        return super().rewrite_function_declaration(node)

    def rewrite_assign(self, node: s.Assign) -> Replacement:
        for target, value in zip(node.targets, node.values, strict=False):
            self._define(self._key(target), value)
        return super().rewrite_assign(node)

    def rewrite_table(self, node: s.Table) -> s.Expression:
        for item in node.items:
            if isinstance(item, s.NamedItem):
                self._define(f".{item.name}", item.value)
            elif isinstance(item, s.KeyedItem) and isinstance(item.key, s.String):
                self._define(f".{item.key.value.decode('latin-1')}", item.value)
            else:
                self._define(_ANY_ENTRY, item.value)
        return super().rewrite_table(node)

    def rewrite_return(self, node: s.Return) -> Replacement:
        if self.current is not None:
            self._returned.update(value for value in node.values if isinstance(value, s.Function))
        return super().rewrite_return(node)

    # Who calls, and from where

    def function(self, function: s.Function) -> None:
        self._parameters.update(dict.fromkeys(function.parameters, function))
        outer, self._loops = self._loops, []
        super().function(function)
        self._loops = outer

    def rewrite_call(self, node: s.Call) -> s.Expression:
        called = self._key(node.function)
        self._call(called, node.arguments, is_certain=not isinstance(called, str) or isinstance(node.function, s.Name))
        return super().rewrite_call(node)

    def rewrite_method_call(self, node: s.MethodCall) -> s.Expression:
        key = self._field(node.object, node.name)
        self._call(key, node.arguments, is_certain=key in self._defined)
        return super().rewrite_method_call(node)

    def _call(self, key: _Key | s.Function | None, arguments: list[s.Expression], *, is_certain: bool) -> None:
        loops = len(self._loops)
        if key is not None:
            self._mentions.append(_Mention(self.current, key, loops, is_certain))
        if loops and (key[1] if isinstance(key, tuple) else key) in _WAITING:
            self._loops[-1].waits = True
        if isinstance(key, s.Binding):
            self._apply(key, loops)
        receiver = key if isinstance(key, s.Binding | tuple | str) else None
        for argument in arguments:
            handed = self._key(argument) if isinstance(argument, _NAMING) else None
            if handed is not None:
                self._mentions.append(_Mention(self.current, handed, loops, False, receiver, is_handed=True))

    def _apply(self, parameter: s.Binding, loops: int) -> None:
        owner, current = self._parameters.get(parameter), self.current
        if owner is None or current is None:
            return
        if owner is not current:
            self._inner_appliers.setdefault(owner, set()).add(current)
        elif loops:
            self._appliers.add(owner)

    def rewrite_while(self, node: s.While) -> Replacement:
        self._around(lambda: super(_Census, self).rewrite_while(node))
        return node

    def rewrite_repeat(self, node: s.Repeat) -> Replacement:
        self._around(lambda: super(_Census, self).rewrite_repeat(node))
        return node

    def rewrite_numeric_for(self, node: s.NumericFor) -> Replacement:
        bounds = [node.start, node.limit] + ([node.step] if node.step is not None else [])
        self.expressions(bounds)
        self._around(lambda: self.block(node.body))
        return node

    def rewrite_generic_for(self, node: s.GenericFor) -> Replacement:
        # What makes the iterator runs once; a name in its place is called again and again.
        self.expressions(node.values)
        self._around(lambda: self._rounds(node))
        return node

    def _rounds(self, node: s.GenericFor) -> None:
        if isinstance(node.values[0], s.Name):
            self._call(self._key(node.values[0]), [], is_certain=True)
        self.block(node.body)

    def _around(self, visit: Callable[[], object]) -> None:
        loop = _Loop(len(self._mentions))
        self._loops.append(loop)
        visit()
        self._loops.pop()
        if loop.waits:
            for mention in self._mentions[loop.first_mention :]:
                if mention.caller is self.current:
                    mention.loops -= 1

    # The sum

    def hot(self, functions: Iterable[s.Function]) -> set[s.Function]:
        self._appliers.update(
            owner for owner, inner in self._inner_appliers.items() if not inner.isdisjoint(self._returned)
        )
        called = _Called()
        hot = self._hot | self._returned
        for mention in self._mentions:
            meant = set(self._functions_of(mention.key))
            if not meant:
                continue
            if mention.loops > 0 or (mention.is_handed and self._is_applied(mention.receiver)):
                hot |= meant
            called.all.setdefault(mention.caller, set()).update(meant)
            if mention.is_certain and mention.caller is not None:
                called.certain.setdefault(mention.caller, set()).update(meant)
        hot |= _in_cycles(functions, called.certain)
        waiting = list(hot)
        while waiting:
            more = called.all.get(waiting.pop(), set()) - hot
            hot |= more
            waiting += more
        return hot

    def _is_applied(self, receiver: _Key | None) -> bool:
        """True when the receiver calls a function that it is given more than once."""
        if receiver is None or self._is_repeating(receiver):
            return receiver is not None
        if isinstance(receiver, str) and receiver.startswith("."):
            return False
        return not self._appliers.isdisjoint(self._functions_of(receiver))


def _is_frequent_metamethod(name: str) -> bool:
    return name.startswith("__") and name not in _RARE_METAMETHODS


def _in_cycles(functions: Iterable[s.Function], called: dict[s.Function, set[s.Function]]) -> set[s.Function]:
    """The functions that call themselves, by others or not, and those that they call."""
    callers: dict[s.Function, int] = dict.fromkeys(functions, 0)
    for several in called.values():
        for one in several:
            callers[one] = callers.get(one, 0) + 1
    free = [function for function, count in callers.items() if count == 0]
    while free:
        function = free.pop()
        del callers[function]
        for one in called.get(function, ()):
            callers[one] -= 1
            if callers[one] == 0:
                free.append(one)
    return set(callers)
