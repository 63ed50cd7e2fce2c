"""A text in which constants lie enciphered, each under a key of its own, and the Lua that deciphers one at a time.

The key of a constant stands only where the script uses it: the store alone gives nothing away, and it keeps nothing
that it has deciphered. As with every cipher here the point is to hide text from readers, not from cryptanalysts.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.decoder import Cipher, digit_source, in_any_order, letter_source
from moonlatch.obfuscator.transform.keystream import FIRST, SYMBOLS, congruent, digits
from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.transform.run_words import RunWords
from moonlatch.obfuscator.transform.silent_text import Assembly
from moonlatch.obfuscator.transform.two_spellings import Marks, Symbols, TwoTexts

# Short constants are written again for every use, under another key.
_LONGEST_REPEATED = 40


@dataclass(slots=True)
class _Entry:
    constant: Constant
    key: int
    references: list[s.Number] = field(default_factory=list)


class KeyedStore:
    """`decode` is the variable that holds the function from a reference to its constant; `cache` that of a table which
    does the same and remembers.

    The references are numbers that say where a constant lies and what its key is; they are filled in by `source`.
    """

    def __init__(self, decode: s.Binding, cache: s.Binding, generator: random.Random) -> None:
        self.decode = decode
        self.cache = cache
        self.is_cached = False
        self._generator = generator
        self._keys = generator.randrange(3_001, 9_967)
        self._shift = generator.randrange(1_001, 99_991)
        self._entries: list[_Entry] = []
        self._long: dict[Constant, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def reference(self, text: bytes, *, is_number: bool, line: int) -> s.Number:
        """A number that selects the constant; zero until `source` is called, so that no pass takes it for one of the script's."""
        constant = Constant(text, is_number)
        entry = self._long.get(constant)
        if entry is None:
            entry = _Entry(constant, self._generator.randrange(self._keys))
            self._entries.append(entry)
            if len(text) > _LONGEST_REPEATED:
                self._long[constant] = entry
        reference = s.Number("0", 0.0, line)
        entry.references.append(reference)
        return reference

    def source(self, target: Target, marks: Marks | None = None, run: RunWords | None = None) -> str:
        """Lua that declares `decode`, and `cache` if `is_cached`; every reference gets its number.

        With `marks` some letters are written in one of two ways; with `run` they are enciphered under its words.
        """
        generator = self._generator
        cipher = Cipher.drawn(generator, [entry.constant for entry in self._entries], marks, run)
        data = spelling.string(self._lay_out(cipher).encode("ascii"), target)
        assembly = Assembly.of(entry.constant for entry in self._entries)
        captures = in_any_order(
            generator, ["local _byte=string.byte", *assembly.captures(), *cipher.keystream.captures()]
        )
        decode = (
            f"local {self.decode.name}=(function() local _data={data} {captures} "
            f"return function(_reference) {self._decode_source(cipher, assembly)} return _value end end)()"
        )
        if not self.is_cached:
            return decode
        return (
            f"{decode} local {self.cache.name}=setmetatable({{}},{{__index=function(_known,_reference) "
            f"local _value={self.decode.name}(_reference) _known[_reference]=_value return _value end}})"
        )

    def _lay_out(self, cipher: Cipher) -> str:
        keystream = cipher.keystream
        self._generator.shuffle(self._entries)
        texts = TwoTexts()
        for entry in self._entries:
            header, symbols = cipher.symbols(entry.constant)
            head = digits(header, cipher.split)
            symbols = Symbols(
                head + symbols.first,
                head + symbols.second,
                [span.moved(len(head)) for span in symbols.places],
            )
            start = (
                entry.key * keystream.place_factor + texts.length * keystream.place_step + keystream.chosen(entry.key)
            )
            value = texts.length * self._keys + entry.key + self._shift
            for reference in entry.references:
                reference.text, reference.value = str(value), float(value)
            texts.append(symbols, keystream, start % keystream.modulus)
        return texts.finished(cipher.marks)

    def _decode_source(self, cipher: Cipher, assembly: Assembly) -> str:
        """Deciphers the constant of `_reference` into `_value`."""
        generator = self._generator
        leading = SYMBOLS - cipher.split
        keystream = cipher.keystream
        start = generator.choice(
            [
                f"_reference=_reference-{self._shift} local _key=_reference%{self._keys} local _at=(_reference-_key)/{self._keys}",
                f"local _key=(_reference-{self._shift})%{self._keys} local _at=(_reference-{self._shift}-_key)/{self._keys}",
            ]
        )
        chosen = keystream.chosen_source("_key")
        state = generator.choice(
            [
                f"local _state=(_key*{keystream.place_factor}+_at*{keystream.place_step}{chosen})%{keystream.modulus}",
                f"local _state=(_at*{keystream.place_step}+_key*{keystream.place_factor}{chosen})%{keystream.modulus}",
            ]
        )

        def each(symbol: str) -> str:
            return generator.choice(
                [
                    f"for _at=_at+1,_at+_count do {symbol} end",
                    f"local _stop=_at+_count while _at<_stop do _at=_at+1 {symbol} end",
                ]
            )

        letters = f"local _pending {each(letter_source(cipher, assembly, generator))}"
        numbers = each(digit_source(cipher, assembly, generator))
        return f"""{start} {state} local _size,_digit=0
            repeat
                _at=_at+1
                {keystream.next_source("_state")}
                _digit=(_byte(_data,_at)-{congruent(FIRST, SYMBOLS, generator)}{keystream.unshift_source("_state")})%{SYMBOLS}
                {keystream.feedback_source("_state", "_digit")}
                if _digit<{cipher.split} then _size=_size*{cipher.split}+_digit
                else _size=_size*{leading}+_digit-{cipher.split} end
            until _digit<{cipher.split}
            {assembly.header_source()} {assembly.source(letters, numbers)}"""
