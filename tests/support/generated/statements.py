"""Statements of every form, with the loops, functions and declarations that expressions stand in."""

from __future__ import annotations

from support.generated.draw import KINDS, Scope
from support.generated.expressions import TYPES, Expressions

THROWN = ["{ x = 1 }", "nil", "false", "12", "'E:text'", "'E:text', 0", "'E:text', 2"]
COMPOUND_NUMBER = ["+", "-", "*", "/", "%", "//", "^"]


class Statements(Expressions):
    def block(self, scope: Scope, depth: int, **changes: object) -> str:
        inner = scope.inner(**changes)
        return self.statements(inner, depth, self.between(1, 3))

    def statements(self, scope: Scope, depth: int, count: int) -> str:
        """Statements in the scope itself; what they declare stays visible in it."""
        return "\n".join(self.statement(scope, depth) for _ in range(count))

    def statement(self, scope: Scope, depth: int) -> str:
        if self.is_spent(depth):
            return f"say({self.several(scope, 1)})"
        shapes = [
            *[
                self.declare,
                self.declare,
                self.assign,
                self.assign_field,
                self.compound,
                self.compound,
                self.say,
                self.say,
            ],
            *[
                self.if_statement,
                self.while_loop,
                self.numeric_loop,
                self.generic_loop,
                self.repeat_loop,
                self.local_function,
            ],
            *[
                self.do,
                self.call_statement,
                self.several_at_once,
                self.declare_several,
                self.type_statement,
                self.method,
            ],
        ]
        if scope.loop != "none":
            shapes += [self.jump, self.jump]
        if scope.in_function:
            shapes += [self.leave]
        if scope.can_yield:
            shapes += [self.yields, self.yields]
        text = self.one_of(shapes)(scope, depth)
        return text + self.pick("", "", "", "", ";", " -- a comment\n", "--[[ another\n]]")

    # Declarations and assignments

    def declare(self, scope: Scope, depth: int) -> str:
        kind, name = self.one_of(KINDS), self.name()
        value = self.value(kind, scope, min(depth, 3))
        is_constant = self.chance(0.1)
        scope.declare(name, kind, is_constant=is_constant)
        return f"{'const' if is_constant else 'local'} {name}{self.annotation()} = {value}"

    def declare_several(self, scope: Scope, depth: int) -> str:
        count = self.between(2, 4)
        names = self.generator.sample(["a", "b", "c", "d", "e", "i", "j", "k"], count)
        values = self.several(scope, min(depth, 2))
        for name in names:
            scope.declare(name, "any")
        return f"local {', '.join(name + self.annotation() for name in names)} = {values}"

    def assign(self, scope: Scope, depth: int) -> str:
        kind = self.one_of(KINDS)
        names = scope.visible(kind, writable=True)
        if not names:
            return f"{self.pick('shared_one', 'shared_two')} = {self.value('any', scope, min(depth, 3))}"
        value = self.value(kind, scope, min(depth, 3))
        # A text that doubles in every round of a loop would fill the memory.
        return f"{self.one_of(names)} = " + (f"str({value})" if kind == "string" else value)

    def assign_field(self, scope: Scope, depth: int) -> str:
        if self.chance(0.3):
            names = scope.visible("list")
            place = self.one_of(names) if names else ""
            value = self.value(self.pick("number", "string"), scope, depth - 1)
            if not names:
                return f"do local list = {{ 1, 2 }}; list[#list + 1] = {value} say(list) end"
            position = self.pick(f"#{place} + 1", f"{self.operand('number', scope, 1)} % #{place} + 1")
            return f"{place}[{position}] = {value}"
        names = scope.visible("record")
        if not names:
            return f"do local record = {self.record(scope, 1)}; record.item = {self.value('any', scope, depth - 1)} say(record) end"
        field, kind = self.one_of(
            [("x", "number"), ("y", "number"), ("item", "any"), ("name", "string"), ("longer_field_name", "any")]
        )
        place = self.pick(f".{field}", f"['{field}']", f"[t({self.number_for()}, '{field}')]")
        return f"{self.one_of(names)}{place} = {self.value(kind, scope, depth - 1)}"

    def several_at_once(self, scope: Scope, depth: int) -> str:
        names = scope.visible("any", writable=True)
        lists = scope.visible("list")
        if len(names) >= 2 and self.chance(0.6):
            targets = [self.one_of(names), self.one_of(names)]
            if targets[0] == targets[1]:
                targets.pop()
        elif lists:
            place = self.one_of(lists)
            low, high = self.between(1, 3), self.between(1, 3)
            return f"if #{place} > 2 then {place}[{low}], {place}[{high + (low == high)}] = {place}[{high}], {place}[{low}] end"
        else:
            targets = ["shared_one", "shared_two"]
        return f"{', '.join(targets)} = {self.several(scope, min(depth, 2))}"

    def compound(self, scope: Scope, depth: int) -> str:
        small = min(depth, 2)
        records, numbers = scope.visible("record"), scope.visible("number", writable=True)
        strings, lists = scope.visible("string", writable=True), scope.visible("list")
        operator = self.same_everywhere(self.one_of(COMPOUND_NUMBER))

        def value() -> str:
            return self.exponent(scope, small + 1) if operator == "^" else self.value("number", scope, small)

        shapes = []
        if numbers:
            shapes.append(lambda: f"{self.one_of(numbers)} {operator}= {value()}")
        if strings:
            shapes.append(lambda: f"{self.one_of(strings)} ..= str({self.value('any', scope, small)})")
        if records:
            record = self.one_of(records)
            key = self.pick("'x'", "'y'")
            key = f"[t({self.number_for()}, {key})]"
            place = self.pick(
                f"{record}.x",
                f"{record}['y']",
                f"t({self.number_for()}, {record}){key}",
                f"t({self.number_for()}, {record}).x",
            )
            shapes.append(lambda: f"{place} {operator}= {value()}")
            shapes.append(lambda: f"{record}.name = 'q'; {record}.name ..= {self.operand('string', scope, small)}")
        if lists:
            listed = self.one_of(lists)
            shapes.append(
                lambda: (
                    f"if kind_of({listed}[1]) == 'number' then {listed}[{self.pick('1', '#' + listed + ' - #' + listed + ' + 1')}] {operator}= {value()} end"
                )
            )
        shapes.append(lambda: f"shared_one = num(shared_one) shared_one {operator}= {value()}")
        return self.one_of(shapes)()

    def type_statement(self, scope: Scope, depth: int) -> str:
        if not self.chance(self.type_rate):
            return self.say(scope, depth)
        return self.pick(
            f"type {self.fresh('Made')} = {self.one_of(TYPES)}",
            f"export type {self.fresh('Shared')}<T, U...> = {{ first: T, [number]: {self.one_of(TYPES)} }}"
            if not scope.in_function and scope.loop == "none" and depth >= 4
            else f"type {self.fresh('Kept')}<T = string> = (T) -> ...T",
        )

    # Calls

    def say(self, scope: Scope, depth: int) -> str:
        return f"say({self.several(scope, min(depth, 3))})"

    def call_statement(self, scope: Scope, depth: int) -> str:
        functions = scope.visible("function")
        if not functions:
            return f"try(function(...) {self.block(scope.function(has_varargs=True), depth - 1)} end, {self.several(scope, 1)})"
        return self.pick(
            f"{self.one_of(functions)}({self.several(scope, depth - 1)})",
            f"{self.one_of(functions)} 'alone'",
            f"{self.one_of(functions)} {{ 1 }}",
        )

    def method(self, scope: Scope, depth: int) -> str:
        owner, name, parameter = self.fresh("object"), self.pick("go", "step_", "name"), self.pick("a", "b", "value")
        inner = scope.function(has_varargs=False)
        inner.declare("self", "record")
        inner.declare(parameter, "any")
        body = self.block(inner, depth - 2)
        call = self.pick(
            f"say({owner}:{name}({self.value('any', scope, 1)}))",
            f"say({owner}.{name}({owner}, 2))",
            f"say(t({self.number_for()}, {owner}):{name}'text')",
        )
        generics, comma = self.pick("<T>", "") if self.type_rate else "", self.annotation()
        return f"local {owner} = {self.record_constructor(scope)}\nfunction {owner}:{name}{generics}({parameter}{comma}) if not burn() then return 1 end {body} return {self.value('any', inner, 1)}, self.x end\n{call}"

    def record_constructor(self, scope: Scope) -> str:
        return f"{{ x = {self.number(scope, 1)}, y = 2, name = 'object', inner = {{ x = 3 }} }}"

    # Blocks

    def do(self, scope: Scope, depth: int) -> str:
        return f"do {self.block(scope, depth - 1)} end"

    def condition(self, scope: Scope, depth: int) -> str:
        return self.value(self.pick("boolean", "boolean", "any"), scope, min(depth - 1, 3))

    def if_statement(self, scope: Scope, depth: int) -> str:
        text = f"if {self.condition(scope, depth)} then {self.block(scope, depth - 1)}"
        for _ in range(self.pick("", "x", "xx").count("x")):
            text += f" elseif {self.condition(scope, depth)} then {self.block(scope, depth - 1)}"
        if self.chance(0.5):
            text += f" else {self.block(scope, depth - 1)}"
        return f"{text} end"

    def while_loop(self, scope: Scope, depth: int) -> str:
        counter = self.fresh("rounds")
        body = self.block(scope, depth - 1, loop="any")
        condition = self.pick(f"{counter} < {self.between(1, 5)}", f"{counter} < 4 and {self.condition(scope, depth)}")
        return f"local {counter} = 0 while {condition} do {counter} += 1 if not burn() then break end {body} end"

    def numeric_loop(self, scope: Scope, depth: int) -> str:
        bounds = self.pick(
            *[
                "1, 3",
                "1, 4",
                "3, 1, -1",
                "0, 1, 0.25",
                "1, 0",
                "-2, 2, 2",
                "10, 1, -3.5",
                "1, 2.5",
                "0.1, 0.5, 0.1",
                "5, 5",
            ],
            f"1, num({self.value('number', scope, 1)}) % 5",
            f"t({self.number_for()}, 1), t({self.number_for()}, 2), t({self.number_for()}, 1)",
            "0/0, 3",
        )
        name = self.name()
        inner = scope.inner(loop="any")
        inner.declare(name, "number")
        change = f"{name} += 1 " if self.chance(0.1) else ""
        return f"for {name}{self.annotation()} = {bounds} do if not burn() then break end {change}{self.statements(inner, depth - 1, self.between(1, 3))} end"

    def generic_loop(self, scope: Scope, depth: int) -> str:
        key, item = self.generator.sample(["i", "j", "k", "a", "b", "value", "continue", "type"], 2)
        values = self.value("list", scope, min(depth - 1, 2))
        source = self.pick(
            f"ipairs({values})", values, f"({values})", f"next, {values}", f"pairs({values})", self.iterator(scope)
        )
        inner = scope.inner(loop="any")
        inner.declare(key, "any")
        inner.declare(item, "any")
        return f"for {key}, {item} in {source} do if not burn() then break end {self.statements(inner, depth - 1, self.between(1, 3))} end"

    def iterator(self, scope: Scope) -> str:
        last = self.between(1, 4)
        return self.pick(
            f"function(state, at) at = (at or 0) + 1 if at <= {last} then return at, t({self.number_for()}, at * 2) end end",
            f"(function(list) local at = 0 return function() at += 1 return list[at], at end end)({self.list(scope, 1)})",
            "string.gmatch('one two three', '%a+')",
            f"setmetatable({{}}, {{ __iter = function(self) return function(_, at) at = (at or 0) + 1 if at < {last} then return at, 'item' .. at end end, self end }})",
            f"setmetatable({{}}, {{ __call = function(self, state, at) at = (at or 0) + 1 if at < {last} then return at, state end end }}), 'state'",
        )

    def repeat_loop(self, scope: Scope, depth: int) -> str:
        """Locals that the condition reads come before any `continue`, as the language wants it."""
        inner = scope.inner(loop="break")
        first = self.statements(inner, depth - 1, 1)
        done = self.name()
        value = self.value("any", inner, 2)
        inner.declare(done, "any")
        condition = self.value("boolean", inner, 2)
        rest = self.block(inner, depth - 1, loop="any") if self.chance(0.5) else ""
        rest = f"do {rest} end" if rest else ""
        return f"repeat if not burn() then break end {first}\nlocal {done} = {value}\n{rest} until {done} or {condition} or not burn()"

    def local_function(self, scope: Scope, depth: int) -> str:
        name = self.name()
        if self.chance(0.2):
            scope.declare(name, "function")
            return f"local {name} {name} = function{self.body_of_function(scope, depth)}"
        attribute = self.pick("", "", "", "", "@native ") if not self.portable else ""
        word = self.pick("local", "local", "local", "const")
        scope.declare(name, "function", is_constant=word == "const")
        return f"{attribute}{word} function {name}{self.body_of_function(scope, depth)}"

    def body_of_function(self, scope: Scope, depth: int) -> str:
        has_varargs = self.chance(0.6)
        inner = scope.function(has_varargs=has_varargs)
        parameters = self.generator.sample(["a", "b", "c", "value", "self", "type", "k"], self.between(0, 3))
        for parameter in parameters:
            inner.declare(parameter, "any")
        heads = [parameter + self.annotation() for parameter in parameters] + ["..."] * has_varargs
        generics = "<T, U...>" if self.chance(self.type_rate * 0.3) else ""
        returned = ": (any, ...any)" if self.chance(self.type_rate * 0.5) else ""
        body = self.statements(inner, depth - 1, self.between(1, 3))
        out = self.several(inner, min(depth - 1, 2))
        last = self.pick(f"return {out}", f"return {out}", f"return {self.call(inner, 1)}", "return", "")
        return f"{generics}({', '.join(heads)}){returned} if not burn() then return 1, 2 end {body} {last} end"

    # Jumps

    def jump(self, scope: Scope, depth: int) -> str:
        word = self.pick("break", "continue") if scope.loop == "any" else "break"
        return self.pick(
            f"if {self.condition(scope, depth)} then {word} end",
            f"if {self.condition(scope, depth)} then {self.block(scope, depth - 1, loop='none')} {word} else {self.say(scope, 1)} end",
        )

    def leave(self, scope: Scope, depth: int) -> str:
        return self.pick(
            f"if {self.condition(scope, depth)} then return {self.several(scope, 1)} end",
            f"if {self.condition(scope, depth)} then error({self.one_of(THROWN)}) end",
        )

    def yields(self, scope: Scope, depth: int) -> str:
        name = self.name()
        given = self.several(scope, 1)
        if self.chance(0.5):
            return f"say(coroutine.yield({given}))"
        scope.declare(name, "any")
        return f"local {name} = coroutine.yield({given})"
