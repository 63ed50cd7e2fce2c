"""Writes functions that nothing calls as the script would have written them: out of its own statements, words and numbers.

What is here knows nothing of where such a function stands but the variables that it may use there.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import spellings
from moonlatch.obfuscator.syntax.lexer import RESERVED

_SHARE_CHANGED = 0.7
"""Of the constants: half of these are said with words and digits of others, half are others."""
_SHARE_DROPPED = 0.15
"""Of the statements that declare nothing."""
_SHARE_WITH_LOCAL = 0.6
_SHARE_SHIFTED = 0.3
"""Of the functions, those that have a parameter more or fewer than the one that they begin as."""
_MOST_STATEMENTS = 12
"""At a function's own level."""
LONGEST_TEXT = 30
SPELLED = (0, 1)
"""Numbers that operations have in their text."""
_FARTHEST = 40
"""How far from its model's line a statement says that it stands."""
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_KEPT_WORDS = RESERVED | spelling.RESERVED_ELSEWHERE
_DECLARING = (s.Local, s.LocalFunction)

FreshName = Callable[[], str]
_Part = TypeVar("_Part", bound=s.Node)


@dataclass(slots=True)
class Vocabulary:
    """What the script's cold functions say, each thing once."""

    texts: dict[bytes, None] = field(default_factory=dict)
    fields: dict[str, None] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    last_line: int = 1

    def settle(self) -> Settled:
        return Settled(list(self.texts), list(self.fields), list(self.numbers.items()), self.last_line)


@dataclass(frozen=True, slots=True)
class Settled:
    """A vocabulary to draw from."""

    texts: Sequence[bytes]
    fields: Sequence[str]
    numbers: Sequence[tuple[str, float]]
    last_line: int

    def text(self, generator: random.Random, like: bytes = b"ready") -> bytes:
        """Another text, or one made of two."""
        first, second = (generator.choice(self.texts or [like]) for _ in range(2))
        if generator.random() < 0.5:
            return first
        for mark in (b" ", b"_", b".", b"-", b":"):
            if mark in first and mark in second:
                parts, others = first.split(mark), second.split(mark)
                place = generator.randrange(1, len(parts))
                return mark.join([*parts[:place], *others[-(len(parts) - place) :]])[:LONGEST_TEXT]
        return self.field(generator).encode("ascii")

    def field(self, generator: random.Random) -> str:
        """The name of another field, or one made of the words of two."""
        return generator.choice(self.fields) if self.fields and generator.random() < 0.5 else self.word(generator)

    def word(self, generator: random.Random) -> str:
        """A name made of the words of two, which tells none of those that the script has."""
        first, second = (generator.choice(self.fields or ["name"]) for _ in range(2))
        begin, end = (_WORDS.findall(one) or ["name"] for one in (first, second))
        lead = begin[0] if not begin[0][0].isdigit() else "name"
        joined = lead + end[-1][:1].upper() + end[-1][1:]
        return f"{joined}s" if joined in self.fields or joined in _KEPT_WORDS else joined

    def number(self, generator: random.Random, line: int) -> s.Number:
        """Another number, or a whole one near it."""
        text, value = generator.choice(self.numbers or [("2", 2.0)])
        if value.is_integer() and 0 <= value < 2**31 and generator.random() < 0.5:
            value = float(max(2, int(value) + generator.randrange(-3, 9)))
            text = str(int(value))
        return s.Number(text, value, line)


