"""What a tool leaves that undoes the protection of a copy perfectly: the source, with the spellings that the copy had, and nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Rejected
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import number_of, spellings
from moonlatch.obfuscator.syntax.lexer import Tokens
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from moonlatch.obfuscator.template import Template


class _Variants(Rewriter):
    """Puts one of its arguments in place of every `LA_VARIANT`, the first where `bits` says nothing."""

    def __init__(self, bits: Mapping[int, int]) -> None:
        super().__init__()
        self._bits = bits
        self.count = 0

    def rewrite_call(self, node: s.Call) -> s.Expression:
        super().rewrite_call(node)
        if not isinstance(node.function, s.Name) or node.function.name != "LA_VARIANT":
            return node
        self.count += 1
        return s.Group(node.arguments[self._bits.get(self.count, 0)], node.line)


def with_variants(source: str, bits: Mapping[int, int]) -> tuple[str, int]:
    """The source with one spelling of each `LA_VARIANT`, by their numbers from 1, and how many there are."""
    chunk = parse(source)
    rewriter = _Variants(bits)
    rewriter.chunk(chunk)
    return print_chunk(chunk), rewriter.count


def choices_of(template: Template, bits: list[int]) -> dict[int, int]:
    """What a copy with that word has of each choice, by its number."""
    return {place.choice: bit for place, bit in zip(template.places, bits, strict=True) if place.choice}


class _Chosen(Rewriter):
    """Puts one of its spellings in place of every choice."""

    def __init__(self, bits: Mapping[int, int]) -> None:
        super().__init__()
        self._bits = bits

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        both = spellings(node)
        if both is None:
            return super().rewrite_if_expression(node)
        return s.Group(both[self._bits.get(number_of(node), 0)], node.line)


def with_choices(source: str, profile: str, bits: Mapping[int, int]) -> str:
    """The source with one spelling of each choice that marked copies of it have, by their numbers."""
    prepared = pipeline._accepted(source.encode("latin-1"), Options(profile, has_marks=True), PROFILES[profile], None)
    assert not isinstance(prepared, Rejected)
    chunk, _ = prepared
    _Chosen(bits).chunk(chunk)
    return print_chunk(chunk)


def lifted(source: str, profile: str, template: Template, bits: list[int]) -> str:
    """The copy with that word, brought back to source, renamed and formatted anew."""
    return renamed(with_choices(source, profile, choices_of(template, bits)))


def renamed(text: str) -> str:
    """As a formatter and a renamer leave it: every local has another name, and every token a line of its own."""
    chunk = parse(text)
    for number, (binding, symbol) in enumerate(resolve(chunk).symbols.items()):
        binding.name = f"renamed_{number}"
        for reference in symbol.references:
            reference.name = binding.name
    tokens = Tokens(print_chunk(chunk))
    pieces = [f" {token}" if token in "([{" else f"\n\t{token}" for token in tokens.texts]
    return "-- beautiful\n" + "".join(pieces)
