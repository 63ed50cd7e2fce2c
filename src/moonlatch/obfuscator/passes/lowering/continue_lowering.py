"""Rewrites `continue` for Lua without it: the rest of the loop's body becomes a block that `break` can leave.

`while a do if b then continue end c() end` becomes `while a do repeat if b then break end c() until true end`. A `break` of
the loop itself sets a flag that is tested after that block. The condition of a `repeat` sees the locals before the first
`continue`, which are the only ones it may read, because the block begins there.
"""

from __future__ import annotations

from moonlatch.obfuscator.syntax import tree as s

Loop = s.While | s.Repeat | s.NumericFor | s.GenericFor


def lower_continue(loop: Loop, flag: str) -> Loop:
    """Changes the loop's own `continue` and `break` statements; `flag` is a name that the script has nowhere.

    The body's inner loops and functions must have been lowered before.
    """
    body = loop.body.body
    first = next((index for index, statement in enumerate(body) if _jumps_in(statement, s.Continue)), None)
    if first is None:
        return loop
    line = body[first].line
    rest = s.Block(body[first:], line)
    breaks = any(_jumps_in(statement, s.Break) for statement in rest.body)
    _replace_jumps(rest, flag)
    tail: list[s.Statement] = [s.Repeat(rest, s.TrueValue(line), line)]
    if breaks:
        declared = s.Local([s.Binding(flag, line)], [s.FalseValue(line)], is_const=False, is_exported=False, line=line)
        leave = s.If([(s.Name(flag, line), s.Block([s.Break(line)], line))], None, line)
        tail = [declared, *tail, leave]
    loop.body.body = [*body[:first], *tail]
    return loop


def _inner_blocks(statement: s.Statement) -> list[s.Block]:
    """The blocks in a statement whose jumps are those of the loop around it."""
    if isinstance(statement, s.Do):
        return [statement.body]
    if isinstance(statement, s.If):
        blocks = [block for _, block in statement.clauses]
        return blocks if statement.otherwise is None else [*blocks, statement.otherwise]
    return []


def _jumps_in(statement: s.Statement, kind: type[s.Break | s.Continue]) -> bool:
    if isinstance(statement, kind):
        return True
    return any(_jumps_in(inner, kind) for block in _inner_blocks(statement) for inner in block.body)


def _replace_jumps(block: s.Block, flag: str) -> None:
    """Makes `continue` a `break`, and `break` one that raises the flag first."""
    for statement in block.body:
        for inner in _inner_blocks(statement):
            _replace_jumps(inner, flag)
    if not block.body:
        return
    last = block.body[-1]
    if isinstance(last, s.Continue):
        block.body[-1] = s.Break(last.line)
    elif isinstance(last, s.Break):
        raised = s.Assign([s.Name(flag, last.line)], [s.TrueValue(last.line)], last.line)
        block.body[-1:] = [raised, last]
