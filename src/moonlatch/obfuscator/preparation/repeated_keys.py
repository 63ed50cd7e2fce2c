"""Gives the values of a key that a constructor repeats the last one's value, where all of them are constants.

LuaJIT puts constants into a new table before anything that is computed, while passes compute some constants and leave others: of
`{ x = 1, x = 2 }` the first would be set last. Which of several values a key keeps is the order of a constructor's assignments, which
Lua's manual leaves undefined (5.1, section 2.5.7); but where all are constants every Lua keeps the last one.
"""

from __future__ import annotations

import copy
from collections import defaultdict

from moonlatch.obfuscator.analysis.constants import UNKNOWN, Constants
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Rewriter

_Key = tuple[type, object]
_Item = s.PositionalItem | s.NamedItem | s.KeyedItem


def settle_repeated_keys(chunk: s.Chunk) -> None:
    """Change what is written, but no name and nothing that it does in any Lua."""
    _Settler().chunk(chunk)


class _Settler(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self._constants = Constants()  # of no locals: LuaJIT does not know theirs

    def rewrite_table(self, node: s.Table) -> s.Expression:
        super().rewrite_table(node)
        if len(node.items) > 1:
            for items in self._by_key(node).values():
                self._settle(items)
        return node

    def _by_key(self, node: s.Table) -> dict[_Key, list[_Item]]:
        found: dict[_Key, list[_Item]] = defaultdict(list)
        place = 0
        for item in node.items:
            if isinstance(item, s.PositionalItem):
                place += 1
                found[float, float(place)].append(item)
            elif isinstance(item, s.NamedItem):
                found[bytes, item.name.encode("latin-1")].append(item)
            elif isinstance(item, s.KeyedItem):
                key = self._constants.value(item.key)
                if key is not UNKNOWN:
                    found[type(key), key].append(item)
        return found

    def _settle(self, items: list[_Item]) -> None:
        *earlier, last = items
        # Lua 5.1 sets what has no key written behind all others, so where that is not the last one it is not every Lua's.
        if not earlier or any(isinstance(item, s.PositionalItem) for item in earlier):
            return
        if all(self._constants.value(item.value) is not UNKNOWN for item in items):
            for item in earlier:
                item.value = copy.deepcopy(last.value)
