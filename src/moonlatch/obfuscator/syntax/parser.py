"""Luau source to syntax tree, or to the faults Luau itself would report, worded as Luau words them.

Follows Luau's own parser decision by decision where that shows in a message; what only Luau's compiler rejects is for `check`.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from moonlatch.obfuscator.syntax import lexer, tree
from moonlatch.obfuscator.syntax.diagnostics import LuauSyntaxError
from moonlatch.obfuscator.syntax.explanation import explained
from moonlatch.obfuscator.syntax.first_bytes import without_marks
from moonlatch.obfuscator.syntax.lexer import EOF, Tokens
from moonlatch.obfuscator.syntax.parser_declarations import BrokenStatement, DeclarationParser
from moonlatch.obfuscator.syntax.parser_expressions import location_of
from moonlatch.obfuscator.syntax.recovery import MAX_NESTING, ParsingEndedError
from moonlatch.obfuscator.syntax.tree import NO_LINE, Binding, Block, Chunk, Expression, Statement

# Python calls per level of Luau's nesting counter are at most six or so; these calls take heap, not stack.
RECURSION_LIMIT = 20 * MAX_NESTING

BLOCK_END = frozenset({EOF, "else", "elseif", "end", "until"})
LAST_STATEMENTS = (tree.Return, tree.Break, tree.Continue)
COMPOUND_OPERATORS = {f"{operator}=": operator for operator in ["+", "-", "*", "/", "//", "%", "^", ".."]}
COMMENT = re.compile(r"--(?:\[(=*)\[[\s\S]*?\]\1\]|(?P<text>[^\r\n]*))")


def parse(source: bytes | str) -> Chunk:
    """The tree of a script. Raises LuauSyntaxError with everything that Luau's parser rejects about it, or the cause of it all.

    Text is taken as UTF-8; a byte order mark and a `#!` line are left out. As in Luau, a NUL byte ends the script. Never recurses deeper than Luau's own limit allows,
    and raises Python's recursion limit to suit (it stays raised: another thread may be parsing).
    """
    tokens = tokens_of(source)
    try:
        return parse_tokens(tokens)
    except LuauSyntaxError as error:
        raise LuauSyntaxError(explained(error.diagnostics, utf8(source), tokens)) from None


def tokens_of(source: bytes | str) -> Tokens:
    """The tokens of a script, behind what only marks the file as text or as a program."""
    return Tokens(without_marks(utf8(source)).decode("latin-1"))


def parse_written(source: str, lines: Sequence[int] | None = None) -> Chunk:
    """As `parse`, for Lua that the protector itself has written; `lines` has the script's line for each line of it, if any has one."""
    tokens = tokens_of(source)
    tokens.lines = [NO_LINE] * len(tokens.texts) if lines is None else [lines[line - 1] for line in tokens.lines]
    return parse_tokens(tokens)


def parse_tokens(tokens: Tokens) -> Chunk:
    """As `parse`, for a script that has been split already, and without looking for a cause behind the faults."""
    allow_deep_recursion()
    with collector_at_rest():
        parser = Parser(tokens)
        try:
            chunk = parser.chunk()
        except ParsingEndedError:
            chunk = None
    if parser.faults or chunk is None:
        raise LuauSyntaxError(parser.diagnostics())
    return chunk


def utf8(source: bytes | str) -> bytes:
    """A script as bytes, lone surrogates included."""
    return source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Spares the garbage collector looking through a growing tree in vain, which takes a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def allow_deep_recursion() -> None:
    """Lets code that walks a tree recursively reach the bottom of the deepest tree `parse` makes."""
    if sys.getrecursionlimit() < RECURSION_LIMIT:
        sys.setrecursionlimit(RECURSION_LIMIT)


