"""The modules that a script asks for by name, and its text with other names in their place. Knows no folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from moonlatch.bundler.faults import BundleError
from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.diagnostics import LuauSyntaxError, hint_of
from moonlatch.obfuscator.syntax.lexer import Tokens
from moonlatch.obfuscator.syntax.parser import tokens_of
from moonlatch.obfuscator.syntax.places import column_of, parse_with_places
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter

REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class Require:
    """A call of the global `require` with a literal text; offsets are those of the name and of the literal in the text."""

    name: str
    line: int
    function: tuple[int, int]
    argument: tuple[int, int]


@dataclass(slots=True)
class Module:
    """A module's text (behind byte order mark and `#!`, bytes as latin-1), and what it asks for.

    `unknown` are the lines of calls whose argument is computed: only its host can answer them.
    """

    text: str
    requires: list[Require] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    exports: list[int] = field(default_factory=list)
    """Offsets of `export` before a type, which is none of a function's."""

    words: frozenset[str] = frozenset()
    """Everything that may be a name in it."""

    def with_names(self, require: str, ids: Mapping[str, str]) -> str:
        """The text, in which `require` is called so and asks for modules by their ids; lines stay lines, and what has no id stays as it is."""
        changes = [(start, start + len("export"), "") for start in self.exports]
        for one in self.requires:
            found = ids.get(one.name)
            if found is not None:
                changes += [(*one.function, require), (*one.argument, _literal(found, self.text[slice(*one.argument)]))]
        parts, at = [], 0
        for start, end, new in sorted(changes):
            parts += [self.text[at:start], new]
            at = end
        return "".join([*parts, self.text[at:]])


def read_module(file: str, source: bytes) -> Module:
    """What a module asks for. Raises BundleError for one that is no Luau, or exports values."""
    tokens = tokens_of(source)
    try:
        chunk = parse_with_places(source)
    except LuauSyntaxError as error:
        first = error.diagnostics[0]
        raise BundleError(file, first.line, first.message, hint_of(error.diagnostics)) from None
    resolve(chunk)
    finder = _Finder(file, tokens)
    finder.chunk(chunk)
    finder.module.words = frozenset(tokens.texts)
    return finder.module


class _Finder(Rewriter):
    def __init__(self, file: str, tokens: Tokens) -> None:
        super().__init__()
        self._file = file
        self._tokens = tokens
        self._at = {place: index for index, place in enumerate(tokens.places())}
        self.module = Module(tokens.source)

    def rewrite_call(self, call: s.Call) -> s.Expression:
        function = call.function
        if isinstance(function, s.Name) and function.name == REQUIRE and function.binding is None:
            self._note(call, function)
        return super().rewrite_call(call)

    def _note(self, call: s.Call, function: s.Name) -> None:
        argument = call.arguments[0] if len(call.arguments) == 1 else None
        if not isinstance(argument, s.String):
            self.module.unknown.append(int(call.line))
            return
        self.module.requires.append(
            Require(
                argument.value.decode("utf-8", "replace"), int(call.line), self._span(function), self._span(argument)
            )
        )

    def _span(self, node: s.Name | s.String) -> tuple[int, int]:
        index = self._at[int(node.line), column_of(node.line)]
        return self._tokens.starts[index], self._tokens.end(index)

    def rewrite_type_alias(self, alias: s.TypeAlias) -> Replacement:
        self._note_exported(alias)
        return alias

    def rewrite_type_function(self, function: s.TypeFunction) -> Replacement:
        self._note_exported(function)
        return function

    def _note_exported(self, type_: s.TypeAlias | s.TypeFunction) -> None:
        if type_.is_exported:
            index = self._at[int(type_.line), column_of(type_.line)]
            while self._tokens.texts[index] != "export":
                index -= 1
            self.module.exports.append(self._tokens.starts[index])

    def rewrite_local(self, statement: s.Local) -> Replacement:
        self._refuse_exported(statement)
        return super().rewrite_local(statement)

    def rewrite_local_function(self, statement: s.LocalFunction) -> Replacement:
        self._refuse_exported(statement)
        return super().rewrite_local_function(statement)

    def _refuse_exported(self, statement: s.Local | s.LocalFunction) -> None:
        if statement.is_exported:
            raise BundleError(
                self._file, int(statement.line), "Exported values cannot be bundled", "Return them in a table instead."
            )


def _literal(name: str, before: str) -> str:
    """A text as a literal that takes as many lines as the one before."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{quoted}"'.encode().decode("latin-1") + "\n" * before.count("\n")
