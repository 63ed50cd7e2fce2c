"""Gives every local variable a short name that is free where it is used; the most used ones choose first.

Two variables share a name unless one is needed where the other hides it. Names of globals that a scope uses are never
taken in it, and exported names stay.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from itertools import chain, count, product

from moonlatch.obfuscator.analysis.scopes import Scope, Symbol
from moonlatch.obfuscator.syntax.lexer import RESERVED
from moonlatch.obfuscator.syntax.spelling import RESERVED_ELSEWHERE
from moonlatch.obfuscator.transform.arguments import IMPLICIT_ARGUMENTS
from moonlatch.obfuscator.transform.unit import Unit

KEY = "rename_locals"
_LETTERS = string.ascii_lowercase + string.ascii_uppercase + "_"
_FOLLOWERS = _LETTERS + string.digits
# `_G` is not a keyword, but a reader expects it to be the global table. The others mean something to a Lua: `_ENV` from 5.2
# on, and `arg` in 5.1, where a function with `...` has a local of that name that nobody sees.
_UNUSABLE = RESERVED | RESERVED_ELSEWHERE | {"_G", "_ENV", IMPLICIT_ARGUMENTS}


def run(unit: Unit) -> None:
    """In `minify` the names come in alphabetical order, which compresses best; otherwise the seed orders them.

    Then they have two letters or more: of the few single ones, two builds would have the same every now and then.
    """
    resolution = unit.resolution
    names = _Names(None if unit.options.profile == "minify" else unit.random(KEY))
    for scope in resolution.scopes:
        _name_scope(scope, names)
    for binding, symbol in resolution.symbols.items():
        for reference in symbol.references:
            reference.name = binding.name
    for method in resolution.methods:
        # Spelt out, `self` can have a short name too.
        if resolution.symbols[method.function.parameters[0]].references:
            method.is_method = False


class _Names:
    """All usable names, the shortest first, made when they are asked for."""

    def __init__(self, generator: random.Random | None) -> None:
        self._generator = generator
        self._made: list[str] = []
        self._source = self._spell()

    def __iter__(self) -> Iterator[str]:
        index = 0
        while True:
            if index == len(self._made):
                self._made.append(next(self._source))
            yield self._made[index]
            index += 1

    def _spell(self) -> Iterator[str]:
        for length in count(1 if self._generator is None else 2):
            names = ["".join(letters) for letters in product(_LETTERS, *[_FOLLOWERS] * (length - 1))]
            if self._generator is not None:
                self._generator.shuffle(names)
            yield from (name for name in names if name not in _UNUSABLE)


def _name_scope(scope: Scope, names: _Names) -> None:
    """Names the symbols of one scope; those of its parents have their names by now."""
    taken = scope.globals | {symbol.binding.name for symbol in scope.free}
    holders: dict[str, list[Symbol]] = {}
    pending = []
    for symbol in scope.symbols:
        if symbol.is_exported:
            holders.setdefault(symbol.binding.name, []).append(symbol)
        else:
            pending.append(symbol)
    pending.sort(key=lambda symbol: -len(symbol.references))
    unused = (name for name in names if name not in taken)
    usable: list[str] = []
    for symbol in pending:
        for name in chain(usable, _kept(unused, usable)):
            if any(_conflict(symbol, other) for other in holders.get(name, ())):
                continue
            symbol.binding.name = name
            holders.setdefault(name, []).append(symbol)
            break


def _kept(names: Iterator[str], seen: list[str]) -> Iterator[str]:
    """The names that come next, each put down in `seen`."""
    for name in names:
        seen.append(name)
        yield name


def _conflict(one: Symbol, other: Symbol) -> bool:
    """True when the earlier of two variables of one scope is still needed after the later one hides it."""
    earlier, later = (one, other) if one.declared < other.declared else (other, one)
    return earlier.last_use > later.declared
