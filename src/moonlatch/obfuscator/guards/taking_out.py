"""Takes guarded functions out of a script: each becomes a chunk of its own, and where it stood a call asks for it.

`LA_GUARD(x == "text", function() ... end)` becomes `call(1, x, nil, nil, ...)`, with what the function captures at the end. The chunk
takes that, and returns the function. A variable that is assigned is handed over as two functions, one that reads it and
one that assigns it, of which the chunk makes a table that looks like a cell of the virtual machine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moonlatch.obfuscator.analysis.capacity import MAX_UPVALUES, needs_own_function
from moonlatch.obfuscator.analysis.scopes import Frame, Resolution
from moonlatch.obfuscator.preparation.macros import GUARD, Guarded
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.enclosure import enclose
from moonlatch.obfuscator.transform.witness import whole_number
from moonlatch.obfuscator.vm.names import Names
from moonlatch.obfuscator.vm.native import factory
from moonlatch.obfuscator.vm.variables import Variables

MOST_CAPTURED = 50
"""Variables of a guarded function: they are arguments of one call, an assigned one two of them."""

_RESERVED_UPVALUES = 1
"""For the table of runtime variables."""


@dataclass(frozen=True, slots=True)
class TakenOut:
    """What `opener` opens."""

    opener: bytes
    chunk: s.Chunk


def faults_of_guards(guards: Sequence[Guarded], resolution: Resolution, target: Target) -> list[Diagnostic]:
    """The guarded functions that capture too much, and those around them that have no room for one variable more."""
    frames = {frame.node: frame for frame in resolution.frames}
    faults: list[Diagnostic] = []
    for guard in guards:
        frame = frames[guard.function]
        if len(frame.upvalues) > MOST_CAPTURED:
            message = (
                f"The function of {GUARD} captures {len(frame.upvalues)} variables; it can capture {MOST_CAPTURED}"
            )
            faults.append(Diagnostic(guard.call.line, 1, message))
        elif any(len(one.upvalues) >= MAX_UPVALUES[target] - _RESERVED_UPVALUES for one in _around(frame)):
            limit = MAX_UPVALUES[target] - _RESERVED_UPVALUES
            message = f"A function with {GUARD} in it can capture {limit - 1} variables besides"
            faults.append(Diagnostic(guard.call.line, 1, message))
    return faults


def give_compiler(guards: Sequence[Guarded], name: str | None) -> None:
    """What each guard compiles with, as its last argument: a variable, or nil where it finds something itself."""
    for guard in guards:
        line = guard.call.line
        guard.call.arguments.append(s.Nil(line) if name is None else s.Name(name, line))


def _around(frame: Frame) -> list[Frame]:
    """The functions around, without the chunk."""
    found: list[Frame] = []
    while (parent := frame.parent) is not None and parent.node is not None:
        found.append(parent)
        frame = parent
    return found


def take_out(
    chunk: s.Chunk,
    guards: Sequence[Guarded],
    resolution: Resolution,
    opens: str,
    calls: str,
    *,
    changes_environment: bool,
) -> list[TakenOut]:
    """Changes the chunk, whose names are to be resolved anew; `opens` and `calls` are variables, as in `source.opening`.

    `changes_environment` says that a function may have another environment than the chunk.
    """
    variables = Variables.of(resolution)
    prefix = resolution.fresh_name("guarded")
    taken = [
        _TakingOut(guard, variables, prefix, calls if guard.is_called else opens).run(changes_environment)
        for guard in guards
    ]
    if needs_own_function(resolution.main):
        enclose(chunk, uses_varargs=resolution.main.uses_varargs)
    return taken


class _TakingOut:
    def __init__(self, guard: Guarded, variables: Variables, prefix: str, call: str) -> None:
        self._guard = guard
        self._variables = variables
        self._prefix = prefix
        self._call = call
        self._captures = variables.captures(guard.function)

    def run(self, changes_environment: bool) -> TakenOut:
        guard, line = self._guard, self._guard.call.line
        value = s.Group(guard.value, line) if isinstance(guard.value, s.MULTIPLE) else guard.value
        environment = _environment(line) if changes_environment else s.Nil(line)
        guard.call.function = s.Name(self._call, line)
        place, compiler = whole_number(guard.place, line), guard.call.arguments[-1]
        chunk = self._chunk()
        guard.call.arguments = [place, value, environment, compiler, *self._arguments(line)]
        return TakenOut(guard.opener, chunk)

    def _arguments(self, line: int) -> list[s.Expression]:
        found: list[s.Expression] = []
        for binding in self._captures:
            if not self._variables.is_cell(binding):
                found.append(s.Name(binding.name, line))
                continue
            new = f"{self._prefix}_value"
            read = s.Return([s.Name(binding.name, line)], line)
            assign = s.Assign([s.Name(binding.name, line)], [s.Name(new, line)], line)
            parameters = [s.Binding(name, line) for name in (f"{self._prefix}_cell", f"{self._prefix}_key", new)]
            found.append(s.Function([], [], False, s.Block([read], line), line, line))
            found.append(s.Function([], parameters, False, s.Block([assign], line), line, line))
        return found

    def _chunk(self) -> s.Chunk:
        """`local cell, value, read, assign = ... return (function(a, b) return FUNCTION end)(value, cell(read, assign))`."""
        line = self._guard.function.line
        names = [f"{self._prefix}_cell"]
        given: list[s.Expression] = []
        for binding in self._captures:
            first = f"{self._prefix}{len(names)}"
            names.append(first)
            if self._variables.is_cell(binding):
                second = f"{self._prefix}{len(names)}"
                names.append(second)
                given.append(s.Call(s.Name(names[0], line), [s.Name(first, line), s.Name(second, line)], line))
            else:
                given.append(s.Name(first, line))
        made = factory(self._guard.function, self._captures, self._variables, Names(f"{self._prefix}_"))
        bindings = [s.Binding(name, line) for name in names]
        take = s.Local(bindings, [s.Varargs(line)], is_const=False, is_exported=False, line=line)
        returned = s.Return([s.Call(s.Group(made, line), given, line)], line)
        return s.Chunk(s.Block([take, returned] if given else [returned], line), [])


def _environment(line: int) -> s.Expression:
    """`getfenv and getfenv() or _ENV`."""
    call = s.Call(s.Name("getfenv", line), [], line)
    return s.Binary("or", s.Binary("and", s.Name("getfenv", line), call, line), s.Name("_ENV", line), line)
