"""Characters outside ASCII that people paste into scripts by accident, and what each is mistaken for.

The source is Unicode's confusables.txt (UTS #39), cut down to punctuation; letters are told by their code point alone.
"""

from __future__ import annotations

CONFUSABLES = {
    **dict.fromkeys([0xA0, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F], " "),
    **dict.fromkeys([0xB4, 0x2018, 0x2019, 0x201B, 0x2032, 0x2035], "'"),
    **dict.fromkeys([0x201C, 0x201D, 0x201F, 0x2033, 0x2036], '"'),
    **dict.fromkeys(range(0x2010, 0x2014), "-"),
    0xB8: ",",
    0x201A: ",",
    0xD7: "x",
    0x37E: ";",
    0x2024: ".",
    0x2025: "..",
    0x2026: "...",
    0x2039: "<",
    0x203A: ">",
    0x2044: "/",
    0x2053: "~",
    0x204E: "*",
}
