"""Writes instructions and constants as enciphered text, and the Lua that reads them back."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from moonlatch.obfuscator.transform.keystream import FIRST, SYMBOLS, Keystream, congruent, digits
from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.transform.run_words import RunWords
from moonlatch.obfuscator.transform.silent_text import Assembly, Shape, digits_of
from moonlatch.obfuscator.transform.two_spellings import PAIR, Marks, Symbols, TwoTexts, spelled_twice

_ROTATION = 64
_BASE = 50
"""Digits of numbers; every stream has one symbol for each of them."""
_SHARE_CALLED = 0.5
_KEYS = (1_009, 4_999)
"""How many keys there are for constants is drawn from these."""
_BODIES = (1_000_003, 9_999_991)
"""What tells the key of a constant's bytes from that of its length is drawn from these."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Numbers as digits that are parted at `split` and shifted by the keystream, each sequence from a place of its own."""

    split: int
    keystream: Keystream
    first: int
    """What is taken off every symbol, modulo 95."""
    is_called: bool = False
    """Numbers are read by a function of the decoder's own, not wherever one is needed."""

    @classmethod
    def drawn(cls, generator: random.Random, run: RunWords | None = None) -> Stream:
        split, keystream = generator.randrange(52, 70), Keystream.drawn(generator, varied=False)
        first = congruent(FIRST, SYMBOLS, generator)
        is_called = generator.random() < _SHARE_CALLED
        return cls(split, keystream if run is None else run.bind(keystream, generator), first, is_called)

    def encode(self, numbers: Iterable[int], place: int) -> str:
        """Numbers of zero or more as the sequence of that place."""
        symbols = (digit for number in numbers for digit in digits(number, self.split))
        return self.keystream.shifted(symbols, self.keystream.start(place))

    def symbols_of(self, content: bytes, marks: Marks | None, share: float) -> Symbols:
        """Bytes as numbers; letters take one symbol, or with `marks`, that share of them, two of either spelling."""
        rotated = (byte - FIRST if byte >= FIRST else byte + 224 for byte in content)
        # The commonest bytes, from 64 up, come first.
        values = [(value - 32) % 256 for value in rotated]
        if marks is not None:
            return spelled_twice(values, self._digits, self._pair, marks, share)
        return Symbols.plain([digit for value in values for digit in self._digits(value)])

    def _digits(self, value: int) -> list[int]:
        return digits(value, self.split)

    def _pair(self, value: int) -> tuple[int, ...] | None:
        found = tuple(self._digits(value))
        return found if len(found) == PAIR else None

    def read_source(self, value: str, data: str, at: str, state: str, byte: str) -> str:
        """Lua statements that read the number at `at` into `value`, a local that they declare."""
        lead = SYMBOLS - self.split
        digit = f"{value}_d"
        return (
            f"local {value},{digit}=0 repeat {self.keystream.next_source(state)} "
            f"{digit}=({byte}({data},{at})-{self.first}{self.keystream.unshift_source(state)})%{SYMBOLS} {at}={at}+1 "
            f"if {digit}<{self.split} then {value}={value}*{self.split}+{digit} "
            f"else {value}={value}*{lead}+{digit}-{self.split} end until {digit}<{self.split} "
        )

    def reader_source(self) -> str:
        """Lua statements after `_data`, `_byte`, `_at` and `_state` are declared."""
        if not self.is_called:
            return ""
        return f"local function _read() {self.inline_source('_number')}return _number end "

    @property
    def own(self) -> str:
        """Whether `_at` and `_state` are variables of the function that sets them: `local`, if they are."""
        return "" if self.is_called else "local "

    def reading_source(self, value: str) -> str:
        """Lua statements of a decoder that read a number into `value`, a local that they declare."""
        return f"local {value}=_read()" if self.is_called else self.inline_source(value)

    def inline_source(self, value: str) -> str:
        return self.read_source(value, "_data", "_at", "_state", "_byte")


