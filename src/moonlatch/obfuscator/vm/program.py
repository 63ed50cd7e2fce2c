"""What the functions of one script have in common while they are compiled: shapes, protos, native parts."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from moonlatch.obfuscator.analysis.builtins import FUNCTIONS, LIBRARIES
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.vm.code import Proto
from moonlatch.obfuscator.vm.invariants import Invariants
from moonlatch.obfuscator.vm.names import Names
from moonlatch.obfuscator.vm.register_maps import RegisterMaps
from moonlatch.obfuscator.vm.variables import Variables

LONGEST_LIST = 4000
"""Values that `unpack` gives back on every Lua."""


@dataclass(slots=True, eq=False)
class Native:
    """A function that stays Lua, and the variables of compiled functions that it uses."""

    function: s.Function
    captures: list[s.Binding]


@dataclass(slots=True, eq=False)
class Program:
    """`shared` functions have one closure for all times where the host shares closures at all. `loops_take_functions` says
    that no loop is left to go through a table, even where the host's own loops can.

    Functions that are `hot` probably run often, for loops call them.

    `decoys` are functions that nothing calls: they take what others need, and no operation is made for them alone.

    `machines` interpreters share the functions.

    `shapes` counts the texts of whole expressions, `whole` has the text of each expression that can be one operation.
    """

    variables: Variables
    names: Names
    target: Target
    generator: random.Random
    native: set[s.Function]
    shared: set[s.Function]
    hot: set[s.Function]
    invariants: Invariants
    maps: RegisterMaps
    decoys: set[s.Function]
    loops_take_functions: bool
    sets_environments: bool
    machines: int = 0
    is_surveying: bool = True
    shapes: Counter[str] = field(default_factory=Counter)
    whole: dict[s.Expression, str | None] = field(default_factory=dict)
    primitive: set[s.Expression] = field(default_factory=set)
    protos: dict[s.Function | None, Proto] = field(default_factory=dict)
    natives: dict[s.Function, tuple[int, Native]] = field(default_factory=dict)
    has_generic_loops: bool = False
    has_shared_closures: bool = False
    has_global_argument: bool = False
    releases_registers: bool = False
    latches: list[list[str]] = field(default_factory=list)
    """Of each interpreter, the variables in which its instructions leave something to the next ones."""
    longest_list: int = LONGEST_LIST
    most_kept: int = 0
    """Of the arguments of a machine that takes `...`, those that it keeps in variables of its own."""

    def is_primitive(self, node: s.Expression) -> bool:
        """An operation whose parts are variables and constants; it has to exist however rare it is."""
        return node in self.primitive

    def is_library_function(self, node: s.Name) -> bool:
        return node.binding is None and node.name in FUNCTIONS and not self._is_assigned(node.name)

    def is_library_member(self, node: s.IndexName) -> bool:
        library = node.object
        if not isinstance(library, s.Name) or library.binding is not None:
            return False
        return library.name in LIBRARIES and not self._is_assigned(library.name)

    def _is_assigned(self, name: str) -> bool:
        return name in self.variables.resolution.assigned_globals

    def proto(self, function: s.Function | None) -> Proto:
        """The compiled function."""
        proto = self.protos.get(function)
        if proto is None:
            is_vararg = self.variables.frames[function].uses_varargs
            proto = Proto(function, len(function.parameters) if function else 0, is_vararg)
            self.protos[function] = proto
        return proto

    def native_place(self, function: s.Function, captures: list[s.Binding]) -> int:
        """Where the table of native functions has the one that makes closures of this one."""
        known = self.natives.get(function)
        if known is None:
            known = self.natives[function] = len(self.natives) + 1, Native(function, captures)
        return known[0]