@dataclass(slots=True, eq=False)
class Body:
    """Makes one function, from what stands in `outer`: names that can be read there, with the variable that each is.

    `cells` are variables that closures share and somebody assigns: the only ones from outside that may be assigned here, too.
    `captured` are the variables that the models have from outside. `used` are those that the function came to use.
    """

    vocabulary: Settled
    outer: Mapping[str, s.Binding]
    captured: Collection[s.Binding]
    cells: Collection[s.Binding]
    generator: random.Random
    fresh: FreshName
    used: set[s.Binding] = field(default_factory=set)
    functions: dict[s.Function, set[s.Binding]] = field(default_factory=dict)
    """Those that were made, the innermost first, with the variables of `outer` that each uses."""
    size: int = 0
    """Leaves of the tree that was made."""
    _names: dict[s.Binding, s.Binding | str] = field(default_factory=dict)
    """What stands for a variable of the model's: a variable of the function's own, or a name of `outer`."""
    _own: list[s.Binding] = field(default_factory=list)
    """The function's own variables in scope."""
    _here: set[s.Binding] = field(default_factory=set)
    """Those of the innermost function, in scope or not."""
    _shift: int = 0
    _uses_varargs: bool = False

    def blend(self, first: s.Function, last: s.Function, added: Sequence[s.Statement] = ()) -> s.Function:
        """The beginning of one function and the end of another, with statements that are `added` as they are."""
        generator = self.generator
        self._shift = self._drawn_shift()
        parameters = self._parameters(first)
        # About as long as one of them.
        length = min(_MOST_STATEMENTS, len(generator.choice((first, last)).body.body))
        begun = generator.randint(min(1, length - 1), length)
        body = self._statements(first.body.body[:begun], ends=False)
        if generator.random() < _SHARE_WITH_LOCAL:
            body.insert(generator.randrange(len(body) + 1), self._some_local(first.line))
        for statement in added:
            body.insert(generator.randrange(len(body) + 1), statement)
        self._shift = self._drawn_shift()
        body += self._statements(last.body.body[len(last.body.body) - max(1, length - begun) :], ends=True)
        line = self._line(first.line)
        made = s.Function([], parameters, self._uses_varargs, s.Block(body, line), line, line)
        self.used -= self._here
        self.functions[made] = self.used
        return made

    def _drawn_shift(self) -> int:
        return self.generator.choice((-1, 1)) * self.generator.randint(1, _FARTHEST)

    def _parameters(self, model: s.Function) -> list[s.Binding]:
        """As many as the model's, or nearly, in another order."""
        generator = self.generator
        parameters = [self._declared(one) for one in generator.sample(model.parameters, len(model.parameters))]
        if generator.random() < _SHARE_SHIFTED:
            parameters.append(self._new(model.line))
        return parameters

    def _some_local(self, line: int) -> s.Local:
        """A variable that has a value at once; nothing before it knows it."""
        generator, binding, line = self.generator, self._new(line), self._line(line)
        values: list[s.Expression] = [self.vocabulary.number(generator, line), s.Table([], line), s.Nil(line)]
        return s.Local([binding], [generator.choice(values)], is_const=False, is_exported=False, line=line)

    # Variables

    def _new(self, line: int) -> s.Binding:
        binding = s.Binding(self.fresh(), self._line(line))
        self._own.append(binding)
        self._here.add(binding)
        return binding

    def _declared(self, model: s.Binding) -> s.Binding:
        binding = self._names[model] = self._new(model.line)
        return binding

    def _name(self, node: s.Name) -> s.Expression:
        line = self._line(node.line)
        model = node.binding
        if model is None:
            return s.Name(node.name, line)
        standing = self._standing(node)
        if standing is None:
            standing = self._names[model] = self._instead(model)
        return self._read(standing, line)

    def _standing(self, node: s.Name) -> s.Binding | str | None:
        """What stands for a variable of the model's, if that is in scope."""
        assert node.binding is not None
        standing = self._names.get(node.binding)
        if isinstance(standing, s.Binding):
            return standing if standing in self._own else None
        return node.name if self.outer.get(node.name) is node.binding else standing

    def _read(self, standing: s.Binding | str, line: int) -> s.Expression:
        self.size += 1
        if isinstance(standing, s.Binding):
            self.used.add(standing)
            return s.Name(standing.name, line)
        self.used.add(self.outer[standing])
        return s.Name(standing, line)

    def _instead(self, model: s.Binding) -> s.Binding | str:
        """Something to stand for a variable that is not there, of its kind if possible: another kind would need operations of its own."""
        if model in self.captured:
            is_cell = model in self.cells
            alike = [name for name, binding in self.outer.items() if (binding in self.cells) == is_cell]
            if alike:
                return self.generator.choice(alike)
        return self.generator.choice(self._own)

    def _target(self, node: s.Expression) -> s.Expression:
        """What is assigned to: never a variable from outside whose kind that would change."""
        if not isinstance(node, s.Name) or node.binding is None:
            return self.expression(node)
        standing = self._standing(node)
        if standing is None or (isinstance(standing, str) and self.outer[standing] not in self.cells):
            standing = self.generator.choice(self._own)
        return self._read(standing, self._line(node.line))

    # Statements

    def _statements(self, models: Sequence[s.Statement], *, ends: bool) -> list[s.Statement]:
        """At a block's own level; without `ends` more is to follow."""
        made: list[s.Statement] = []
        for model in models:
            if isinstance(model, s.Return) and not ends:
                continue
            if not isinstance(model, (*_DECLARING, s.Return)) and self.generator.random() < _SHARE_DROPPED:
                continue
            if not self._own:
                made.append(self._some_local(model.line))
            made.append(self._statement(model))
        return made

    def _statement(self, node: s.Statement) -> s.Statement:
        line = self._line(node.line)
        match node:
            case s.Local():
                values = self._all(node.values)
                bindings = [self._declared(one) for one in node.bindings]
                return s.Local(bindings, values, is_const=False, is_exported=False, line=line)
            case s.LocalFunction():
                binding = self._declared(node.binding)
                return s.LocalFunction(binding, self._function(node.function), False, False, line)
            case s.Assign():
                targets = [self._target(one) for one in node.targets]
                return s.Assign(targets, self._all(node.values), line)
            case s.CompoundAssign():
                return s.CompoundAssign(node.operator, self._target(node.target), self.expression(node.value), line)
            case s.FunctionDeclaration():
                # With its implicit parameter among the others it is an assignment like any other.
                return s.Assign([self._target(node.target)], [self._function(node.function)], line)
            case s.If():
                clauses = [(self.expression(condition), self._block(block)) for condition, block in node.clauses]
                otherwise = None if node.otherwise is None else self._block(node.otherwise)
                return s.If(clauses, otherwise, line)
            case s.Do():
                return s.Do(self._block(node.body), line)
            case s.TypeAlias() | s.TypeFunction():
                return s.Do(s.Block([], line), line)
            case s.Return():
                return s.Return(self._all(node.values), line)
            case s.CallStatement():
                call = self.expression(node.call)
                assert isinstance(call, s.Call | s.MethodCall)
                return s.CallStatement(call, line)
        raise TypeError(type(node).__name__)

    def _block(self, block: s.Block) -> s.Block:
        before = len(self._own)
        made = s.Block([self._statement(one) for one in block.body], self._line(block.line))
        del self._own[before:]
        return made

    # Expressions

    def _all(self, nodes: Sequence[s.Expression]) -> list[s.Expression]:
        return [self.expression(node) for node in nodes]

    def expression(self, node: s.Expression) -> s.Expression:
        """The same with other variables and other constants."""
        line = self._line(node.line)
        generator, is_changed = self.generator, self.generator.random() < _SHARE_CHANGED
        match node:
            case s.Name():
                return self._name(node)
            case s.String():
                self.size += 1
                is_kept = not is_changed and len(node.value) <= LONGEST_TEXT
                return s.String(node.value if is_kept else self.vocabulary.text(generator, node.value), line)
            case s.Number() if is_changed and not node.is_kept and node.value not in SPELLED:
                self.size += 1
                return self.vocabulary.number(generator, line)
            case s.IndexName():
                of_host = isinstance(node.object, s.Name) and node.object.binding is None
                name = self.vocabulary.field(generator) if is_changed and not of_host else node.name
                return s.IndexName(self.expression(node.object), name, line)
            case s.Function():
                return self._function(node)
            case s.Varargs():
                self._uses_varargs = True
                return s.Varargs(line)
            case s.IfExpression() if (two := spellings(node)) is not None:
                # A choice of the script's is made in its own place alone.
                return self.expression(two[0])
            case _:
                return self._copied(node)

    def _copied(self, node: _Part) -> _Part:
        self.size += 1
        made = copy.copy(node)
        names: Iterable[str] = type(node).__slots__
        for name in names:
            value = getattr(node, name)
            if isinstance(value, s.Expression):
                setattr(made, name, self.expression(value))
            elif isinstance(value, list):
                setattr(made, name, [self._part(one) for one in value])
            elif name == "line":
                setattr(made, name, self._line(value))
        return made

    def _part(self, part: object) -> object:
        match part:
            case s.Expression():
                return self.expression(part)
            case s.NamedItem():
                name = self.vocabulary.field(self.generator)
                return s.NamedItem(name, self.expression(part.value), self._line(part.line))
            case s.Node():
                return self._copied(part)
            case tuple():
                return tuple(self._part(one) for one in part)
        return part

    def _function(self, node: s.Function) -> s.Function:
        used, here, uses_varargs, before = self.used, self._here, self._uses_varargs, len(self._own)
        self.used, self._here, self._uses_varargs = set(), set(), False
        parameters = [self._declared(one) for one in node.parameters]
        body = self._block(node.body)
        line = self._line(node.line)
        made = s.Function([], parameters, self._uses_varargs or node.is_vararg, body, line, line)
        self.used -= self._here
        self.functions[made] = self.used
        del self._own[before:]
        self.used, self._here, self._uses_varargs = used | self.used, here, uses_varargs
        return made

    def _line(self, line: int) -> int:
        """One of the script's, where it means one at all."""
        return max(1, min(line + self._shift, self.vocabulary.last_line)) if line > 0 else line
