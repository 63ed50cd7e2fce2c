"""Warns of guards that do not keep what they promise: texts that can be guessed or stand elsewhere, and tests that run often."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Sequence

from moonlatch.obfuscator.analysis.hot_functions import hot_functions
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.analysis.texts import Texts
from moonlatch.obfuscator.preparation.macros import GUARD, Guarded
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import AnyLoop, AroundLoops, InFunctions, Replacement

FEWEST_BITS = 64.0
"""Of what a guesser does not know. A machine for some thousands tries a few million inputs a second: 2^64 take it more than 10,000 years."""
_BITS_OF_WORD = 11.0
"""Of a word among the 2,000 commonest."""
_BITS_OF_LETTER = 2.0
"""Of one in a word's inside; of English text, Shannon (1951) found one to two."""
_LETTERS_OF_WORD = 5
_WORD = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{4,}")
_LINK = re.compile(r"[^A-Za-z0-9]*(?:[A-Za-z]{1,2}[^A-Za-z0-9]+)?")
_BITS_OF_LINK = 1.0
"""Of what stands between words: a blank, a sign, a word of two letters."""
_HEXADECIMAL = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_DIGITS_OF_HEXADECIMAL = 2
"""At least so many, or else it is a word."""
_KINDS = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
_OTHERS = 33
_BITS_OF_CHANGE = 1.5
"""Of one kind of characters after another."""
_BITS_OF_PATTERN = 0.5
"""Of a character that goes on with a sequence, or a pair that was there before."""


def bits_of(text: bytes) -> float:
    """About how many bits somebody has to guess who knows how people choose texts: few for words, repetitions and sequences."""
    found = text.decode("latin-1")
    digits = sum(character in string.digits for character in found)
    if digits >= _DIGITS_OF_HEXADECIMAL and _HEXADECIMAL.fullmatch(found):
        return _bits_of_characters(found, lambda _: 4.0)
    words = dict.fromkeys(_WORD.findall(found))
    return sum(map(_bits_of_word, words)) + sum(map(_bits_between_words, _WORD.split(found)))


def _bits_between_words(text: str) -> float:
    return _BITS_OF_LINK if text and _LINK.fullmatch(text) else _bits_of_characters(text, _bits_of_kind)


def _bits_of_word(word: str) -> float:
    known = _BITS_OF_WORD + _BITS_OF_LETTER * max(0, len(word) - _LETTERS_OF_WORD)
    return min(known, _bits_of_characters(word, _bits_of_kind))


def _bits_of_characters(text: str, bits_of_one: Callable[[str], float]) -> float:
    bits = 0.0
    seen: set[str] = set()
    for place, character in enumerate(text):
        before = text[place - 1 : place]
        is_next = before and abs(ord(character) - ord(before)) <= 1
        bits += _BITS_OF_PATTERN if is_next or before + character in seen else bits_of_one(character)
        if _kind(before) is not _kind(character) and bits_of_one is _bits_of_kind:
            bits += _BITS_OF_CHANGE
        seen.add(before + character)
    return bits


def _kind(character: str) -> str | None:
    return next((kind for kind in _KINDS if character and character in kind), None)


def _bits_of_kind(character: str) -> float:
    return math.log2(len(_kind(character) or range(_OTHERS)))


def guard_warnings(chunk: s.Chunk, resolution: Resolution, guards: Sequence[Guarded]) -> list[str]:
    """In the order of the guards."""
    if not guards:
        return []
    finder = _Finder(hot_functions(chunk, resolution, frozenset()), guards)
    finder.chunk(chunk)
    warnings: list[str] = []
    for guard in guards:
        line = guard.call.line
        if bits_of(guard.opener) < FEWEST_BITS:
            warnings.append(
                f"line {line}: the text of {GUARD} can be guessed, and whoever guesses it reads the function; take one of "
                "22 letters and digits or more that a computer drew"
            )
        elsewhere = sorted({there for there, text in finder.texts if guard.opener in text})
        if elsewhere:
            warnings.append(
                f"line {elsewhere[0]}: the text of {GUARD} on line {line} stands here too, where anybody can read it"
            )
        if guard.call in finder.often:
            warnings.append(f"line {line}: {GUARD} seems to run often, and each test takes hundredths of a second")
    return warnings


def texts_of(chunk: s.Chunk) -> list[tuple[int, bytes]]:
    """Every text and name of a field that a build of the chunk contains, with its line."""
    finder = _Finder(set(), [])
    finder.chunk(chunk)
    return finder.texts


class _Finder(AroundLoops, InFunctions, Texts):
    """The texts that stand outside of what is guarded, and the guards that run often."""

    def __init__(self, hot: set[s.Function], guards: Sequence[Guarded]) -> None:
        super().__init__()
        self.often: set[s.Call] = set()
        self._hot = hot
        self._guards = {guard.call: guard for guard in guards}
        self._loops = 0

    def function(self, function: s.Function) -> None:
        outer, self._loops = self._loops, 0
        super().function(function)
        self._loops = outer

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        self._loops += 1
        replacement = rewrite(node)
        self._loops -= 1
        return replacement

    def rewrite_call(self, node: s.Call) -> s.Expression:
        guard = self._guards.get(node)
        if guard is None:
            return super().rewrite_call(node)
        if self._loops or self.current in self._hot:
            self.often.add(node)
        self.expression(guard.value)
        return node

    def _name(self, name: str, line: int) -> None:
        self.texts.append((line, name.encode("ascii")))

    def rewrite_index_name(self, node: s.IndexName) -> s.Expression:
        self._name(node.name, node.line)
        return super().rewrite_index_name(node)

    def rewrite_method_call(self, node: s.MethodCall) -> s.Expression:
        self._name(node.name, node.line)
        return super().rewrite_method_call(node)

    def rewrite_table(self, node: s.Table) -> s.Expression:
        for item in node.items:
            if isinstance(item, s.NamedItem):
                self._name(item.name, item.line)
        return super().rewrite_table(node)
