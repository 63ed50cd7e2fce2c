"""Makes a program that shows a difference as small as it gets: deletes and unwraps what is not needed for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.diagnostics import LuauSyntaxError
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk
from moonlatch.obfuscator.target import Target

Edit = Callable[[], None]
Judge = Callable[[list[str]], list[bool]]
_CANDIDATES_AT_ONCE = 40


def reduced(source: str, still_differs: Judge) -> str:
    """The smallest program found that `still_differs` accepts; it judges many candidates at once."""
    text = _printed(parse(source))
    if not still_differs([text])[0]:
        return source
    while True:
        smaller = _one_step(text, still_differs)
        if smaller is None:
            return _on_lines(text)
        text = smaller


def _one_step(text: str, still_differs: Judge) -> str | None:
    seen = {text}
    candidates: list[str] = []
    for candidate in _candidates(text):
        if candidate in seen:
            continue
        seen.add(candidate)
        candidates.append(candidate)
        if len(candidates) == _CANDIDATES_AT_ONCE:
            found = _first(candidates, still_differs)
            if found is not None:
                return found
            candidates = []
    return _first(candidates, still_differs) if candidates else None


def _first(candidates: list[str], still_differs: Judge) -> str | None:
    accepted = [one for one, differs in zip(candidates, still_differs(candidates), strict=True) if differs]
    return min(accepted, key=len, default=None)


def _candidates(text: str) -> Iterator[str]:
    """The program with one thing less, the largest things first."""
    count = len(list(_edits(parse(text.encode("latin-1")))))
    made = []
    for number in range(count):
        chunk = parse(text.encode("latin-1"))
        list(_edits(chunk))[number]()
        made.append(_printed(chunk))
    yield from sorted((one for one in made if len(one) < len(text) and _is_program(one)), key=len)


def _is_program(text: str) -> bool:
    try:
        parse(text.encode("latin-1"))
    except LuauSyntaxError:
        return False
    return True


def _printed(chunk: s.Chunk) -> str:
    return print_chunk(chunk, Target.LUAU)


def _on_lines(text: str) -> str:
    """One statement of the script a line."""
    chunk = parse(text.encode("latin-1"))
    return "\n".join(_printed(s.Chunk(s.Block([statement], 1), [])) for statement in chunk.body.body)


def _edits(node: s.Node) -> Iterator[Edit]:
    if isinstance(node, s.Block):
        yield from _block_edits(node)
    for one in fields(node):  # type: ignore[arg-type] # every node that is walked is a dataclass
        value = getattr(node, one.name)
        if isinstance(value, list):
            yield from _list_edits(node, value)
        elif isinstance(value, s.Expression) and not isinstance(value, s.Function):
            yield from _expression_edits(value, lambda new, name=one.name: setattr(node, name, new))
            yield from _edits(value)
        elif isinstance(value, s.Node) and not isinstance(value, s.Binding):
            yield from _edits(value)
    if isinstance(node, s.If) and node.otherwise is not None:
        yield lambda: setattr(node, "otherwise", None)


def _block_edits(block: s.Block) -> Iterator[Edit]:
    size = len(block.body)
    while size > 0:
        for start in range(0, len(block.body), size):
            yield lambda start=start, size=size: block.body.__delitem__(slice(start, start + size))
        size //= 2
    for index, statement in enumerate(block.body):
        for inner in _blocks_of(statement):
            yield lambda index=index, inner=inner: block.body.__setitem__(slice(index, index + 1), inner.body)


def _blocks_of(statement: s.Statement) -> list[s.Block]:
    match statement:
        case s.Do() | s.While() | s.Repeat() | s.NumericFor() | s.GenericFor():
            return [statement.body]
        case s.If():
            return [block for _, block in statement.clauses] + ([statement.otherwise] if statement.otherwise else [])
        case s.CallStatement():
            return [one.body for one in statement.call.arguments if isinstance(one, s.Function)]
        case _:
            return []


def _list_edits(node: s.Node, values: list[object]) -> Iterator[Edit]:
    for index, value in enumerate(values):
        least = 0 if isinstance(node, s.Call | s.Return | s.Table) else 1
        if not isinstance(node, s.Block | s.InterpolatedString | s.Function) and len(values) > least:
            yield lambda index=index: values.__delitem__(index)
        if isinstance(value, tuple):
            for part in range(2):
                if isinstance(value[part], s.Expression):
                    yield from _expression_edits(
                        value[part],
                        lambda new, index=index, part=part: values.__setitem__(index, _with(values[index], part, new)),
                    )
                yield from _edits(value[part])
        elif isinstance(value, s.Node) and not isinstance(value, s.Binding | s.Attribute):
            if isinstance(value, s.Expression):
                yield from _expression_edits(value, lambda new, index=index: values.__setitem__(index, new))
            yield from _edits(value)


def _with(pair: object, part: int, new: s.Expression) -> tuple[object, ...]:
    assert isinstance(pair, tuple)
    return (*pair[:part], new, *pair[part + 1 :])


def _expression_edits(value: s.Expression, put: Callable[[s.Expression], None]) -> Iterator[Edit]:
    for one in fields(value):  # type: ignore[arg-type] # as above
        inner = getattr(value, one.name)
        for child in inner if isinstance(inner, list) else [inner]:
            if isinstance(child, s.Expression):
                yield lambda child=child: put(child)
            elif isinstance(child, s.TableItem):
                yield lambda child=child: put(child.value)
            elif isinstance(child, tuple):
                yield lambda child=child: put(child[1])
    if not isinstance(value, s.Nil | s.Number | s.String | s.TrueValue | s.FalseValue | s.Name):
        yield lambda: put(s.Nil(value.line))
        yield lambda: put(s.Number("1", 1.0, value.line))
