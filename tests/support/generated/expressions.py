"""Expressions of each kind of value. What they yield may fail at run time; whoever runs them catches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.generated.draw import KINDS, Draw, Scope

if TYPE_CHECKING:
    import random

INTEGERS = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "10",
    "100",
    "255",
    "1000",
    "65536",
    "123456",
    "0x1F",
    "0b101",
    "1_000",
    "4294967296",
]
FRACTIONS = ["0.5", "2.5", ".125", "1e3", "3.14159", "1e-3", "0.1", "7.", "12345.678"]
EXTREMES = ["9007199254740993", "1e300", "1e308 * 10", "-(1e308 * 10)", "0/0", "-0", "2^53", "5e-324"]
STRINGS = [
    *['"text"', "'it\\'s'", '"\\1\\255z"', "[[long\nstring]]", '""', '"caf\\u{e9} 9"', '"%d %s"', '"a\\z\n   b"'],
    *['"\\x41\\65\\n"', "[==[ ]] ]==]", '"end"', '"x"', '"name"', '"12"', '"0x10"', '" 7 "', '"-- no comment"'],
]
TYPES = [
    "any",
    "number?",
    "{ any }",
    "{ [string]: any }",
    "(any) -> any",
    "(number, ...any) -> (any, ...any)",
    "typeof(1)",
]


class Expressions(Draw):
    """`value` writes an expression of a kind, `operand` one that may stand beside an operator or before a suffix."""

    def __init__(self, generator: random.Random, *, portable: bool) -> None:
        super().__init__(generator, portable=portable)
        self._writers = {
            "number": self.number,
            "string": self.string,
            "boolean": self.boolean,
            "list": self.list,
            "record": self.record,
            "function": self.function,
            "any": self.any,
        }

    def value(self, kind: str, scope: Scope, depth: int) -> str:
        text = self._writers[kind](scope, depth)
        if self.chance(self.trace_rate):
            text = f"t({self.number_for()}, {text})"
        if self.chance(self.type_rate * 0.3):
            text = f"({text} :: any)"
        return text

    def operand(self, kind: str, scope: Scope, depth: int) -> str:
        text = self.value(kind, scope, depth)
        is_simple = text.isidentifier() or (text.isalnum() and not text[0].isdigit())
        return text if is_simple else f"({text})"

    def primary(self, kind: str, scope: Scope, depth: int) -> str:
        """Something that can be indexed or called."""
        names = scope.visible(kind)
        return self.one_of(names) if names and self.chance(0.7) else f"({self.value(kind, scope, depth)})"

    def variable(self, kind: str, scope: Scope) -> str | None:
        names = scope.visible(kind)
        return self.one_of(names) if names else None

    def choice_of(self, kind: str, scope: Scope, depth: int) -> str:
        one = lambda: self.value(kind, scope, depth - 1)  # noqa: E731 - used several times below
        condition = lambda: self.value(self.pick("boolean", "any"), scope, depth - 1)  # noqa: E731
        if self.chance(0.4):
            middle = "".join(f" elseif {condition()} then {one()}" for _ in range(self.between(0, 2)))
            return f"(if {condition()} then {one()}{middle} else {one()})"
        return f"({self.operand('boolean', scope, depth - 1)} and {self.operand(kind, scope, depth - 1)} or {self.operand(kind, scope, depth - 1)})"

    # Numbers

    def number(self, scope: Scope, depth: int) -> str:
        if self.is_spent(depth):
            return (
                self.variable("number", scope)
                if self.chance(0.6) and scope.visible("number")
                else self.number_literal()
            )
        shape = self.pick(
            "literal", "variable", "variable", "chain", "chain", "length", "field", "choice", "guard", "call", "builtin"
        )
        if shape == "variable":
            return self.variable("number", scope) or self.number_literal()
        if shape == "chain":
            return self.arithmetic(scope, depth)
        if shape == "length":
            return f"#{self.primary(self.pick('list', 'string'), scope, depth - 1)}"
        if shape == "field":
            return self.primary("record", scope, depth - 1) + self.pick(".x", ".y", "['x']")
        if shape == "choice":
            return self.choice_of("number", scope, depth)
        if shape == "guard":
            return f"num({self.value('any', scope, depth - 1)})"
        if shape == "call":
            return f"num({self.call(scope, depth - 1)})"
        if shape == "builtin":
            return self.number_builtin(scope, depth)
        return self.number_literal()

    def number_literal(self) -> str:
        return self.one_of(self.one_of([INTEGERS, INTEGERS, FRACTIONS, FRACTIONS, EXTREMES]))

    def arithmetic(self, scope: Scope, depth: int) -> str:
        parts = [self.sign() + self.operand("number", scope, depth - 1)]
        for _ in range(self.between(1, 3)):
            operator = self.pick("+", "-", "*", "/", "%", "//", "+", "-", "*", "^")
            operand = self.exponent(scope, depth) if operator == "^" else self.operand("number", scope, depth - 1)
            parts += [self.same_everywhere(operator), self.sign() + operand]
        return " ".join(parts)

    def exponent(self, scope: Scope, depth: int) -> str:
        """No literal in a portable program: by some of them Luau computes a product or a root, the other Luas never do."""
        text = self.operand("number", scope, depth - 1)
        return f"num({text})" if self.portable else text

    def same_everywhere(self, operator: str) -> str:
        """Lua 5.1 takes `a % b` for `a - floor(a / b) * b`, which is another number where the quotient is not exact."""
        return "-" if self.portable and operator == "%" else operator

    def sign(self) -> str:
        return self.pick("", "", "", "-", "- -")

    def number_builtin(self, scope: Scope, depth: int) -> str:
        one = lambda: self.value("number", scope, depth - 1)  # noqa: E731
        # LuaJIT takes the other number where one is nan.
        sound = (lambda: f"num({one()})") if self.portable else one
        shapes = [
            lambda: f"math.floor({one()})",
            lambda: f"math.max({sound()}, {sound()}, {sound()})",
            lambda: f"math.abs({one()})",
            lambda: f"num(tonumber({self.value('string', scope, depth - 1)}))",
            lambda: f"num(string.byte({self.value('string', scope, depth - 1)}, {self.between(-3, 3)}))",
            lambda: f"({self.value('string', scope, depth - 1)}):len()",
            lambda: f"select('#', {self.several(scope, depth - 1)})",
        ]
        if self.portable:
            shapes.append(lambda: f"({self.value('string', scope, depth - 1)}):len() % {self.between(-5, -2)}")
        else:
            shapes += [
                lambda: f"bit32.bxor(num({one()}) % 65536 // 1, {self.between(0, 4095)})",
                lambda: f"math.clamp({one()}, 0, 10)",
                lambda: f"math.sign({one()})",
            ]
        return self.one_of(shapes)()

    # Strings

    def string(self, scope: Scope, depth: int) -> str:
        if self.is_spent(depth):
            return (
                self.variable("string", scope) if self.chance(0.5) and scope.visible("string") else self.one_of(STRINGS)
            )
        shape = self.pick(
            "literal", "variable", "concat", "concat", "interpolated", "method", "choice", "guard", "field", "format"
        )
        if shape == "variable":
            return self.variable("string", scope) or self.one_of(STRINGS)
        if shape == "concat":
            return " .. ".join(self.concat_part(scope, depth - 1) for _ in range(self.between(2, 4)))
        if shape == "interpolated":
            return self.interpolated(scope, depth)
        if shape == "method":
            method = self.pick(
                "upper()",
                "rep(2)",
                "sub(2, -2)",
                "rep(2, ', ')" if not self.portable else "reverse()",
                "gsub('%l', '<%0>')",
            )
            return (
                f"({self.value('string', scope, depth - 1)}):{method}"
                if "gsub" not in method
                else f"(({self.value('string', scope, depth - 1)}):{method})"
            )
        if shape == "choice":
            return self.choice_of("string", scope, depth)
        if shape == "guard":
            return f"str({self.value('any', scope, depth - 1)})"
        if shape == "field":
            return f"str({self.primary('record', scope, depth - 1)}.name)"
        if shape == "format":
            # LuaJIT writes some tiny numbers as huge ones with `f`, and until 2025 rounded ties up where few digits are asked for.
            kind = "14g" if self.portable else "2f"
            return self.pick(
                f"string.format('%5.{kind}|%d', num({self.value('number', scope, depth - 1)}), {self.between(-5, 99)})",
                f"string.format('%s-%x', {self.value('string', scope, depth - 1)}, {self.between(0, 99999)})",
                f"tostring({self.value('boolean', scope, depth - 1)})",
            )
        return self.one_of(STRINGS)

    def concat_part(self, scope: Scope, depth: int) -> str:
        if self.portable:
            return self.pick(
                f"str({self.value('any', scope, depth)})", self.operand("string", scope, depth), "12", "'end'"
            )
        return self.pick(
            self.operand("string", scope, depth), self.operand("number", scope, depth), "1", "2.5", "'end'"
        )

    def interpolated(self, scope: Scope, depth: int) -> str:
        kinds = ["string", "boolean"] if self.portable else ["string", "boolean", "number"]
        parts = [self.pick("", "a ", "100% ", "\\{", "\\u{48}", "%d", "\\z\n  ", "\\`")]
        for _ in range(self.between(0, 3)):
            inner = self.value(self.one_of(kinds), scope, depth - 1)
            parts += [
                f"{{ {inner} }}" if inner.startswith("{") else f"{{{inner}}}",
                self.pick("", " b", "\\n", "}", "%%"),
            ]
        return f"`{''.join(parts)}`"

    # Truth

    def boolean(self, scope: Scope, depth: int) -> str:
        if self.is_spent(depth):
            return (
                self.variable("boolean", scope)
                if self.chance(0.5) and scope.visible("boolean")
                else self.pick("true", "false")
            )
        one = lambda kind: self.operand(kind, scope, depth - 1)  # noqa: E731
        shape = self.pick("variable", "compare", "compare", "equal", "not", "logic", "kind", "text")
        if shape == "compare":
            return f"{one('number')} {self.pick('<', '<=', '>', '>=', '==', '~=')} {one('number')}"
        if shape == "text":
            return f"{one('string')} {self.pick('<', '<=', '>', '>=', '==', '~=')} {one('string')}"
        if shape == "equal":
            return f"{one('any')} {self.pick('==', '~=')} {self.pick('nil', one('any'))}"
        if shape == "not":
            return f"not {one(self.pick('boolean', 'any', 'number'))}"
        if shape == "logic":
            return f"not not ({self.logic(scope, depth)})"
        if shape == "kind":
            kind = self.pick("'number'", "'table'", "'nil'")
            return f"kind_of({self.value('any', scope, depth - 1)}) == {kind}"
        return self.variable("boolean", scope) or self.pick("true", "false")

    def logic(self, scope: Scope, depth: int) -> str:
        parts = [self.pick("", "", "not ") + self.operand(self.pick("boolean", "any"), scope, depth - 1)]
        for _ in range(self.between(1, 3)):
            parts += [
                self.pick("and", "or"),
                self.pick("", "", "not ") + self.operand(self.pick("boolean", "any", "number"), scope, depth - 1),
            ]
        return " ".join(parts)

    # Tables

    def list(self, scope: Scope, depth: int) -> str:
        """Dense, so that its length is defined."""
        if self.is_spent(depth) or self.chance(0.3):
            return self.variable("list", scope) or self.pick("{}", "{ 1, 2, 3 }", "{ 'a', 'b' }", "{ 5 }")
        items = [
            self.value(self.pick("number", "string", "boolean", "record"), scope, depth - 1)
            for _ in range(self.between(0, 5))
        ]
        if self.chance(0.2):
            items.append(f"pair_of({self.value('number', scope, depth - 1)})")
        separator = self.pick(", ", "; ")
        return "{ " + separator.join(items) + self.pick("", ",") * bool(items) + " }"

    def record(self, scope: Scope, depth: int) -> str:
        if self.is_spent(depth) or self.chance(0.3):
            return self.variable("record", scope) or "{ x = 1, y = 2, name = 'n' }"
        fields = [
            f"x = {self.value('number', scope, depth - 1)}",
            f"['y'] = {self.value('number', scope, depth - 1)}",
            f"name = {self.value('string', scope, depth - 1)}",
            f"item = {self.value('any', scope, depth - 1)}",
            f"[{self.between(1, 3)}] = {self.value('any', scope, depth - 1)}",
            f"longer_field_name = {self.value('any', scope, depth - 1)}",
        ]
        keep = fields[:2] + [one for one in fields[2:] if self.chance(0.5)]
        self.generator.shuffle(keep)
        return "{ " + ", ".join(keep) + " }"

    # Functions and calls

    def function(self, scope: Scope, depth: int) -> str:
        if self.is_spent(depth) or self.chance(0.3):
            return self.variable("function", scope) or "function(...) return ... end"
        return "function" + self.body_of_function(scope, depth)

    def body_of_function(self, scope: Scope, depth: int) -> str:
        """Overridden where statements are known."""
        inner = scope.function(has_varargs=True)
        return f"(...) if not burn() then return 0 end return {self.value('any', inner, depth - 1)}, ... end"

    def call(self, scope: Scope, depth: int) -> str:
        return f"{self.primary('function', scope, depth)}({self.several(scope, depth)})"

    def several(self, scope: Scope, depth: int) -> str:
        """A list of values, the last of which may be many."""
        values = [self.value(self.one_of(KINDS), scope, depth - 1) for _ in range(self.between(0, 3))]
        if scope.has_varargs and self.chance(0.3):
            values.append(self.pick("...", "...", "(...)", "select(2, ...)"))
        elif depth > 0 and self.chance(0.25):
            values.append(self.pick(f"{self.call(scope, depth - 1)}", f"({self.call(scope, depth - 1)})"))
        return ", ".join(values or [self.pick("nil", "1")])

    def any(self, scope: Scope, depth: int) -> str:
        if self.is_spent(depth):
            return self.variable("any", scope) or self.pick("nil", "false", "5", "'s'")
        shape = self.pick("nil", "variable", "kind", "kind", "index", "item", "call", "logic", "varargs", "global")
        if shape == "kind":
            return self.value(self.one_of(KINDS[:-1]), scope, depth - 1)
        if shape == "index":
            return f"{self.primary('list', scope, depth - 1)}[{self.value('number', scope, depth - 1)}]"
        if shape == "item":
            return f"{self.primary('record', scope, depth - 1)}{self.pick('.item', '.longer_field_name', '[1]', '[2]')}"
        if shape == "call":
            return self.call(scope, depth - 1)
        if shape == "logic":
            return f"({self.logic(scope, depth)})"
        if shape == "varargs" and scope.has_varargs:
            return self.pick("(...)", "...", "(select(2, ...))")
        if shape == "global":
            return self.pick("shared_one", "shared_two")
        return self.variable("any", scope) or "nil"

    # Types

    def annotation(self) -> str:
        return f": {self.one_of(TYPES)}" if self.chance(self.type_rate) else ""
