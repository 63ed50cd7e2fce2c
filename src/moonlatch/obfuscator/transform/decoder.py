"""Enciphers the constant pool and writes the Lua that deciphers it, one constant at a time, on first use.

The Lua it writes needs no bit operations, runs on every Lua from 5.1 and draws its numbers and its shape from the seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.keystream import FIRST, SYMBOLS, Keystream, congruent, digits
from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.transform.run_words import RunWords
from moonlatch.obfuscator.transform.silent_text import Assembly, Shape, digits_of
from moonlatch.obfuscator.transform.two_spellings import Marks, Symbols, TwoTexts, spelled_twice

_SINGLES_OF_MARKED = (80, 87)
"""Fewer, so that a pair has room for every byte and for multiples of 256 more."""


@dataclass(frozen=True, slots=True)
class Cipher:
    """The numbers of one build.

    A byte within `singles` of `base` is one symbol, any other two, which the keystream shifts. A constant's length and
    kind come before it as digits that are parted at `split`. With `marks` some bytes are written in one of two ways.
    """

    base: int
    singles: int
    split: int
    lead: int
    keystream: Keystream
    marks: Marks | None = None
    share: float = 0.0
    """Of the bytes within `singles`, those that are two symbols all the same."""

    @classmethod
    def drawn(
        cls, generator: random.Random, constants: list[Constant], marks: Marks | None, run: RunWords | None = None
    ) -> Cipher:
        cipher = cls(
            base=generator.randrange(27, 34),
            singles=generator.randrange(85, 94),
            split=generator.randrange(40, 56),
            lead=generator.randrange(11, SYMBOLS),
            keystream=Keystream.drawn(generator, varied=True),
        )
        if run is not None:
            cipher = replace(cipher, keystream=run.bind(cipher.keystream, generator))
        if marks is None:
            return cipher
        return replace(
            cipher,
            singles=generator.randrange(*_SINGLES_OF_MARKED),
            # What is fed back would change every symbol behind a pair.
            keystream=replace(cipher.keystream, chained=False),
            marks=marks,
            share=marks.share(sum(len(constant.text) for constant in constants)),
        )

    def encipher(self, constants: list[Constant]) -> str:
        """All constants in the order of their places, as one text."""
        texts = TwoTexts()
        for place, constant in enumerate(constants, 1):
            header, symbols = self.symbols(constant)
            texts.append_plain(self._header(header))
            texts.append(symbols, self.keystream, self.keystream.start(place))
        return texts.finished(self.marks)

    def symbols(self, constant: Constant) -> tuple[int, Symbols]:
        """The header of a constant, and what stands for it, each from 0 to 94."""
        shape = Shape.of(constant)
        symbols = self._letters(constant.text) if shape.is_text else Symbols.plain(digits_of(shape.value, SYMBOLS))
        return shape.header(len(symbols.first)), symbols

    def _letters(self, text: bytes) -> Symbols:
        values = [(byte - self.base) % 256 for byte in text]
        if self.marks is not None:
            return spelled_twice(values, self._spell, self._pair, self.marks, self.share)
        return Symbols.plain([symbol for value in values for symbol in self._spell(value)])

    def _spell(self, value: int) -> tuple[int, ...]:
        return (value,) if value < self.singles else self._two(value)

    def _two(self, value: int) -> tuple[int, int]:
        high, low = divmod(value - self.singles, SYMBOLS)
        return self.singles + high, low

    def _pair(self, value: int) -> tuple[int, int] | None:
        pair = self._two(value)
        return pair if self.singles <= pair[0] < SYMBOLS else None

    def _header(self, value: int) -> str:
        return "".join(chr(FIRST + (digit + self.lead) % SYMBOLS) for digit in digits(value, self.split))


def decoder_source(
    pool: str, constants: list[Constant], target: Target, generator: random.Random, marks: Marks | None = None
) -> str:
    """Lua that declares the local `pool`, a table with all constants at their places, decoded when first read."""
    cipher = Cipher.drawn(generator, constants, marks)
    data = spelling.string(cipher.encipher(constants).encode("ascii"), target)
    assembly = Assembly.of(constants)
    captures = in_any_order(
        generator, ["local _byte=string.byte", *assembly.captures(), "local _starts,_ends,_kinds={},{},{}"]
    )
    # With its array part in place at once, a constant's first use never makes the table grow.
    table = f"table.create({len(constants)})" if target is Target.LUAU else "{}"
    return (
        f"local {pool}=(function() local _data={data} {captures} {_index_source(cipher, assembly, generator)} "
        f"return setmetatable({table},{{__index=function(_known,_place) {_decode_source(cipher, assembly, generator)} "
        "_known[_place]=_value return _value end}) end)()"
    )


def _index_source(cipher: Cipher, assembly: Assembly, generator: random.Random) -> str:
    """Finds where each constant starts and ends and of what kind it is, by the headers in front of them."""
    leading = SYMBOLS - cipher.split
    records = in_any_order(generator, ["_starts[_place]=_next", "_kinds[_place]=_kind"])
    return f"""
        local _next,_place=1,0
        while _next<=#_data do
            local _size,_digit=0
            repeat
                _digit=(_byte(_data,_next)-{congruent(FIRST + cipher.lead, SYMBOLS, generator)})%{SYMBOLS}
                _next=_next+1
                if _digit<{cipher.split} then _size=_size*{cipher.split}+_digit
                else _size=_size*{leading}+_digit-{cipher.split} end
            until _digit<{cipher.split}
            {assembly.header_source()}
            _place=_place+1
            {records}
            _next=_next+_count
            _ends[_place]=_next-1
        end"""


def _decode_source(cipher: Cipher, assembly: Assembly, generator: random.Random) -> str:
    """Decodes the constant at `_place` into `_value`."""
    state = in_any_order(
        generator, [f"local _state={cipher.keystream.start_source('_place')}", "local _kind=_kinds[_place]"]
    )

    def each(symbol: str) -> str:
        return generator.choice(
            [
                f"for _at=_starts[_place],_ends[_place] do {symbol} end",
                f"local _at,_stop=_starts[_place],_ends[_place] while _at<=_stop do {symbol} _at=_at+1 end",
            ]
        )

    letters = f"local _pending {each(letter_source(cipher, assembly, generator))}"
    return f"{state} {assembly.source(letters, each(digit_source(cipher, assembly, generator)))}"


def letter_source(cipher: Cipher, assembly: Assembly, generator: random.Random) -> str:
    """Lua that decodes the symbol at `_at`: a byte of its own, or the first or second half of one."""
    single = assembly.append_source(f"(_symbol+{congruent(cipher.base, 256, generator)})%256")
    second = assembly.append_source("(_symbol+_pending)%256") + " _pending=nil"
    offset = cipher.base + cipher.singles - cipher.singles * SYMBOLS
    first = f"_pending=_symbol*{SYMBOLS}+{congruent(offset, 256, generator)}"
    branches = generator.choice(
        [
            f"if _pending then {second} elseif _symbol<{cipher.singles} then {single} else {first} end",
            f"if _pending then {second} elseif _symbol>={cipher.singles} then {first} else {single} end",
            f"if not _pending then if _symbol>={cipher.singles} then {first} else {single} end else {second} end",
        ]
    )
    return f"{_symbol_source(cipher, generator)} {branches}"


def digit_source(cipher: Cipher, assembly: Assembly, generator: random.Random) -> str:
    """Lua that adds the symbol at `_at` to the whole number `_value`."""
    return f"{_symbol_source(cipher, generator)} {assembly.digit_source('_symbol', SYMBOLS)}"


def _symbol_source(cipher: Cipher, generator: random.Random) -> str:
    keystream = cipher.keystream
    return f"""
        {keystream.next_source("_state")}
        local _symbol=(_byte(_data,_at)-{congruent(FIRST, SYMBOLS, generator)}{keystream.unshift_source("_state")})%{SYMBOLS}
        {keystream.feedback_source("_state", "_symbol")}"""


def in_any_order(generator: random.Random, statements: list[str]) -> str:
    """Statements that do not depend on each other, in an order of the build's own."""
    generator.shuffle(statements)
    return " ".join(statements)