class Pool:
    """The constants that one decoder knows, each under a key of its own, and the Lua function that decodes them.

    The key of a constant stands only where an instruction asks for it.
    """

    def __init__(self, generator: random.Random, run: RunWords | None = None) -> None:
        """With `run` they are enciphered under its words."""
        self._stream = Stream.drawn(generator, run)
        self._body = generator.randrange(*_BODIES)
        self._rotation = congruent(_ROTATION, 256, generator)
        self._keys = generator.randrange(*_KEYS)
        self._generator = generator
        self._places: dict[Constant, int] = {}

    def place(self, constant: Constant) -> int:
        """A number that says where the decoder has it, and what its key is."""
        place = self._places.get(constant)
        if place is None:
            place = (len(self._places) + 1) * self._keys + self._generator.randrange(self._keys)
            self._places[constant] = place
        return place

    def decoder_source(self, name: str, *, keeps: bool, marks: Marks | None = None) -> str:
        """Lua that makes the local `name`, a function from what `place` gives to the constant; it remembers them when it `keeps` them.

        With `marks` some letters are written in one of two ways.
        """
        share = 0.0 if marks is None else marks.share(sum(len(constant.text) for constant in self._places))
        stream = self._stream
        laid_out = [(place, *self._header_and_symbols(one, place, marks, share)) for one, place in self._places.items()]
        lengths = [len(header) + len(symbols.first) for _, header, symbols in laid_out]
        texts = TwoTexts()
        texts.append_plain(stream.encode([len(lengths), *lengths], 0))
        for place, header, symbols in laid_out:
            texts.append_plain(header)
            texts.append(symbols, stream.keystream, stream.keystream.start(place + self._body))
        return self._decoder(name, spelled(texts.finished(marks)), keeps=keeps)

    def _header_and_symbols(
        self, constant: Constant, place: int, marks: Marks | None, share: float
    ) -> tuple[str, Symbols]:
        shape = Shape.of(constant)
        if shape.is_text:
            length, symbols = len(constant.text), self._stream.symbols_of(constant.text, marks, share)
        else:
            found = digits_of(shape.value, _BASE)
            length, symbols = (
                len(found),
                Symbols.plain([digit for one in found for digit in digits(one, self._stream.split)]),
            )
        return self._stream.encode([shape.header(length)], place), symbols

    def _decoder(self, name: str, data: str, *, keeps: bool) -> str:
        stream, assembly = self._stream, Assembly.of(self._places)

        def within(place: str) -> str:
            # Places are as large as a script is long; what comes of them is to be exact.
            return f"({place})%{stream.keystream.modulus}"

        read, own, start = stream.reading_source, stream.own, stream.keystream.start_source
        # Where there are many, without a call for each.
        each = f"for _index=1,_count do {stream.inline_source('_code')}"
        letters = f"{each}{assembly.append_source(f'(_code+{self._rotation})%256')} end"
        numbers = f"{each}{assembly.digit_source('_code', _BASE)} end"
        captures = assembly.captures() + stream.keystream.captures()
        known = "local _known={} " if keeps else ""
        look = "local _held=_known[_place]if _held~=nil then return _held end " if keeps else ""
        keep = "_known[_place]=_value " if keeps else ""
        return (
            f"local {name}=(function() local _data={data} local _byte=string.byte {' '.join(captures)} "
            f"local _at,_state,_starts=1,{start('0')},{{}} {stream.reader_source()}{read('_count')} "
            f"for _index=1,_count do {read('_length')} _starts[_index]=_length end "
            f"for _index=1,_count do local _length=_starts[_index] _starts[_index]=_at _at=_at+_length end {known}"
            f"return function(_place) {look}{own}_at=_starts[(_place-_place%{self._keys})/{self._keys}] "
            f"{own}_state={start(within('_place'))} "
            f"{read('_size')} _state={start(within(f'_place+{self._body}'))} "
            f"{assembly.header_source()} {assembly.source(letters, numbers)} {keep}return _value end end)() "
        )


def spelled(data: str) -> str:
    """As a literal."""
    escaped = data.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
