"""The instructions of one interpreter as enciphered text, and the Lua that deciphers one of them when it is first reached.

Where an instruction lies, how many operands it has and the state of the key stream that it begins with are known to the
instructions that lead to it alone: one that follows in the text goes on from its predecessor's state and number, one that is
jumped to gets a number from each instruction that may jump there, which gives the right state with that one's own. The first
instruction of a function is known to those that make its closures. So nothing is deciphered but along a path.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from moonlatch.obfuscator.template import SHORTEST_TEXT
from moonlatch.obfuscator.transform.keystream import SYMBOLS, digits
from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.transform.run_words import RunWords
from moonlatch.obfuscator.transform.two_spellings import Marks, Span, Symbols, TwoTexts
from moonlatch.obfuscator.vm.code import ConstantList, Proto
from moonlatch.obfuscator.vm.encoding import Pool, Stream, spelled
from moonlatch.obfuscator.vm.forms import Form
from moonlatch.obfuscator.vm.invariants import Invariants
from moonlatch.obfuscator.vm.linking import Linked, TwoLinked
from moonlatch.obfuscator.vm.operations import RESERVED_SLOTS, InstructionSet
from moonlatch.obfuscator.vm.register_maps import RegisterMaps

_KINDS = 5
_NUMBER, _NODE, _CONSTANT, _PROTO, _LIST = range(_KINDS)
_NEXT_IN_TEXT, _NEXT_ELSEWHERE, _NO_NEXT = range(_ENDS := 3)
_HEAD_DIGITS = 4
_PLACE_DIGITS = 5
"""Of what leads to a function."""
KEYS = 65_000
"""Where functions begin: below every modulus of a stream."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a function's first instruction lies, the key that its state is made of, and its head with whether its calls differ."""

    at: int
    key: int
    head: int


@dataclass(frozen=True, slots=True)
class _Number:
    """An operand that is a number, before it is told which kind it is."""

    value: int


@dataclass(frozen=True, slots=True)
class _Edge:
    """What leads to an instruction of the same text, as an operand or, with `is_operand` false, as what comes next."""

    target: Linked
    is_operand: bool


@dataclass(frozen=True, slots=True)
class _Either:
    """What leads to one of two instructions, as a choice of the script's is made."""

    targets: TwoLinked


@dataclass(frozen=True, slots=True)
class _Making:
    """What leads to a function, of whichever interpreter."""

    proto: Proto


_Part = int | _Number | _Edge | _Either | _Making


@dataclass(slots=True)
class _Record:
    """One instruction on its way to text. `number` is that of its operation."""

    parts: list[_Part]
    number: int
    head: int
    goes_on: bool
    """What comes next follows in the text."""
    at: int = 0
    state: int = 0


