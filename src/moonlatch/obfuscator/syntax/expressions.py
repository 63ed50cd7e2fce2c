"""What every node of the tree is, and the expressions: one slotted class each. `tree` has the statements, and all of it under one name."""

from __future__ import annotations

from dataclasses import dataclass, field

NO_LINE = 0
"""That of a node which stands for nothing in the source."""
SEVERAL_LINES = -1
"""That of a node which stands for several places in the source."""


class Node:
    """Anything in the tree. Nodes are compared and hashed by identity, so they serve as dictionary keys."""

    __slots__ = ()

    line: int


class Expression(Node):
    """Anything that has a value. Only `Call`, `MethodCall` and `Varargs` can have several."""

    __slots__ = ()


class Statement(Node):
    """Anything that stands in a block."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Binding(Node):
    """The place where a local variable, a parameter or a loop variable gets its name.

    Its type annotation is not kept. An implicit `self` is an ordinary binding at the head of the parameters.
    """

    name: str
    line: int


@dataclass(slots=True, eq=False)
class Block(Node):
    """Statements with a scope of their own. `return`, `break` and `continue` only ever come last."""

    body: list[Statement]
    line: int


@dataclass(slots=True, eq=False)
class Nil(Expression):
    line: int


@dataclass(slots=True, eq=False)
class TrueValue(Expression):
    line: int


@dataclass(slots=True, eq=False)
class FalseValue(Expression):
    line: int


@dataclass(slots=True, eq=False)
class Varargs(Expression):
    """`...`: several values where it stands last in a list, otherwise exactly one."""

    line: int


@dataclass(slots=True, eq=False)
class Number(Expression):
    """A double. `text` is what the source says (`0xFF`, `1_000`, `0b1`), `value` what Luau makes of it.

    One that `is_kept` has to stay a literal, because Luau compiles what it stands in in another way otherwise.
    """

    text: str
    value: float
    line: int
    is_kept: bool = field(default=False, init=False)


@dataclass(slots=True, eq=False)
class Integer(Expression):
    """A 64-bit signed integer literal, `123i` or `-123i`. Hexadecimal and binary ones wrap around: `0xffffffffffffffffi` is -1.

    A `Unary` minus of one is `-(123i)`: an operation, which fails at run time as integers have none.
    """

    text: str
    value: int
    line: int


@dataclass(slots=True, eq=False)
class String(Expression):
    """A string literal of any quoting; `value` is the bytes it stands for, escapes resolved."""

    value: bytes
    line: int


@dataclass(slots=True, eq=False)
class InterpolatedString(Expression):
    """`` `a{b}c` ``: one more part than values; `parts[0] values[0] parts[1] ... parts[-1]`, parts with escapes resolved."""

    parts: list[bytes]
    values: list[Expression]
    line: int


@dataclass(slots=True, eq=False)
class Name(Expression):
    """A variable by its name. `scopes` fills `binding`; it stays None for a global."""

    name: str
    line: int
    binding: Binding | None = field(default=None, init=False)


@dataclass(slots=True, eq=False)
class Group(Expression):
    """`(value)`: exactly one value, and never an assignment target."""

    value: Expression
    line: int


@dataclass(slots=True, eq=False)
class IndexName(Expression):
    """`object.name`. `line` is that of the name."""

    object: Expression
    name: str
    line: int


@dataclass(slots=True, eq=False)
class Index(Expression):
    """`object[key]`. `line` is that of the bracket."""

    object: Expression
    key: Expression
    line: int


@dataclass(slots=True, eq=False)
class Call(Expression):
    """`function(arguments)`, also `f "text"` and `f {}`. `line` is that of the opening parenthesis or the sole argument."""

    function: Expression
    arguments: list[Expression]
    line: int


@dataclass(slots=True, eq=False)
class MethodCall(Expression):
    """`object:name(arguments)`; the object is evaluated once. `line` is that of the name."""

    object: Expression
    name: str
    arguments: list[Expression]
    line: int


@dataclass(slots=True, eq=False)
class Instantiation(Expression):
    """`value<<T>>`, types chosen by hand; it does nothing at run time. `a:b<<T>>()` leaves no trace in the tree."""

    value: Expression
    line: int


@dataclass(slots=True, eq=False)
class TypeAssertion(Expression):
    """`value :: type`. Dropping the type must keep that it is **one** value: `f() :: any` becomes `(f())`."""

    value: Expression
    line: int


@dataclass(slots=True, eq=False)
class Unary(Expression):
    """`operator` is `-`, `not` or `#`."""

    operator: str
    operand: Expression
    line: int


@dataclass(slots=True, eq=False)
class Binary(Expression):
    """`operator` is one of `+ - * / // % ^ .. == ~= < <= > >= and or`. `line` is that of the operator."""

    operator: str
    left: Expression
    right: Expression
    line: int


@dataclass(slots=True, eq=False)
class IfExpression(Expression):
    """`if a then b elseif c then d else e`: (condition, value) pairs in order, then `otherwise`."""

    clauses: list[tuple[Expression, Expression]]
    otherwise: Expression
    line: int


@dataclass(slots=True, eq=False)
class Choice(Expression):
    """True in the copies of a build that take the first of two spellings, false in the others; the condition of an `IfExpression`
    of two values, and nothing else. It never becomes text: of that expression a copy has one of the values. `number` counts them from 1.
    The values of a choice that `is_turn` are one comparison, from either side.
    """

    number: int
    line: int
    is_turn: bool = False


class TableItem(Node):
    """One entry of a table constructor."""

    __slots__ = ()

    value: Expression


@dataclass(slots=True, eq=False)
class PositionalItem(TableItem):
    """`value`; the last one of a constructor may stand for several values."""

    value: Expression
    line: int


@dataclass(slots=True, eq=False)
class NamedItem(TableItem):
    """`name = value`."""

    name: str
    value: Expression
    line: int


@dataclass(slots=True, eq=False)
class KeyedItem(TableItem):
    """`[key] = value`."""

    key: Expression
    value: Expression
    line: int


@dataclass(slots=True, eq=False)
class Table(Expression):
    items: list[TableItem]
    line: int


@dataclass(slots=True, eq=False)
class Attribute(Node):
    """`@native`, or one entry of `@[native, deprecated {...}]`; `arguments` only describe a deprecation."""

    name: str
    arguments: list[Expression]
    line: int


@dataclass(slots=True, eq=False)
class Function(Expression):
    """A function body with its parameters, wherever it was written. A method's `parameters[0]` is its implicit `self`.

    `line` is that of the keyword `function`, `end_line` that of its `end`.
    """

    attributes: list[Attribute]
    parameters: list[Binding]
    is_vararg: bool
    body: Block
    end_line: int
    line: int


MULTIPLE = (Call, MethodCall, Varargs)
"""What can have several values, or none."""
