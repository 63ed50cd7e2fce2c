"""Writes field names as string keys, which the passes that hide strings then hide like any other.

Names that a host must see stay: of globals, of methods where they are called, of the members of the standard libraries.
"""

from __future__ import annotations

from moonlatch.obfuscator.analysis.builtins import LIBRARIES
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter
from moonlatch.obfuscator.transform.unit import Unit

KEY = "encrypt_names"


def run(unit: Unit) -> None:
    unit.make_names_unique()
    _NameEncryptor(unit.sealed).chunk(unit.chunk)


class _NameEncryptor(Rewriter):
    def rewrite_index_name(self, node: s.IndexName) -> s.Expression:
        owner = node.object
        if isinstance(owner, s.Name) and owner.binding is None and owner.name in LIBRARIES:
            return node
        return s.Index(self.expression(owner), s.String(node.name.encode("ascii"), node.line), node.line)

    def rewrite_table(self, node: s.Table) -> s.Expression:
        super().rewrite_table(node)
        node.items = [
            s.KeyedItem(s.String(item.name.encode("ascii"), item.line), item.value, item.line)
            if isinstance(item, s.NamedItem)
            else item
            for item in node.items
        ]
        return node

    def rewrite_function_declaration(self, node: s.FunctionDeclaration) -> Replacement:
        self._enter(node.function)
        if isinstance(node.target, s.Name) or node.function in self._sealed:
            return node
        return s.Assign([self.expression(node.target)], [node.function], node.line)
