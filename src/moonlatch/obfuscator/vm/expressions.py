"""Compiles expressions: whole ones become the text of one operation, others are cut into several that leave parts in registers.

Evaluation order is Luau's, including that an operation reads a captured local of its own function only when both of
its operands are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.vm.closures import Built
from moonlatch.obfuscator.vm.code import HOLE, LINE, Label, Operand, TwoLabels
from moonlatch.obfuscator.vm.texts import WIDEST_LIST, Texts, bare

_SOUND_KEYS = (s.String, s.Number, s.TrueValue, s.FalseValue, s.Table, s.Function, s.InterpolatedString)
_LONGEST_TEXT = 500
_LONGEST_HOT_TEXT = 400


class ExpressionLowering(Texts):
    """Compiles the expressions of one function."""

    # Values

    def is_inline(self, node: s.Expression) -> bool:
        """The whole expression can be part of one operation: a hot one, or one that the script has more than once."""
        node = bare(node)
        if self.is_leaf(node):
            return True
        text = self._whole_text(node)
        if text is None:
            return False
        if self.program.is_surveying or isinstance(node, s.MethodCall):
            return True
        if self.depth and _length(text) <= _LONGEST_HOT_TEXT:
            return True
        return self.program.shapes[text] > 1 or self.program.is_primitive(node)

    def value(self, node: s.Expression) -> Built:
        """The text for an expression's one value; what has to be evaluated before it is emitted."""
        return self._whole(node) if self.is_inline(node) else self._cut(bare(node))

    def operands(self, nodes: Sequence[s.Expression], *, multiple_last: bool = False) -> list[Built]:
        """Texts for several expressions that are evaluated in order."""
        if all(self.is_inline(node) for node in nodes):
            return self._all_whole(nodes, multiple_last=multiple_last)
        return self._settle(nodes, multiple_last=multiple_last)

    def settled(self, node: s.Expression) -> Built:
        """The text of a register that has the expression's value, or of something as harmless."""
        return self.value(node) if self.is_pure(node) else self._into_temporary(node)

    def branch(self, condition: s.Expression, then: Label, otherwise: Label) -> None:
        """Go to one label or the other."""
        node = bare(condition)
        if isinstance(node, s.Group):
            node = unwrapped(node)
        if isinstance(node, s.TrueValue):
            self.jump(then)
        elif isinstance(node, s.Choice):
            where = TwoLabels(then, otherwise, node.number)
            self.emit(f"{self.names.node}={HOLE}", [where], falls_through=False)
        elif isinstance(node, s.Unary) and node.operator == "not":
            self.branch(node.operand, otherwise, then)
        elif isinstance(node, s.Binary) and node.operator in ("and", "or") and not self.is_inline(node):
            middle = Label()
            if node.operator == "and":
                self.branch(node.left, middle, otherwise)
            else:
                self.branch(node.left, then, middle)
            self.place(middle)
            self.branch(node.right, then, otherwise)
        else:
            text, operands = self.value(node)
            goto = f"{self.names.node}={HOLE}"
            self.emit(f"if {text} then {goto} else {goto} end", [*operands, then, otherwise], falls_through=False)

    def _into_temporary(self, node: s.Expression) -> Built:
        register = self.temporary()
        self._evaluate_into(register, node)
        return self.register_text, [register]

    def _evaluate_into(self, register: int, node: s.Expression) -> None:
        """Evaluate into a register that nothing else reads yet."""
        inner = bare(node)
        if not self.is_inline(inner):
            if isinstance(inner, s.Binary) and inner.operator in ("and", "or"):
                self._choose(register, inner)
                return
            if isinstance(inner, s.IfExpression):
                self._if_expression(register, inner)
                return
        text, operands = self.value(inner)
        self.emit(f"{self.register_text}={text}", [register, *operands])

    def _choose(self, register: int, node: s.Binary) -> None:
        self._evaluate_into(register, node.left)
        right, end = Label(), Label()
        there, elsewhere = (right, end) if node.operator == "and" else (end, right)
        goto = f"{self.names.node}={HOLE}"
        self.emit(
            f"if {self.register_text} then {goto} else {goto} end", [register, there, elsewhere], falls_through=False
        )
        self.place(right)
        self._evaluate_into(register, node.right)
        self.place(end)

    def _if_expression(self, register: int, node: s.IfExpression) -> None:
        end = Label()
        for condition, value in node.clauses:
            then, otherwise = Label(), Label()
            self.branch(condition, then, otherwise)
            self.place(then)
            self._evaluate_into(register, value)
            self.jump(end)
            self.place(otherwise)
        self._evaluate_into(register, node.otherwise)
        self.place(end)

    def _settle(
        self,
        nodes: Sequence[s.Expression],
        *,
        multiple_last: bool = False,
        late: int = 0,
        keys: Mapping[int, int] = MappingProxyType({}),
    ) -> list[Built]:
        """Evaluates in order whatever could change, or be changed by, what comes after it.

        The first `late` of them are operands, which Luau takes from a local's own register when the operation runs.
        `keys` tells after which of them which one becomes the key of a table.
        """
        built: list[Built] = []
        last_effect = self._last_effect(nodes)
        for place, node in enumerate(nodes):
            if multiple_last and place == len(nodes) - 1 and isinstance(bare(node), s.MULTIPLE):
                built.append(self.multiple(bare(node)))
            elif self.is_pure(node) or (
                self.is_leaf(node) and (place >= last_effect or (place < late and self.is_own_cell(node)))
            ):
                built.append(self._whole(node))
            else:
                built.append(self._into_temporary(node))
            if place in keys and place < last_effect:
                self._check_key(built[keys[place]])
        return built

    def _last_effect(self, nodes: Sequence[s.Expression]) -> int:
        return max((place for place, node in enumerate(nodes) if not self.is_leaf(node)), default=-1)

    def _check_key(self, key: Built) -> None:
        """Raises what a table raises that gets nil or NaN as a key."""
        text, operands = key
        self.emit(f"{self.register_text}={{[{text}]={HOLE}}}", [self.temporary(), *operands, 1])

    def multiple(self, node: s.Expression) -> Built:
        """All values of a call or of `...`, evaluated last."""
        if isinstance(node, s.Varargs):
            return self._varargs()
        return self._whole(node) if self.is_inline(node) else self._cut(node)

    # Cutting

    def _cut(self, node: s.Expression) -> Built:
        """The text for an expression whose parts are in registers by then."""
        match node:
            case s.Binary() if node.operator in ("and", "or"):
                return self._into_temporary(node)
            case s.IfExpression():
                return self._into_temporary(node)
            case s.Binary():
                parts = self._settle([node.left, node.right], late=0 if node.operator == ".." else 2)
                return self._binary_text(node, parts)
            case s.Unary():
                return self._unary_text(node, self._settle([node.operand]))
            case s.Group() | s.TypeAssertion() | s.Instantiation():
                return self._grouped(node, self.value(unwrapped(node)))
            case s.Index():
                return self.target_text(node, self._settle([node.object, node.key], late=2))
            case s.IndexName():
                return self.target_text(node, self._settle([node.object]))
            case s.Call():
                before = self.top
                function, *arguments = self._settle([node.function, *node.arguments], multiple_last=True)
                return self._call_text(node, function, self._released(node, arguments, before))
            case s.MethodCall():
                before = self.top
                subject, *arguments = self._settle([node.object, *node.arguments], multiple_last=True, late=1)
                if self._reads_late(node) and isinstance(bare(node.arguments[-1]), s.MULTIPLE):
                    return self._late_method_text(node, subject, arguments)
                return self._method_text(node, subject, self._released(node, arguments, before))
            case s.InterpolatedString():
                return self._interpolated_text(node, self._settle(node.values))
            case s.Table():
                return self._table_text(node, self._settled_items(node))
            case s.Function():
                return self.closure(node)
        raise TypeError(type(node).__name__)

    def _released(self, node: s.Call | s.MethodCall, arguments: list[Built], before: int) -> list[Built]:
        """The arguments of a call that may run for long, with something that empties the registers above `before` when they are there.

        Those hold what was made for this call alone, which its callee may want to let go of.
        """
        if self.top == before or not self.is_cold or len(arguments) >= WIDEST_LIST:
            return arguments
        self.program.releases_registers = True
        operands: list[Operand] = [before + 1, self.top]
        emptied = f"{self.names.registers},{self.names.slots},{HOLE},{HOLE}"
        if not (node.arguments and isinstance(bare(node.arguments[-1]), s.MULTIPLE)):
            # It has no value, so the call has no argument more.
            return [*arguments, (f"{self.names.release}({emptied})", operands)]
        text, more = self.joined(arguments)
        return [(f"{self.names.pass_on}({emptied},{text})", [*operands, *more])]

    def _settled_items(self, node: s.Table) -> list[Built]:
        """The keys and values of a table in the order of its text; Luau reads a local that is a key after its value."""
        parts = _table_parts(node)
        late = self._late_keys(node)
        order = sorted(range(len(parts)), key=lambda place: place + 1.5 if parts[place] in late else place)
        keys = self._doubtful_keys(node, [parts[place] for place in order])
        built = self._settle([parts[place] for place in order], multiple_last=_ends_open(node), keys=keys)
        return [part for _, part in sorted(zip(order, built, strict=True), key=lambda pair: pair[0])]

    def _doubtful_keys(self, node: s.Table, parts: list[s.Expression]) -> dict[int, int]:
        """The places of keys that may be nil or NaN, by that of the part after which Luau puts them into the table."""
        places = {part: place for place, part in enumerate(parts)}
        return {
            max(places[item.key], places[item.value]): places[item.key]
            for item in node.items
            if isinstance(item, s.KeyedItem) and not isinstance(unwrapped(item.key), _SOUND_KEYS)
        }

    def _late_keys(self, node: s.Table) -> set[s.Expression]:
        items = [item for item in node.items if isinstance(item, s.KeyedItem)]
        return {item.key for item in items if self.is_own_cell(item.key) and not self.is_leaf(item.value)}

    # Whole expressions

    def _whole_text(self, node: s.Expression) -> str | None:
        """The text of the whole expression; None when it cannot be one operation. Counted the first time it is asked for."""
        shapes = self.program.whole
        if node not in shapes:
            self._whole_or_none(node)
        return shapes[node]

    def _whole(self, node: s.Expression) -> Built:
        built = self._whole_or_none(bare(node))
        assert built is not None
        return built

    def _all_whole(self, nodes: Sequence[s.Expression], *, multiple_last: bool) -> list[Built]:
        built = [self._whole(node) for node in nodes]
        if nodes and multiple_last and isinstance(bare(nodes[-1]), s.Varargs):
            built[-1] = self._varargs()
        return built

    def _whole_or_none(self, node: s.Expression) -> Built | None:
        leaf = self._leaves.get(type(node))
        if leaf is not None:
            return leaf(self, node)
        if self._is_library_member(node):
            assert isinstance(node, s.IndexName)
            assert isinstance(node.object, s.Name)
            return f"{node.object.name}.{node.name}", []
        whole = self.program.whole
        if node in whole and whole[node] is None:
            return None
        if isinstance(node, s.Choice):
            return None
        parts, multiple_last = _parts_of(node)
        built: list[Built] | None = []
        for part in parts:
            one = self._whole_or_none(bare(part))
            if one is None:
                built = None
                if node in whole:
                    break
            elif built is not None:
                built.append(one)
        result = None
        if built is not None and not self._reads_late(node):
            if built and multiple_last and isinstance(bare(parts[-1]), s.Varargs):
                built[-1] = self._varargs()
            result = self._text_of(node, built)
            if _length(result[0]) > _LONGEST_TEXT:
                result = None
        if node not in whole:
            whole[node] = None if result is None else result[0]
            if result is not None and self.proto.function not in self.program.decoys:
                self.program.shapes[result[0]] += 1
            if all(self.is_leaf(part) for part in parts):
                self.program.primitive.add(node)
        return result

    def _reads_late(self, node: s.Expression) -> bool:
        """An operand is a captured local that a later one could change before the operation reads it."""
        match node:
            case s.Binary() if node.operator not in ("and", "or", ".."):
                return self.is_own_cell(node.left) and not self.is_leaf(node.right)
            case s.Index():
                return self.is_own_cell(node.object) and not self.is_leaf(node.key)
            case s.MethodCall():
                return self.is_own_cell(node.object) and not all(self.is_leaf(one) for one in node.arguments)
            case s.Table():
                return bool(self._late_keys(node))
        return False

    def _text_of(self, node: s.Expression, built: list[Built]) -> Built:
        match node:
            case s.Binary():
                return self._binary_text(node, built)
            case s.Unary():
                return self._unary_text(node, built)
            case s.Group() | s.TypeAssertion() | s.Instantiation():
                return self._grouped(node, built[0])
            case s.Index() | s.IndexName():
                return self.target_text(node, built)
            case s.Call():
                return self._call_text(node, built[0], built[1:])
            case s.MethodCall():
                return self._method_text(node, built[0], built[1:])
            case s.InterpolatedString():
                return self._interpolated_text(node, built)
            case s.Table():
                return self._table_text(node, built)
            case s.IfExpression():
                return self._if_text(built)
            case s.Function():
                return self.closure(node)
        raise TypeError(type(node).__name__)


