"""The syntax tree of Luau: one slotted class per construct, compared by identity and free to be changed by passes.

It describes what a script says, not what it means: which variable a `Name` refers to is for `scopes` to find out, and
types are checked by the parser but not kept, because no pass and no output needs them.

Every node's last field is `line`, the 1-based source line of its first token unless its class says otherwise.
A node that a pass makes up takes the line of the node it replaces, or `NO_LINE` where it stands for nothing in the source.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from moonlatch.obfuscator.syntax.expressions import *  # noqa: F403 -- the tree is one thing to those who use it
from moonlatch.obfuscator.syntax.expressions import (
    Binding,
    Block,
    Call,
    Expression,
    Function,
    IndexName,
    MethodCall,
    Name,
    Node,
    Statement,
    String,
)


@dataclass(slots=True, eq=False)
class Local(Statement):
    """`local` or, when `is_const`, `const`; `export local` when `is_exported`. `values` may be empty for a local."""

    bindings: list[Binding]
    values: list[Expression]
    is_const: bool
    is_exported: bool
    line: int


@dataclass(slots=True, eq=False)
class LocalFunction(Statement):
    """`local function f`, `const function f`, or `export function f`; the name is visible inside the body."""

    binding: Binding
    function: Function
    is_const: bool
    is_exported: bool
    line: int


@dataclass(slots=True, eq=False)
class FunctionDeclaration(Statement):
    """`function a.b.c()`, or with `is_method` `function a.b:c()`; the target is a `Name` or a chain of `IndexName`.

    With `is_method`, `function.parameters[0]` is the implicit `self`; clearing the flag spells it out with equal meaning.
    """

    target: Name | IndexName
    is_method: bool
    function: Function
    line: int


@dataclass(slots=True, eq=False)
class Assign(Statement):
    """`targets = values`; a target is a `Name`, an `IndexName` or an `Index`."""

    targets: list[Expression]
    values: list[Expression]
    line: int


@dataclass(slots=True, eq=False)
class CompoundAssign(Statement):
    """`target operator= value`; the target's object and key are evaluated once. `operator` has no `=`: `+`, `..`, `//`."""

    operator: str
    target: Expression
    value: Expression
    line: int


@dataclass(slots=True, eq=False)
class CallStatement(Statement):
    """A call whose values are dropped; `call` is a `Call` or a `MethodCall`."""

    call: Call | MethodCall
    line: int


@dataclass(slots=True, eq=False)
class Do(Statement):
    body: Block
    line: int


@dataclass(slots=True, eq=False)
class While(Statement):
    condition: Expression
    body: Block
    line: int


@dataclass(slots=True, eq=False)
class Repeat(Statement):
    """`repeat body until condition`; the condition sees the body's locals."""

    body: Block
    condition: Expression
    line: int


@dataclass(slots=True, eq=False)
class NumericFor(Statement):
    binding: Binding
    start: Expression
    limit: Expression
    step: Expression | None
    body: Block
    line: int


@dataclass(slots=True, eq=False)
class GenericFor(Statement):
    bindings: list[Binding]
    values: list[Expression]
    body: Block
    line: int


@dataclass(slots=True, eq=False)
class If(Statement):
    """(condition, block) pairs in order, then the `else` block if there is one."""

    clauses: list[tuple[Expression, Block]]
    otherwise: Block | None
    line: int


@dataclass(slots=True, eq=False)
class Return(Statement):
    values: list[Expression]
    line: int


@dataclass(slots=True, eq=False)
class Break(Statement):
    line: int


@dataclass(slots=True, eq=False)
class Continue(Statement):
    line: int


@dataclass(slots=True, eq=False)
class TypeAlias(Statement):
    """`type name = ...`; does nothing at run time. Its text is source bytes `start` up to `end`."""

    name: str
    is_exported: bool
    start: int
    end: int
    line: int


@dataclass(slots=True, eq=False)
class TypeFunction(Statement):
    """`type function name() ... end`, run by the type checker only; nothing of it is there at run time."""

    name: str
    is_exported: bool
    function: Function
    line: int


@dataclass(slots=True, eq=False)
class Chunk(Node):
    """A whole script. `hot_comments` are the `--!` comments before its first token, without the `--!`: `strict`, `native`.

    `backtick_texts` are the strings that were written in backticks with nothing to fill in.
    """

    body: Block
    hot_comments: list[str]
    backtick_texts: list[String] = field(default_factory=list)
    line: int = 1