@dataclass(slots=True, eq=False)
class InstructionText:
    """Write all that is to be written with `lay_out` for every interpreter before `data` of any."""

    functions: Mapping[Proto, list[Linked]]
    places: Mapping[Proto, int]
    instructions: InstructionSet
    decoders: list[Pool]
    constants: Pool
    generator: random.Random
    marks: Marks | None
    run: RunWords | None
    invariants: Invariants
    maps: RegisterMaps | None
    stream: Stream = field(init=False)
    modulus: int = field(init=False)
    kinds: list[int] = field(init=False)
    """What tells the kinds of operands apart, modulo `modulus`. With marks one is left over, which means a number, too."""
    entries: dict[Proto, Entry] = field(default_factory=dict)
    _mixing: int = field(init=False)
    _invariant: tuple[str, int] = field(init=False)
    """What the state is made of, too, that a function begins with: Lua for a number, and the number."""
    _key_digits: int = field(init=False)
    """Of what leads to a state."""
    _records: dict[Linked, _Record] = field(default_factory=dict)
    _place_digits: int = 0

    def __post_init__(self) -> None:
        self.stream = Stream.drawn(self.generator, self.run)
        self.modulus = _KINDS + (self.marks is not None)
        self.kinds = self.generator.sample(range(self.modulus), self.modulus)
        self._mixing = self.generator.randrange(101, 9_973)
        self._invariant = self.invariants.sum(self.generator)
        self._key_digits = self._digits(self.stream.keystream.modulus - 1)

    # Layout

    def lay_out(self) -> None:
        """Find out where each instruction lies, and under which key."""
        records = self._records
        for function in self.functions.values():
            for place, one in enumerate(function):
                records[one] = self._record(one, function[place + 1] if place + 1 < len(function) else None)
        self._widen()
        self._settle()

    def _record(self, one: Linked, after: Linked | None) -> _Record:
        operation = self.instructions.of[one]
        goes_on = one.following is not None and one.following is after
        parts: list[_Part] = [operation.number]
        if one.following is not None:
            parts.append(_Edge(one.following, is_operand=False))
        for index in sorted(range(len(one.operands)), key=operation.slots.__getitem__):
            self._operand(parts, one.operands[index], operation.decoders.get(index))
        end = _NO_NEXT if one.following is None else _NEXT_IN_TEXT if goes_on else _NEXT_ELSEWHERE
        head = len(one.operands) * _ENDS + end
        return _Record(parts, operation.number, head, goes_on)

    def _operand(self, parts: list[_Part], operand: object, decoder: int | None) -> None:
        kinds, modulus = self.kinds, self.modulus
        match operand:
            case Constant() if decoder is not None:
                parts.append(_Number(self.decoders[decoder].place(operand)))
            case int():
                parts.append(_Number(operand))
            case Linked():
                parts.append(_Edge(operand, is_operand=True))
            case TwoLinked():
                parts.append(_Either(operand))
            case Constant():
                parts.append(self.constants.place(operand) * modulus + kinds[_CONSTANT])
            case Proto():
                parts += [self.places[operand] * modulus + kinds[_PROTO], _Making(operand)]
            case ConstantList():
                parts.append(len(operand.items) * modulus + kinds[_LIST])
                parts += [self.constants.place(item) for item in operand.items]

    def _widen(self) -> None:
        """Give every place as many digits as the last one needs."""
        lead = SYMBOLS - self.stream.split
        # Places have no digits yet.
        rest = sum(map(self._length, self._records.values()))
        places = sum(self._leads(part, record) for record in self._records.values() for part in record.parts)
        width = 0
        last = 1
        while self.stream.split * lead ** (width - 1) <= (last + 1) * self.modulus:
            width += 1
            last = rest + places * width
        self._place_digits = width

    def _leads(self, part: _Part, record: _Record) -> bool:
        """It says where another instruction lies."""
        if isinstance(part, _Edge):
            return part.is_operand or not record.goes_on
        return isinstance(part, _Either)

    def _length(self, record: _Record) -> int:
        return sum(self._length_of(part, goes_on=record.goes_on) for part in record.parts)

    def _length_of(self, part: _Part, *, goes_on: bool) -> int:
        match part:
            case int():
                return self._digits(part)
            case _Number():
                return self._digits(part.value * self.modulus + self.kinds[_NUMBER])
            case _Edge() if goes_on and not part.is_operand:
                return self._digits(self._records[part.target].head)
            case _Edge():
                return self._digits(self._records[part.target].head) + self._place_digits + self._key_digits
            case _Either():
                return self._digits(self._larger_head(part)) + self._place_digits + self._key_digits
            case _Making():
                return _HEAD_DIGITS + _PLACE_DIGITS + self._key_digits

    def _larger_head(self, either: _Either) -> int:
        return max(self._records[one].head for one in (either.targets.first, either.targets.second))

    def _digits(self, value: int) -> int:
        """How many there are of a number: as many as `digits` gives, which is asked of most of a build's numbers more than once."""
        value //= self.stream.split
        count = 1
        while value:
            value //= SYMBOLS - self.stream.split
            count += 1
        return count

    def _settle(self) -> None:
        """Places and states, in the order of the text."""
        keystream, generator = self.stream.keystream, self.generator
        at = 1
        for proto, function in self.functions.items():
            state: int | None = None
            for one in function:
                record = self._records[one]
                record.at = at
                if one is function[0]:
                    entry = self.entries[proto] = Entry(at, generator.randrange(KEYS), 2 * record.head + proto.moves)
                    record.state = (keystream.start(entry.key) + self._invariant[1]) % keystream.modulus
                else:
                    record.state = generator.randrange(keystream.modulus) if state is None else state
                length = self._length(record)
                at += length
                state = self._after(record, length) if record.goes_on else None

    def _after(self, record: _Record, length: int) -> int:
        """The state that what follows in the text begins with."""
        keystream = self.stream.keystream
        return (keystream.advanced(record.state, length) + record.number * self._mixing) % keystream.modulus

    # Text

    def data(self, entry: Callable[[Proto], Entry]) -> str:
        """The whole text; `entry` answers for the functions of every interpreter."""
        texts = TwoTexts()
        for record in self._records.values():
            texts.append(self._symbols(record, entry), self.stream.keystream, record.state)
        if self.marks is not None and texts.length < SHORTEST_TEXT:
            # What nobody reads, so that the text is long enough to have places.
            digits_ = [self.generator.randrange(self.stream.split) for _ in range(SHORTEST_TEXT - texts.length)]
            texts.append_plain(self.stream.encode(digits_, 0))
        return texts.finished(self.marks)

    def _symbols(self, record: _Record, entry: Callable[[Proto], Entry]) -> Symbols:
        places: list[Span] = []
        symbols = Symbols([], [], places)
        for part in record.parts:
            match part:
                case int():
                    self._append(symbols, part, part, places)
                case _Number():
                    ends = [self.kinds[_NUMBER], *self.kinds[_KINDS:]]
                    first, second = (part.value * self.modulus + end for end in (ends[0], ends[-1]))
                    self._append(symbols, first, second, places)
                case _Edge():
                    self._append_edge(symbols, record, part)
                case _Either():
                    self._append_either(symbols, record, part, places)
                case _Making():
                    known = entry(part.proto)
                    self._append_wide(symbols, known.head, _HEAD_DIGITS)
                    self._append_wide(symbols, known.at, _PLACE_DIGITS)
                    self._append_key(symbols, record, known.key)
        return symbols

    def _append_edge(self, symbols: Symbols, record: _Record, edge: _Edge) -> None:
        target = self._records[edge.target]
        if edge.is_operand:
            self._append_operand(symbols, record, target, self._digits(target.head))
            return
        self._append(symbols, target.head, target.head, [])
        if not record.goes_on:
            self._append_wide(symbols, target.at, self._place_digits)
            self._append_key(symbols, record, target.state)

    def _append_either(self, symbols: Symbols, record: _Record, either: _Either, places: list[Span]) -> None:
        width = self._digits(self._larger_head(either))
        begin = len(symbols.first)
        first, second = (
            self._written(record, begin, self._records[one], width)
            for one in (either.targets.first, either.targets.second)
        )
        symbols.first.extend(first)
        symbols.second.extend(first if self.marks is None else second)
        if self.marks is not None:
            places.append(Span(begin, begin + len(first), either.targets.choice))

    def _written(self, record: _Record, begin: int, target: _Record, width: int) -> list[int]:
        """What leads to an instruction as an operand, from that symbol of the record on, with so many digits for the head."""
        symbols = Symbols([0] * begin, [])
        self._append_operand(symbols, record, target, width)
        return symbols.first[begin:]

    def _append_operand(self, symbols: Symbols, record: _Record, target: _Record, width: int) -> None:
        self._append_wide(symbols, target.at * self.modulus + self.kinds[_NODE], self._place_digits)
        self._append_wide(symbols, target.head, width)
        self._append_key(symbols, record, target.state)

    def _append_key(self, symbols: Symbols, record: _Record, wanted: int) -> None:
        """A number that gives what is wanted when the state after it is added."""
        keystream = self.stream.keystream
        state = keystream.advanced(record.state, len(symbols.first) + self._key_digits)
        self._append_wide(symbols, (wanted - state) % keystream.modulus, self._key_digits)

    def _append(self, symbols: Symbols, number: int, other: int, places: list[Span]) -> None:
        """A number, with another that may stand for it, if it has as many digits, or itself."""
        first, second = digits(number, self.stream.split), digits(other, self.stream.split)
        if number != other and len(first) == len(second):
            places.append(Span(len(symbols.first), len(symbols.first) + len(first)))
        else:
            second = first
        symbols.first.extend(first)
        symbols.second.extend(second)

    def _append_wide(self, symbols: Symbols, number: int, width: int) -> None:
        """A number with leading zeros."""
        found = digits(number, self.stream.split)
        found[:0] = [self.stream.split] * (width - len(found))
        assert len(found) == width
        symbols.first.extend(found)
        symbols.second.extend(found)

    # Lua

    def source(self, form: Form, protos: str, constants: str, entry: Callable[[Proto], Entry]) -> str:
        """A Lua expression: a function that deciphers the instruction it is given, and one that gives a function's first.

        `protos` is the table of all functions, `constants` decodes the constants of instructions.
        """
        keystream, slots = self.stream.keystream, self.instructions
        modulus = keystream.modulus
        pack = max(record.head for record in self._records.values()) + self.generator.randrange(2, 200)

        def read(value: str) -> str:
            return f"{self.stream.reading_source(value)} "

        def given(key: str) -> str:
            return f"(_state+{key})%{modulus}"

        kinds = self.kinds
        cases = {
            _NODE: f"{read('_head')}{read('_key')}_value=_reach(_value,_head,{given('_key')})",
            _CONSTANT: f"_value={constants}(_value)",
            _PROTO: f"_value={protos}[_value] {read('_head')}{read('_to')}{read('_key')}"
            f"_value[3],_value[4],_value[5]=_to,{given('_key')},_head",
            _LIST: f"local _list={{}} for _index=1,_value do {read('_item')}_list[_index]={constants}(_item) end _value=_list",
        }
        order = self.generator.sample(sorted(cases), len(cases))
        choose = " elseif ".join(f"_kind=={kinds[case]} then {cases[case]}" for case in order)
        operation, following = (form.slot("_node", slot) for slot in (slots.operation_slot, slots.following_slot))
        maps = "" if self.maps is None else self.maps.start_source("_proto", "_moves")
        # What an instruction needs to be deciphered lies where its operation will be, and the next one, and stays there to the
        # end: a stack that overflows in between leaves an instruction that can be deciphered again.
        return (
            f"(function() local _data={spelled(self.data(entry))} local _byte,_found=string.byte,{{}} "
            f"{' '.join(keystream.captures())} {'local _at,_state ' if self.stream.is_called else ''}"
            f"{self.stream.reader_source()}{form.call_source()}"
            f"local function _reach(_at,_head,_state) local _known=_found[_at] if _known then return _known end "
            f"{form.new_source('_node', f'(_head-_head%{_ENDS})/{_ENDS}+{RESERVED_SLOTS}')}"
            f"{operation},{following}={slots.deciphering.number}+_state,_at*{pack}+_head "
            f"_found[_at]=_node return _node end "
            f"return function(_node) {self.stream.own}_state={operation}-{slots.deciphering.number} local _head={following}%{pack} "
            f"{self.stream.own}_at=({following}-_head)/{pack} local _end=_head%{_ENDS} "
            f"{read('_operation')}local _next,_after=false,0 "
            f"if _end<{_NO_NEXT} then {read('_value')}_after=_value "
            f"if _end=={_NEXT_ELSEWHERE} then {read('_to')}{read('_key')}_next=_reach(_to,_after,{given('_key')}) end end "
            f"for _slot={RESERVED_SLOTS + 1},(_head-_end)/{_ENDS}+{RESERVED_SLOTS} do {read('_value')}"
            f"local _kind=_value%{self.modulus} _value=(_value-_kind)/{self.modulus} "
            f"if {choose} end {form.slot('_node', '_slot')}=_value end "
            f"if _end=={_NEXT_IN_TEXT} then _next=_reach(_at,_after,(_state+_operation*{self._mixing})%{modulus}) end "
            f"{following}=_next {operation}=_operation end,"
            f"function(_proto) local _moves=_proto[5]%2 {maps}"
            f"local _first=_reach(_proto[3],(_proto[5]-_moves)/2,"
            f"({keystream.start_source('_proto[4]')}+{self._invariant[0]})%{modulus}) "
            f"_proto[1]=_first return _first end end)() "
        )