def _length(text: str) -> int:
    return len(text) - text.count(LINE)


def _parts_of(node: s.Expression) -> tuple[list[s.Expression], bool]:
    """The parts of an expression in the order of its text, and whether the last may stand for several values."""
    match node:
        case s.Binary():
            return [node.left, node.right], False
        case s.Unary():
            return [node.operand], False
        case s.Group() | s.TypeAssertion() | s.Instantiation():
            return [unwrapped(node)], True
        case s.Index():
            return [node.object, node.key], False
        case s.IndexName():
            return [node.object], False
        case s.Call():
            return [node.function, *node.arguments], True
        case s.MethodCall():
            return [node.object, *node.arguments], True
        case s.InterpolatedString():
            return node.values, False
        case s.Table():
            return _table_parts(node), _ends_open(node)
        case s.IfExpression():
            return [part for clause in node.clauses for part in clause] + [node.otherwise], False
    return [], False


def _table_parts(node: s.Table) -> list[s.Expression]:
    parts: list[s.Expression] = []
    for item in node.items:
        if isinstance(item, s.KeyedItem):
            parts.append(item.key)
        parts.append(item.value)
    return parts


def _ends_open(node: s.Table) -> bool:
    return bool(node.items) and isinstance(node.items[-1], s.PositionalItem)
