"""Unary operators, powers and what stands beside them: what is printed must be read as the tree it was printed from."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.parser import allow_deep_recursion, parse
from moonlatch.obfuscator.syntax.printer import print_chunk
from moonlatch.obfuscator.target import Target

allow_deep_recursion()  # before hypothesis looks at the limit, which it wants unchanged

SMALLEST = -(2**63)
UNARY = ("-", "not", "#")
BINARY = ("^", "^", "*", "/", "//", "%", "+", "-", "..", "<", "==", "and", "or")
CALLS = (s.Call, s.MethodCall, s.Varargs)
INTEGERS = st.integers(SMALLEST, -SMALLEST - 1).map(lambda value: s.Integer(f"{value}i", value, 1))
LEAVES = st.one_of(
    st.sampled_from([0.0, 2.0, 0.5, 1e300, 16.0]).map(lambda value: s.Number(repr(value), value, 1)),
    st.just(s.Name("x", 1)),
    st.just(s.Varargs(1)),
    st.just(s.String(b"text", 1)),
)


def composed(parts: st.SearchStrategy[s.Expression]) -> st.SearchStrategy[s.Expression]:
    return st.one_of(
        st.builds(s.Unary, st.sampled_from(UNARY), parts, st.just(1)),
        st.builds(s.Unary, st.just("-"), parts, st.just(1)),
        st.builds(s.Binary, st.sampled_from(BINARY), parts, parts, st.just(1)),
        st.builds(s.Group, parts, st.just(1)),
        st.builds(s.TypeAssertion, parts, st.just(1)),
        st.builds(s.IndexName, parts, st.just("y"), st.just(1)),
        st.builds(s.Call, parts, st.lists(parts, max_size=2), st.just(1)),
        st.builds(lambda a, b, c: s.IfExpression([(a, b)], c, 1), parts, parts, parts),
    )


EXPRESSIONS = {
    Target.LUAU: st.recursive(LEAVES | INTEGERS, composed, max_leaves=8),
    Target.LUA51: st.recursive(LEAVES, composed, max_leaves=8),
}


def shape(node: s.Expression, *, is_last: bool = False) -> object:
    """What an expression means: without parentheses and casts, but where those cut several values down to one."""
    cut = False
    while isinstance(node, s.Group | s.TypeAssertion):
        node, cut = node.value, True
    if cut and is_last and isinstance(node, CALLS):
        return ("one of", shape(node))
    match node:
        case s.Unary():
            return (node.operator, shape(node.operand))
        case s.Binary():
            return (node.operator, shape(node.left), shape(node.right))
        case s.IndexName():
            return ("index", shape(node.object), node.name)
        case s.Call():
            *others, last = node.arguments or [None]
            known = [shape(one) for one in others] + [last and shape(last, is_last=True)]
            return ("call", shape(node.function), *known)
        case s.IfExpression():
            return ("if", *((shape(a), shape(b)) for a, b in node.clauses), shape(node.otherwise))
        case s.Number() | s.Integer() | s.String():
            return (type(node), node.value)
    return type(node)


def value_of(source: str) -> s.Expression:
    (statement,) = parse(source).body.body
    assert isinstance(statement, s.Return)
    (value,) = statement.values
    return value


def printed(value: s.Expression, target: Target) -> str:
    return print_chunk(s.Chunk(s.Block([s.Return([value], 1)], 1), []), target)


@given(st.sampled_from(list(Target)).flatmap(lambda target: st.tuples(st.just(target), EXPRESSIONS[target])))
@settings(max_examples=500, deadline=None)
def test_what_is_printed_is_read_as_the_same_tree(case: tuple[Target, s.Expression]) -> None:
    target, value = case
    assert shape(value_of(printed(value, target)), is_last=True) == shape(value, is_last=True)


def test_a_minus_directly_before_an_integer_is_its_sign() -> None:
    for source, value in [("-123i", -123), ("- 5i", -5), ("-0x8000000000000000i", SMALLEST), ("-0xffi", -255)]:
        literal = value_of(f"return {source}")
        assert isinstance(literal, s.Integer)
        assert literal.value == value


def test_a_minus_with_anything_in_between_is_an_operation() -> None:
    """Which real Luau (0.735 with integers) refuses when it runs: "attempt to perform arithmetic (unm) on integer"."""
    for source in ["-(123i)", "-(-123i)", "- -123i", "-((123i))", "-(123i :: any)", "-123i :: any"]:
        for profile in PROFILES:
            outcome = pipeline.protect(f"return {source}".encode(), Options(profile), 1)
            assert isinstance(outcome, Protected)
            assert "i)" in outcome.text, (source, profile, outcome.text)


def test_a_macro_around_an_integer_leaves_the_minus_an_operation() -> None:
    outcome = pipeline.protect(b"return -LPH_ENCNUM(123i)", Options("minify"), 1)
    assert isinstance(outcome, Protected)
    assert outcome.text == "return-(123i)"