class Parser(DeclarationParser):
    """Statements."""

    def chunk(self) -> Chunk:
        body = self.block(0)
        if self.kinds[self.index] != EOF:
            self.report_here(f"Expected <eof>, got {self.describe(self.index)}")
        return Chunk(body, self.hot_comments(), self.backtick_texts)

    def hot_comments(self) -> list[str]:
        found = (match["text"] for match in COMMENT.finditer(self.gaps[0]))
        return [text[1:].rstrip(" \t\r\n\v\f") for text in found if text and text.startswith("!")]

    # Blocks

    def block(self, depth: int) -> Block:
        names = self.local_names
        if names is None:
            return self.statements(depth)
        mark = names.mark()
        block = self.statements(depth)
        names.leave(mark)
        return block

    def statements(self, depth: int) -> Block:
        """Reads a block without closing its scope."""
        kinds = self.kinds
        depth += 1
        body: list[Statement] = []
        line = self.lines[self.index]
        while True:
            kind = kinds[self.index]
            if kind in BLOCK_END:
                break
            if depth > MAX_NESTING:
                self.too_deep("block")
            read = STATEMENTS.get(kind)
            statement = self.expression_statement(depth) if read is None else read(self, depth)
            if kinds[self.index] == ";":
                self.index += 1
            body.append(statement)
            if isinstance(statement, LAST_STATEMENTS):
                break
        return Block(body, line)

    def loop_body(self, depth: int, bindings: list[Binding]) -> Block:
        names = self.local_names
        mark = 0 if names is None else names.mark()
        self.declare(bindings)
        self.loop_depth += 1
        body = self.block(depth)
        self.loop_depth -= 1
        if names is not None:
            names.leave(mark)
        return body

    def if_statement(self, depth: int) -> Statement:
        line = self.lines[self.index]
        clauses: list[tuple[Expression, Block]] = []
        otherwise = None
        while True:
            self.index += 1
            condition = self.expression(0, depth)
            opening = self.index
            self.expect("then", "if statement")
            clauses.append((condition, self.block(depth)))
            if self.kinds[self.index] != "elseif":
                break
            depth += 1
            if depth > MAX_NESTING:
                self.too_deep("elseif")
        if self.kinds[self.index] == "else":
            opening = self.index
            self.index += 1
            otherwise = self.block(depth)
        self.expect_end("end", opening)
        return tree.If(clauses, otherwise, line)

    def while_statement(self, depth: int) -> Statement:
        line = self.lines[self.index]
        self.index += 1
        condition = self.expression(0, depth)
        opening = self.index
        self.expect("do", "while loop")
        body = self.loop_body(depth, [])
        self.expect_end("end", opening)
        return tree.While(condition, body, line)

    def repeat_statement(self, depth: int) -> Statement:
        opening = self.index
        self.index += 1
        names = self.local_names
        mark = 0 if names is None else names.mark()
        self.loop_depth += 1
        body = self.statements(depth)
        self.loop_depth -= 1
        self.expect_end("until", opening)
        condition = self.expression(0, depth)
        if names is not None:
            names.leave(mark)
        return tree.Repeat(body, condition, self.lines[opening])

    def do_statement(self, depth: int) -> Statement:
        opening = self.index
        self.index += 1
        body = self.block(depth)
        self.expect_end("end", opening)
        return tree.Do(body, self.lines[opening])

    def for_statement(self, depth: int) -> Statement:
        line = self.lines[self.index]
        self.index += 1
        binding = self.binding(depth)
        if self.kinds[self.index] == "=":
            return self.numeric_for(binding, depth, line)
        bindings = [binding]
        if self.kinds[self.index] == ",":
            self.index += 1
            self.bindings(bindings, depth)
        self.expect("in", "for loop")
        values = self.expressions(depth)
        opening = self.index
        self.expect("do", "for loop")
        body = self.loop_body(depth, bindings)
        self.expect_end("end", opening)
        return tree.GenericFor(bindings, values, body, line)

    def numeric_for(self, binding: Binding, depth: int, line: int) -> Statement:
        self.index += 1
        start = self.expression(0, depth)
        self.expect(",", "index range")
        limit = self.expression(0, depth)
        step = None
        if self.kinds[self.index] == ",":
            self.index += 1
            step = self.expression(0, depth)
        opening = self.index
        self.expect("do", "for loop")
        body = self.loop_body(depth, [binding])
        self.expect_end("end", opening)
        return tree.NumericFor(binding, start, limit, step, body, line)

    # Jumps

    def return_statement(self, depth: int) -> Statement:
        first = self.index
        self.index = first + 1
        values: list[Expression] = []
        if self.kinds[first + 1] not in BLOCK_END and self.kinds[first + 1] != ";":
            values = self.expressions(depth)
        if self.function_depth == 0:
            if self.exported_names:
                message = "Exporting values is not compatible with top-level return (export/return conflict)"
                self.report_since(first, message)
            self.has_module_return = True
        return tree.Return(values, self.lines[first])

    def break_statement(self, _depth: int) -> Statement:
        first = self.index
        self.index = first + 1
        if self.loop_depth == 0:
            self.report_at(first, "break statement must be inside a loop")
            return BrokenStatement()
        return tree.Break(self.lines[first])

    def continue_statement(self, first: int) -> Statement:
        if self.loop_depth == 0:
            self.report_at(first, "continue statement must be inside a loop")
            return BrokenStatement()
        return tree.Continue(self.lines[first])

    # Statements that begin with an expression

    def expression_statement(self, depth: int) -> Statement:
        first = self.index
        value = self.suffixed(depth, is_statement=True)
        if isinstance(value, tree.Call | tree.MethodCall):
            return tree.CallStatement(value, self.lines[first])
        kind = self.kinds[self.index]
        if kind in ("=", ","):
            return self.assignment(value, first, depth)
        if kind in COMPOUND_OPERATORS:
            self.check_target(value, first)
            self.index += 1
            operand = self.expression(0, depth)
            return tree.CompoundAssign(COMPOUND_OPERATORS[kind], value, operand, self.lines[first])
        statement = self.contextual_statement(value, first, depth)
        if statement is not None:
            return statement
        start, end = location_of(self, value, first)
        if self.index == first:
            self.advance()
        self.report(start, end, "Incomplete statement: expected assignment or a function call")
        return BrokenStatement()

    def contextual_statement(self, value: Expression, first: int, depth: int) -> Statement | None:
        """Reads a statement that begins with a word which is a keyword only here, if `value` is such a word."""
        word = value.name if isinstance(value, tree.Name) else ""
        if word == "continue":
            return self.continue_statement(first)
        if word == "type":
            return self.type_statement(depth, first, is_exported=False)
        if word == "const":
            return self.declaration(depth, first, is_const=True)
        if word == "export":
            following = self.texts[self.index]
            if following in ("local", "function", "const"):
                return self.export(depth, first)
            if following == "type":
                self.index += 1
                return self.type_statement(depth, first, is_exported=True)
        return None

    def assignment(self, value: Expression, first: int, depth: int) -> Statement:
        self.check_target(value, first)
        targets = [value]
        while self.kinds[self.index] == ",":
            self.index += 1
            target_first = self.index
            target = self.suffixed(depth, is_statement=True)
            self.check_target(target, target_first)
            targets.append(target)
        self.expect("=", "assignment")
        return tree.Assign(targets, self.expressions(depth), self.lines[first])


STATEMENTS: dict[str, Callable[[Parser, int], Statement]] = {
    "if": Parser.if_statement,
    "while": Parser.while_statement,
    "do": Parser.do_statement,
    "for": Parser.for_statement,
    "repeat": Parser.repeat_statement,
    "function": Parser.function_statement,
    "local": Parser.local_statement,
    "return": Parser.return_statement,
    "break": Parser.break_statement,
    lexer.ATTRIBUTE: Parser.attributed_statement,
    "@[": Parser.attributed_statement,
}
