"""Writes one interpreter: the loop that runs instructions, with what deciphers them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from moonlatch.obfuscator.transform.run_words import RunWords
from moonlatch.obfuscator.transform.two_spellings import Marks
from moonlatch.obfuscator.vm.code import Proto
from moonlatch.obfuscator.vm.encoding import Pool
from moonlatch.obfuscator.vm.forms import Cells, Form, Tables
from moonlatch.obfuscator.vm.instruction_text import Entry, InstructionText
from moonlatch.obfuscator.vm.invariants import Invariants
from moonlatch.obfuscator.vm.linking import Linked
from moonlatch.obfuscator.vm.names import Names
from moonlatch.obfuscator.vm.operations import Fork, InstructionSet, Operation, fill
from moonlatch.obfuscator.vm.register_maps import AT_ONCE, RegisterMaps

_SHARE_OF_TABLES = 0.4
_SHAPES = _PLAIN, _REPEATED, _NESTED = range(3)
"""Of an interpreter's loop."""


@dataclass(slots=True, eq=False)
class Machine:
    """One interpreter on its way to text. `places` numbers all protos of the script; `has_table_library` says that
    `table.create` is there whatever environment a function gets.
    """

    number: int
    functions: dict[Proto, list[Linked]]
    places: dict[Proto, int]
    names: Names
    has_table_library: bool
    generator: random.Random
    decoders: list[Pool]
    invariants: Invariants
    maps: RegisterMaps | None
    """None where registers are where their numbers say."""
    most_kept: int
    """How many arguments a machine that takes `...` keeps in variables."""
    runs_often: bool = True
    """Something in it is in a loop, or called in one."""
    marks: Marks | None = None
    run: RunWords | None = None
    latches: list[str] = field(default_factory=list)
    """Variables in which its instructions leave something to the next ones."""
    instructions: InstructionSet = field(init=False)
    constants: Pool = field(init=False)
    text: InstructionText = field(init=False)
    form: Form = field(init=False)
    lines: list[int] = field(default_factory=list)
    """The script's line for each line break of the machine's source."""

    def __post_init__(self) -> None:
        generator = self.generator
        self.instructions = InstructionSet(self.functions.values(), len(self.decoders), generator)
        self.constants = Pool(generator, self.run)
        self.form = self._form()
        self.text = InstructionText(
            self.functions,
            self.places,
            self.instructions,
            self.decoders,
            self.constants,
            generator,
            self.marks,
            self.run,
            self.invariants,
            self.maps,
        )
        self.text.lay_out()

    def _form(self) -> Form:
        # Reading a slot of an array takes an addition more, which is too much where code runs often.
        if self.runs_often or self.generator.random() < _SHARE_OF_TABLES:
            return Tables()
        return Cells(f"{self.names.prefix}M{self.number}", f"{self.names.prefix}c")

    def source(self, protos: str, entry: Callable[[Proto], Entry]) -> str:
        """Statements that give the machine's local its value; `protos` is the table that all machines put theirs into, `entry`
        says where the functions of all of them begin.
        """
        decipher, start, table = self.names_of_decoders()
        text = self.text.source(self.form, protos, table, entry)
        # What the instructions mention is known only now.
        pool = self.constants.decoder_source(table, keeps=False, marks=self.marks)
        shared = self.form.shared_source()
        return f"{pool}{shared}local {decipher},{start}={text}{self._loop_source(decipher, start)}"

    def names_of_decoders(self) -> tuple[str, str, str]:
        """Those of what deciphers an instruction, of what gives a function's first, and of the decoder of instructions' constants."""
        prefix, number = self.names.prefix, self.number
        return f"{prefix}decipher{number}", f"{prefix}start{number}", f"{prefix}K{number}"

    def _loop_source(self, decipher: str, start: str) -> str:
        names = self.names
        node, registers = names.node, names.registers
        proto = f"{names.prefix}P"
        takes_any = next(iter(self.functions)).takes_any_number
        kept = self.most_kept if takes_any else max(one.parameters for one in self.functions)
        parameters = [names.parameter(number) for number in range(1, kept + 1)]
        head = ",".join(parameters)
        read = ""
        if takes_any:
            # Before the loop, where every compiler of LuaJIT gets it right; see `Texts.first_arguments`.
            head, read = "...", f"local {head}=... " if kept else ""
        placed = ""
        if self.maps is not None:
            file = f"table.create({AT_ONCE})" if self.has_table_library else f"{{{','.join(['nil'] * AT_ONCE)}}}"
            placed = self.maps.call_source(proto) + "".join(
                f"{registers}[{names.slots}[{number}]]={parameter} " for number, parameter in enumerate(parameters, 1)
            )
        elif kept:
            file = f"{{{','.join(parameters + ['nil'] * (AT_ONCE - kept))}}}"
        else:
            file = f"table.create({AT_ONCE})" if self.has_table_library else "{}"
        # The script may let go of an argument, which must not live on here. With `...` it lives on in the original, too.
        latches = f"local {','.join(self.latches)} " if self.latches else ""
        release = "" if takes_any or not parameters else f"{','.join(parameters)}=nil "
        operation = f"{names.prefix}o"
        return (
            f"{names.machine(self.number)}=function({proto},{names.upvalues}) return function({head}) "
            f"{read}{self.form.call_source()}{latches}local {node},{registers}={proto}[1]or {start}({proto}),{file} {placed}{release}"
            f"{self._repeated_source(operation, decipher)} end end "
        )

    def _repeated_source(self, operation: str, decipher: str) -> str:
        """The loop: fetch, decide, do."""
        tree, fetch = self.instructions.tree, self._slot(self.instructions.operation_slot)
        shape = self.generator.choice(_SHAPES)
        if shape == _NESTED and isinstance(tree, Fork) and isinstance(tree.left, Fork) and isinstance(tree.right, Fork):
            # The side that runs more often repeats by itself until the other is wanted.
            left, right = tree.left, tree.right
            inner, outer, compared = (left, right, "<") if left.weight > right.weight else (right, left, ">=")
            sources = [self._tree_source(part, operation, decipher) for part in (inner, outer)]
            return (
                f"while true do local {operation}={fetch} while {operation}{compared}{tree.number} do "
                f"{sources[0]} {operation}={fetch} end {sources[1]} end"
            )
        body = self._tree_source(tree, operation, decipher)
        if shape == _REPEATED:
            return f"repeat local {operation}={fetch} {body} until false"
        return f"while true do local {operation}={fetch} {body} end"

    def _slot(self, number: int) -> str:
        return self.form.slot(self.names.node, number)

    def _tree_source(self, tree: Fork | Operation, operation: str, decipher: str) -> str:
        decoder_names = [self.names.decoder(number) for number in range(len(self.decoders))]
        out: list[str] = []
        pending: list[Fork | Operation | str] = [tree]
        while pending:
            one = pending.pop()
            if isinstance(one, str):
                out.append(one)
            elif one is self.instructions.deciphering:
                out.append(f"{decipher}({self.names.node})")
            elif isinstance(one, Operation):
                out.append(self._operation_source(one, decoder_names))
            elif isinstance(one.left, Operation):
                pending += [" end ", one.right, " else ", one.left, f" if {operation}=={one.left.number} then "]
            elif isinstance(one.right, Operation) and one.right is not self.instructions.deciphering:
                pending += [" end ", one.left, " else ", one.right, f" if {operation}=={one.right.number} then "]
            elif self.generator.random() < 0.5:
                pending += [" end ", one.right, " else ", one.left, f" if {operation}<{one.number} then "]
            else:
                pending += [" end ", one.left, " else ", one.right, f" if {operation}>={one.number} then "]
        return "".join(out)

    def _operation_source(self, operation: Operation, decoder_names: list[str]) -> str:
        text = fill(operation, self._slot, decoder_names)
        if operation.lines:
            text = f"\n{text}"
            self.lines += operation.lines
        sets_node = operation.uses[0].following is None
        return text if sets_node else f"{text} {self.names.node}={self._slot(self.instructions.following_slot)}"
