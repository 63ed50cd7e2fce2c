"""Writes one interpreter: its decoder of instructions and the loop that runs them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from moonlatch.obfuscator.template import SHORTEST_TEXT
from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.transform.run_words import RunWords
from moonlatch.obfuscator.transform.two_spellings import Marks, TwoTexts
from moonlatch.obfuscator.vm.code import MOST_PARAMETERS, ConstantList, Proto
from moonlatch.obfuscator.vm.encoding import Pool, Stream, spelled
from moonlatch.obfuscator.vm.linking import Linked, TwoLinked
from moonlatch.obfuscator.vm.names import Names
from moonlatch.obfuscator.vm.operations import Fork, InstructionSet, Operation, fill

_KINDS = 5
_NUMBER, _NODE, _CONSTANT, _PROTO, _LIST = range(_KINDS)
_REGISTERS_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class _Number:
    """An operand that is a number, before it is told which kind it is."""

    value: int


@dataclass(frozen=True, slots=True)
class _Either:
    """One of two numbers, as a choice of the script's is made."""

    first: int
    second: int
    choice: int


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
    most_kept: int
    """How many arguments a machine that takes `...` keeps in variables."""
    marks: Marks | None = None
    run: RunWords | None = None
    instructions: InstructionSet = field(init=False)
    stream: Stream = field(init=False)
    constants: Pool = field(init=False)
    kinds: list[int] = field(init=False)
    """What tells the kinds of operands apart, modulo `modulus`. With marks one is left over, which means a number, too."""
    modulus: int = field(init=False)
    lines: list[int] = field(default_factory=list)
    """The script's line for each line break of the machine's source."""

    def __post_init__(self) -> None:
        self.instructions = InstructionSet(self.functions.values(), len(self.decoders), self.generator)
        self.stream = Stream.drawn(self.generator, self.run)
        self.constants = Pool(self.generator, self.run)
        self.modulus = _KINDS + (self.marks is not None)
        self.kinds = self.generator.sample(range(self.modulus), self.modulus)

    # Instructions as numbers

    def data(self) -> str:
        """A directory of the protos, then each one's instructions."""
        stream = self.stream
        symbols = {
            proto: stream.symbols_of_numbers(self._with_others(self._numbers(instructions)))
            for proto, instructions in self.functions.items()
        }
        directory = [len(symbols)]
        for proto, of_proto in symbols.items():
            directory += (self.places[proto], len(of_proto.first))
        texts = TwoTexts()
        texts.append_plain(stream.encode(directory, 0))
        for proto, of_proto in symbols.items():
            texts.append(of_proto, stream.keystream, stream.keystream.start(self.places[proto]))
        if self.marks is not None and texts.length < SHORTEST_TEXT:
            # What nobody reads, so that the text is long enough to have places.
            digits = [self.generator.randrange(stream.split) for _ in range(SHORTEST_TEXT - texts.length)]
            texts.append_plain(stream.encode(digits, 0))
        return texts.finished(self.marks)

    def _with_others(self, numbers: list[int | _Number | _Either]) -> Iterator[tuple[int, int, int]]:
        """Each number with another that may be written in its place, and the choice that is made by that."""
        for number in numbers:
            if isinstance(number, _Either):
                yield number.first, number.second if self.marks is not None else number.first, number.choice
            elif isinstance(number, _Number):
                ends = [self.kinds[_NUMBER], *self.kinds[_KINDS:]]
                yield number.value * self.modulus + ends[0], number.value * self.modulus + ends[-1], 0
            else:
                yield number, number, 0

    def _numbers(self, function: Sequence[Linked]) -> list[int | _Number | _Either]:
        at = {one: place for place, one in enumerate(function, 1)}
        numbers: list[int | _Number | _Either] = [len(function)]
        for place, one in enumerate(function):
            operation = self.instructions.of[one]
            natural = function[place + 1] if place + 1 < len(function) else None
            says_following = one.following is not None and one.following is not natural
            numbers += [len(one.operands) * 2 + says_following, operation.number]
            if says_following:
                assert one.following is not None
                numbers.append(at[one.following])
            for index in sorted(range(len(one.operands)), key=operation.slots.__getitem__):
                self._operand(numbers, at, operation, one, index)
        return numbers

    def _operand(
        self,
        numbers: list[int | _Number | _Either],
        at: dict[Linked, int],
        operation: Operation,
        one: Linked,
        index: int,
    ) -> None:
        operand = one.operands[index]
        kinds, modulus = self.kinds, self.modulus
        decoder = operation.decoders.get(index)
        if decoder is not None:
            assert isinstance(operand, Constant)
            numbers.append(_Number(self.decoders[decoder].place(operand)))
        elif isinstance(operand, int):
            numbers.append(_Number(operand))
        elif isinstance(operand, Linked):
            numbers.append(at[operand] * modulus + kinds[_NODE])
        elif isinstance(operand, TwoLinked):
            first, second = (at[one] * modulus + kinds[_NODE] for one in (operand.first, operand.second))
            numbers.append(_Either(first, second, operand.choice))
        elif isinstance(operand, Constant):
            numbers.append(self.constants.place(operand) * modulus + kinds[_CONSTANT])
        elif isinstance(operand, Proto):
            numbers.append(self.places[operand] * modulus + kinds[_PROTO])
        elif isinstance(operand, ConstantList):
            numbers.append(len(operand.items) * modulus + kinds[_LIST])
            numbers += [self.constants.place(item) for item in operand.items]

    # Lua

    def source(self, protos: str) -> str:
        """Statements that give the machine's local its value; `protos` is the table that all machines put theirs into."""
        data = spelled(self.data())
        start, table = f"{self.names.prefix}start{self.number}", f"{self.names.prefix}K{self.number}"
        # What the instructions mention is known only now.
        pool = self.constants.decoder_source(table, keeps=False, marks=self.marks)
        return pool + self._start_source(start, table, data, protos) + self._loop_source(start)

    def _start_source(self, start: str, constants: str, data: str, protos: str) -> str:
        def read(value: str) -> str:
            return self.stream.read_source(value, "_data", "_at", "_state", "_byte")

        kinds = self.kinds
        slots = self.instructions
        cases = {
            _NODE: "_value=_nodes[_value]",
            _CONSTANT: f"_value={constants}(_value)",
            _PROTO: f"_value={protos}[_value]",
            _LIST: f"local _list={{}} for _index=1,_value do {read('_item')}_list[_index]={constants}(_item) end _value=_list",
        }
        order = self.generator.sample(sorted(cases), len(cases))
        choose = " elseif ".join(f"_kind=={kinds[case]} then {cases[case]}" for case in order)
        one = f"if _slot=={slots.operation_slot} then _node[_slot]=_operation elseif _slot=={slots.following_slot} then _node[_slot]=_following"
        other = f"if _slot=={slots.following_slot} then _node[_slot]=_following elseif _slot=={slots.operation_slot} then _node[_slot]=_operation"
        return (
            f"local {start}=(function() local _data={data} local _byte=string.byte "
            f"{' '.join(self.stream.keystream.captures())} local _at,_state=1,{self.stream.keystream.start_source('0')} {read('_count')}local _found={{}} "
            f"for _index=1,_count do {read('_place')}{read('_length')}local _proto={protos}[_place] "
            "_proto[4]=_place _found[_index]=_proto _proto[3]=_length end "
            "for _index=1,_count do local _proto=_found[_index] local _length=_proto[3] _proto[3]=_at _at=_at+_length end "
            f"return function(_proto) local _at,_state=_proto[3],{self.stream.keystream.start_source('_proto[4]')} "
            f"{read('_count')}local _nodes={{}} for _index=1,_count do _nodes[_index]={{}} end "
            f"for _index=1,_count do {read('_head')}{read('_operation')}"
            "local _node,_following=_nodes[_index],_nodes[_index+1]or false "
            f"if _head%2>0 then {read('_next')}_following=_nodes[_next] end "
            f"for _slot=1,(_head-_head%2)/2+2 do {self.generator.choice([one, other])} else {read('_value')}"
            f"local _kind=_value%{self.modulus} _value=(_value-_kind)/{self.modulus} if {choose} end _node[_slot]=_value end end end "
            "_proto[1]=_nodes[1] return _nodes[1] end end)() "
        )

    def _loop_source(self, start: str) -> str:
        names = self.names
        node, registers = names.node, names.registers
        proto = f"{names.prefix}P"
        takes_any = next(iter(self.functions)).takes_any_number
        kept = self.most_kept if takes_any else MOST_PARAMETERS
        parameters = [names.parameter(number) for number in range(1, kept + 1)]
        head = ",".join(parameters)
        read = ""
        if takes_any:
            # Before the loop, where every compiler of LuaJIT gets it right; see `Texts.first_arguments`.
            head, read = "...", f"local {head}=... " if kept else ""
        if kept:
            file = f"{{{','.join(parameters + ['nil'] * (_REGISTERS_AT_ONCE - kept))}}}"
        else:
            file = f"table.create({_REGISTERS_AT_ONCE})" if self.has_table_library else "{}"
        # The script may let go of an argument, which must not live on here. With `...` it lives on in the original, too.
        release = "" if takes_any else f"{','.join(parameters)}=nil "
        operation = f"{names.prefix}o"
        body = self._tree_source(self.instructions.tree, operation)
        return (
            f"{names.machine(self.number)}=function({proto},{names.upvalues}) return function({head}) "
            f"{read}local {node},{registers}={proto}[1]or {start}({proto}),{file} {release}"
            f"while true do local {operation}={node}[{self.instructions.operation_slot}] {body} end end end "
        )

    def _tree_source(self, tree: Fork | Operation, operation: str) -> str:
        decoder_names = [f"{self.names.prefix}D{number}" for number in range(len(self.decoders))]
        out: list[str] = []
        pending: list[Fork | Operation | str] = [tree]
        while pending:
            one = pending.pop()
            if isinstance(one, str):
                out.append(one)
            elif isinstance(one, Operation):
                out.append(self._operation_source(one, decoder_names))
            elif isinstance(one.left, Operation):
                pending += [" end ", one.right, " else ", one.left, f" if {operation}=={one.left.number} then "]
            elif isinstance(one.right, Operation):
                pending += [" end ", one.left, " else ", one.right, f" if {operation}=={one.right.number} then "]
            elif self.generator.random() < 0.5:
                pending += [" end ", one.right, " else ", one.left, f" if {operation}<{one.number} then "]
            else:
                pending += [" end ", one.left, " else ", one.right, f" if {operation}>={one.number} then "]
        return "".join(out)

    def _operation_source(self, operation: Operation, decoder_names: list[str]) -> str:
        node = self.names.node
        text = fill(operation, node, decoder_names)
        if operation.lines:
            text = f"\n{text}"
            self.lines += operation.lines
        sets_node = operation.uses[0].following is None
        return text if sets_node else f"{text} {node}={node}[{self.instructions.following_slot}]"
