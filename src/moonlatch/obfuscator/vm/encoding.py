"""Writes instructions and constants as enciphered text, and the Lua that reads them back."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from moonlatch.obfuscator.transform.keystream import FIRST, SYMBOLS, Keystream, congruent, digits
from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.transform.silent_text import Assembly, Shape, digits_of

_ROTATION = 64
_BASE = 50
"""Digits of numbers; every stream has one symbol for each of them."""
_BODIES = (1_000_003, 9_999_991)
"""What tells the key of a constant's bytes from that of its length is drawn from these."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Numbers as digits that are parted at `split` and shifted by the keystream, each sequence from a place of its own."""

    split: int
    keystream: Keystream
    first: int
    """What is taken off every symbol, modulo 95."""

    @classmethod
    def drawn(cls, generator: random.Random) -> Stream:
        return cls(
            split=generator.randrange(52, 70),
            keystream=Keystream.drawn(generator, varied=False),
            first=congruent(FIRST, SYMBOLS, generator),
        )

    def encode(self, numbers: Iterable[int], place: int) -> str:
        """Numbers of zero or more as the sequence of that place."""
        symbols = (digit for number in numbers for digit in digits(number, self.split))
        return self.keystream.shifted(symbols, self.keystream.start(place))

    def encode_bytes(self, content: bytes, place: int) -> str:
        """Bytes as numbers; letters take one character."""
        rotated = (byte - FIRST if byte >= FIRST else byte + 224 for byte in content)
        # The commonest bytes, from 64 up, come first.
        return self.encode(((value - 32) % 256 for value in rotated), place)

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


class Pool:
    """The constants that one decoder knows, each under a key of its own, and the Lua function that decodes them."""

    def __init__(self, generator: random.Random) -> None:
        self._stream = Stream.drawn(generator)
        self._body = generator.randrange(*_BODIES)
        self._rotation = congruent(_ROTATION, 256, generator)
        self._places: dict[Constant, int] = {}

    def place(self, constant: Constant) -> int:
        """Where the decoder has it, counted from 1."""
        return self._places.setdefault(constant, len(self._places) + 1)

    def decoder_source(self, name: str, *, keeps: bool) -> str:
        """Lua that makes the local `name`, a function from place to constant; it remembers them when it `keeps` them."""
        texts = ["".join(self._header_and_body(one, place)) for one, place in self._places.items()]
        lengths = [len(text) for text in texts]
        data, starts = "".join(texts), self._stream.encode([len(texts), *lengths], 0)
        return self._decoder(name, spelled(starts + data), keeps=keeps)

    def _header_and_body(self, constant: Constant, place: int) -> tuple[str, str]:
        shape, below = Shape.of(constant), place + self._body
        if shape.is_text:
            length, body = len(constant.text), self._stream.encode_bytes(constant.text, below)
        else:
            found = digits_of(shape.value, _BASE)
            length, body = len(found), self._stream.encode(found, below)
        return self._stream.encode([shape.header(length)], place), body

    def _decoder(self, name: str, data: str, *, keeps: bool) -> str:
        stream, assembly = self._stream, Assembly.of(self._places)
        read, start = stream.read_source, stream.keystream.start_source
        each = f"for _index=1,_count do {read('_code', '_data', '_at', '_state', '_byte')}"
        letters = f"{each}{assembly.append_source(f'(_code+{self._rotation})%256')} end"
        numbers = f"{each}{assembly.digit_source('_code', _BASE)} end"
        known = "local _known={} " if keeps else ""
        look = "local _held=_known[_place]if _held~=nil then return _held end " if keeps else ""
        keep = "_known[_place]=_value " if keeps else ""
        return (
            f"local {name}=(function() local _data={data} local _byte=string.byte {' '.join(assembly.captures())} "
            f"local _at,_state,_starts=1,{start('0')},{{}} {read('_count', '_data', '_at', '_state', '_byte')}"
            f"for _index=1,_count do {read('_length', '_data', '_at', '_state', '_byte')}_starts[_index]=_length end "
            f"for _index=1,_count do local _length=_starts[_index] _starts[_index]=_at _at=_at+_length end {known}"
            f"return function(_place) {look}local _at,_state=_starts[_place],{start('_place')} "
            f"{read('_size', '_data', '_at', '_state', '_byte')}_state={start(f'(_place+{self._body})')} "
            f"{assembly.header_source()} {assembly.source(letters, numbers)} {keep}return _value end end)() "
        )


def spelled(data: str) -> str:
    """As a literal."""
    escaped = data.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
