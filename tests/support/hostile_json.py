"""JSON that costs much to decode for its size: families by name, each of any size."""

from __future__ import annotations

from collections.abc import Callable

ITEMS: dict[str, str] = {
    "large floats": "1e308",
    "tiny floats": "1e-308",
    "subnormal floats": "4.9e-324",
    "the smallest normal float, nearly": "2.2250738585072011e-308",
    "halfway floats": "9007199254740993.0",
    "long floats": "0." + "1234567890" * 100,
    "long floats near the end": "1." + "1234567890" * 100 + "e-308",
    "floats too large": "1e999",
    "large integers": "1" * 4_000,
    "lists": "[]",
    "objects": "{}",
    "lists in lists": "[" * 60 + "]" * 60,
    "deep lists": "[" * 900 + "]" * 900,
    "objects in objects": '{"a":' * 60 + "1" + "}" * 60,
    "objects with members": '{"a":1,"b":"c"}',
    "strings": '""',
    "escaped strings": r'"\\"',
    "integers": "1",
    "nothing": "null",
    "characters as escapes": r'"\u0416\ud83d\ude00"',
}


def _list_of(item: str) -> Callable[[int], str]:
    return lambda size: "[" + ",".join([item] * max(1, (size - 2) // (len(item) + 1))) + "]"


def _object(member: Callable[[int], str]) -> Callable[[int], str]:
    return lambda size: (
        "{" + ",".join(member(number) for number in range(max(1, size // (len(member(99_999)) + 1)))) + "}"
    )


FAMILIES: dict[str, Callable[[int], str]] = {
    **{name: _list_of(item) for name, item in ITEMS.items()},
    "many names": _object(lambda number: f'"k{number}":1'),
    "one name": _object(lambda _: '"a":1e308'),
    "one long escaped text": lambda size: '["' + r"\n" * (size // 2 - 4) + '"]',
    "one long text of characters as escapes": lambda size: '["' + r"\u0416" * (size // 6 - 2) + '"]',
    "one long text of backslashes": lambda size: '["' + "\\\\" * (size // 2 - 4) + '"]',
    "one deep list": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "a list without an end": lambda size: "[" + "1e308," * (size // 6),
    "a text without an end": lambda size: '["' + r"\"" * (size // 2 - 4),
}
