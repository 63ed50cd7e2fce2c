"""Reads type annotations, to reject what Luau rejects; no tree comes of them, because types do nothing at run time."""

from __future__ import annotations

from abc import abstractmethod
from enum import Enum, auto

from moonlatch.obfuscator.syntax import lexer
from moonlatch.obfuscator.syntax.lexer import NAME, QUOTED, RAW
from moonlatch.obfuscator.syntax.literals import MalformedLiteralError, string_value
from moonlatch.obfuscator.syntax.parser_table_types import TableTypeParser
from moonlatch.obfuscator.syntax.tree import Expression

MAX_TYPE_LENGTH = 1000


class TypeForm(Enum):
    """What was read where both a type and a type pack may stand."""

    TYPE = auto()
    PACK = auto()
    PACK_OF_ONE = auto()


class TypeParser(TableTypeParser):
    """All other types, and where they stand."""

    @abstractmethod
    def expression(self, limit: int, depth: int) -> Expression:
        """Reads an expression, for `typeof(...)`."""

    @abstractmethod
    def interpolated_string(self, depth: int) -> Expression:
        """Reads an interpolated string, which is not a type but is told so only when it has been read."""

    def annotation(self, depth: int) -> None:
        """Reads the type after `:` or `::`, which has been taken."""
        self.depth = depth
        self.type()

    def return_annotation(self, depth: int) -> None:
        """Reads `: type` after a parameter list."""
        if self.kinds[self.index] == "->":
            self.report_here("Function return type annotations are written after ':' instead of '->'")
        self.index += 1
        self.depth = depth
        self.return_type()
        if self.kinds[self.index] == ",":
            self.report_here(
                "Expected a statement, got ','; did you forget to wrap the list of return types in parentheses?"
            )
            self.index += 1

    def vararg_annotation(self, depth: int) -> None:
        """Reads the type of `...` in a parameter list, `T` or `T...`."""
        if self.kinds[self.index] == NAME and self.kinds[self.index + 1] == "...":
            self.index += 2
        else:
            self.annotation(depth)

    def type(self) -> None:
        depth = self.depth
        first = self.index
        has_head = self.kinds[first] not in ("|", "&")
        if has_head:
            self.simple_type(allow_pack=False)
            self.depth = depth
        self.type_suffix(first, has_head=has_head)
        self.depth = depth

    def type_suffix(self, first: int, *, has_head: bool) -> None:
        """Reads `| type`, `& type` and `?` after the type that token `first` began."""
        self.deepen()
        parts, optional_parts, last_part = int(has_head), 0, first
        is_union = is_intersection = False
        while True:
            kind = self.kinds[self.index]
            if kind in ("|", "&"):
                self.index += 1
                depth = self.depth
                last_part = self.index
                self.simple_type(allow_pack=False)
                self.depth = depth
                is_union |= kind == "|"
                is_intersection |= kind == "&"
                parts += 1
            elif kind == "?":
                last_part = self.index
                self.index += 1
                is_union = True
                parts += 1
                optional_parts += 1
            elif kind == "...":
                self.report_here("Unexpected '...' after type annotation")
                self.index += 1
            else:
                break
            if parts > MAX_TYPE_LENGTH + optional_parts:
                message = "Exceeded allowed type length; simplify your type annotation to make the code compile"
                self.stop(self.tokens.starts[last_part], message)
        if is_union and is_intersection:
            self.report_since(
                first, "Mixing union and intersection types is not allowed; consider wrapping in parentheses."
            )

    def simple_type(self, *, allow_pack: bool) -> TypeForm:
        self.deepen()
        first = self.index
        kind = self.kinds[first]
        if kind == NAME:
            self.named_type()
        elif kind == "{":
            self.table_type()
        elif kind in ("(", "<"):
            return self.function_type(allow_pack=allow_pack)
        elif kind in ("nil", "true", "false"):
            self.index += 1
        elif kind in (RAW, QUOTED):
            self.index += 1
            try:
                string_value(self.texts[first], kind)
            except MalformedLiteralError as problem:
                self.report_at(first, str(problem))
        elif kind in (lexer.INTERPOLATION_BEGIN, lexer.INTERPOLATED):
            self.interpolated_string(self.depth)
            self.report_at(first, "Interpolated string literals cannot be used as types")
        elif kind == lexer.BROKEN_STRING:
            self.index += 1
            self.report_at(first, "Malformed string; did you forget to finish it?")
        elif kind in (lexer.ATTRIBUTE, "@["):
            self.report_at(first, "attributes are not allowed in declaration context")
        elif kind == "function":
            self.index += 1
            self.report_at(
                first,
                "Using 'function' as a type annotation is not supported, consider replacing with a function type annotation"
                " e.g. '(...any) -> ...any'",
            )
        else:
            # Luau's location begins after the previous token, which puts the fault on that token's line.
            start = self.tokens.end(first - 1)
            self.report(start, self.tokens.end(first), f"Expected type, got {self.describe(first)}")
        return TypeForm.TYPE

    def named_type(self) -> None:
        first = self.index
        self.index += 1
        kind = self.kinds[self.index]
        if kind == ".":
            self.index += 1
            self.name_after(first + 1, "field name")
        elif kind == "...":
            self.report_here("Unexpected '...' after type name; type pack is not allowed in this context")
            self.index += 1
        elif self.texts[first] == "typeof":
            opening = self.index
            self.expect("(", "typeof type")
            depth = self.depth
            self.expression(0, depth)
            self.depth = depth
            self.expect_closing(")", opening)
            return
        if self.kinds[self.index] == "<":
            self.type_parameters()

    # Lists

    def stands_at_pack(self) -> bool:
        kind = self.kinds[self.index]
        return kind == "..." or (kind == NAME and self.kinds[self.index + 1] == "...")

    def type_pack(self) -> None:
        """Reads `...T` or `T...`."""
        if self.kinds[self.index] == "...":
            self.index += 1
            self.type()
        else:
            self.index += 2

    def type_list(self) -> tuple[int, bool, bool]:
        """Reads `a: T, U, ...V`; answers how many types there are, whether any has a name, whether a pack ends it."""
        count, has_names = 0, False
        while True:
            if self.stands_at_pack():
                self.type_pack()
                return count, has_names, True
            if self.kinds[self.index] == NAME and self.kinds[self.index + 1] == ":":
                has_names = True
                self.index += 2
            self.type()
            count += 1
            if self.kinds[self.index] != ",":
                return count, has_names, False
            self.index += 1
            if self.kinds[self.index] == ")":
                self.report_here("Expected type after ',' but got ')' instead")
                return count, has_names, False

    def type_parameters(self) -> None:
        """Reads `<T, ...U>` after the name of a type."""
        opening = self.index
        self.index += 1
        count = 0
        while True:
            first = self.index
            if self.stands_at_pack():
                self.type_pack()
            elif self.kinds[first] == "(":
                form = self.simple_type(allow_pack=True)
                follows = self.kinds[self.index] in ("|", "?", "&")
                # (T) is a pack of one type, unless it goes on as a type does.
                if form is TypeForm.TYPE or (form is TypeForm.PACK_OF_ONE and follows):
                    self.type_suffix(first, has_head=True)
            elif self.kinds[first] == ">" and count == 0:
                break
            else:
                self.type()
            count += 1
            if self.kinds[self.index] != ",":
                break
            self.index += 1
        self.expect_closing(">", opening)

    def instantiation_parameters(self) -> None:
        """Reads `<<T, U>>` after an expression."""
        opening = self.index
        self.index += 1
        self.type_parameters()
        self.expect_closing(">", opening)

    def generics(self, depth: int, *, with_defaults: bool) -> int:
        """Reads `<T, U...>` where a function or type declares them, if it is there; answers how many there are."""
        opening = self.index
        if self.kinds[opening] != "<":
            return 0
        self.depth = depth
        self.index += 1
        count = 0
        seen_pack = seen_default = False
        while True:
            self.name(None)
            count += 1
            is_pack = self.kinds[self.index] == "..." or seen_pack
            if is_pack:
                seen_pack = True
                if self.kinds[self.index] == "...":
                    self.index += 1
                else:
                    self.report_here("Generic types come before generic type packs")
            if with_defaults and self.kinds[self.index] == "=":
                seen_default = True
                self.index += 1
                if is_pack:
                    self.default_pack()
                else:
                    self.type()
            elif seen_default:
                kind, after = ("type pack", "type pack name") if is_pack else ("type", "type name")
                self.report_here(f"Expected default {kind} after {after}")
            if self.kinds[self.index] != ",":
                break
            self.index += 1
            if self.kinds[self.index] == ">":
                self.report_here("Expected type after ',' but got '>' instead")
                break
        self.expect_closing(">", opening)
        return count

    def default_pack(self) -> None:
        if self.stands_at_pack():
            self.type_pack()
            return
        first = self.index
        depth = self.depth
        if self.simple_type(allow_pack=True) is TypeForm.TYPE:
            self.depth = depth
            self.type_suffix(first, has_head=True)
            self.report_since(first, "Expected type pack after '=', got type")

    # Functions and tables

    def return_type(self) -> None:
        self.deepen()
        opening = self.index
        if self.kinds[opening] != "(":
            if self.stands_at_pack():
                self.type_pack()
            else:
                self.type()
            return
        self.index += 1
        self.wanted_arrows += 1
        count, has_names = 0, False
        if self.kinds[self.index] != ")":
            count, has_names, _ = self.type_list()
        self.expect_closing(")", opening, search=True)
        self.wanted_arrows -= 1
        if self.kinds[self.index] == "->" or has_names:
            self.function_type_tail(opening, is_empty=count == 0)
        elif count == 1:
            self.type_suffix(opening, has_head=True)

    def function_type(self, *, allow_pack: bool) -> TypeForm:
        """Reads `<T>(a: T) -> U`, or what turns out to be a type in parentheses or a pack."""
        self.deepen()
        first = self.index
        is_function = self.kinds[first] == "<"
        generics = self.generics(self.depth, with_defaults=False)
        opening = self.index
        self.expect("(", "function parameters")
        self.wanted_arrows += 1
        count, has_names, has_tail = 0, False, False
        if self.kinds[self.index] != ")":
            count, has_names, has_tail = self.type_list()
        self.expect_closing(")", opening, search=True)
        self.wanted_arrows -= 1
        is_function = is_function or has_names or self.kinds[self.index] in ("->", ":")
        if not is_function and count == 1 and not has_tail:
            return TypeForm.PACK_OF_ONE if allow_pack else TypeForm.TYPE
        if not is_function and allow_pack:
            return TypeForm.PACK
        self.function_type_tail(first, is_empty=generics == 0 and count == 0)
        return TypeForm.TYPE

    def function_type_tail(self, first: int, *, is_empty: bool) -> None:
        """Reads `-> type` after the parameters that token `first` began."""
        self.deepen()
        if self.kinds[self.index] == ":":
            self.report_here("Return types in function type annotations are written after '->' instead of ':'")
            self.index += 1
        elif self.kinds[self.index] != "->" and is_empty:
            message = "Expected '->' after '()' when parsing function type; did you mean 'nil'?"
            self.report_since(first, message)
            return
        else:
            self.expect("->", "function type")
        self.return_type()
