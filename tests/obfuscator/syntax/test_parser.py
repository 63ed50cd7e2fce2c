from __future__ import annotations

import pytest

from moonlatch.obfuscator.syntax import tree
from moonlatch.obfuscator.syntax.diagnostics import LuauSyntaxError
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.tree import Expression, Node, Statement
from support.corpus import accepted_scripts
from support.luau import compile_luau_batch


def shape(node: object) -> object:
    """A tree as nested tuples, without lines, so that it can be compared and read."""
    if isinstance(node, Node):
        slots: tuple[str, ...] = type(node).__slots__
        parts = [shape(getattr(node, slot)) for slot in slots if slot not in ("line", "end_line", "binding", "is_kept")]
        return (type(node).__name__, *parts)
    if isinstance(node, list | tuple):
        return [shape(item) for item in node]
    return node


def statement(source: str) -> Statement:
    (found,) = parse(source).body.body
    return found


def expression(source: str) -> Expression:
    found = statement(f"return {source}")
    assert isinstance(found, tree.Return)
    return found.values[0]


def grouped(source: str) -> str:
    """An expression with every operator's operands in parentheses."""

    def text(node: Expression) -> str:
        match node:
            case tree.Binary():
                return f"({text(node.left)} {node.operator} {text(node.right)})"
            case tree.Unary():
                return f"({node.operator} {text(node.operand)})"
            case tree.TypeAssertion():
                return f"({text(node.value)} ::)"
            case tree.Name():
                return node.name
            case _:
                raise AssertionError(node)

    return text(expression(source))


@pytest.mark.parametrize("name", accepted_scripts())
def test_every_construct_is_accepted(name):
    assert parse(accepted_scripts()[name]).body.body


def test_real_luau_accepts_the_corpus_too():
    scripts = accepted_scripts(newer=False)
    results = compile_luau_batch(list(scripts.values()))
    assert {name: result.compile_error for name, result in zip(scripts, results, strict=True)} == dict.fromkeys(scripts)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a + b * c ^ d", "(a + (b * (c ^ d)))"),
        ("a - b - c", "((a - b) - c)"),
        ("a .. b .. c", "(a .. (b .. c))"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("-a ^ b", "(- (a ^ b))"),
        ("a ^ -b * c", "((a ^ (- b)) * c)"),
        ("not a == b", "((not a) == b)"),
        ("a or b and c < d .. e", "(a or (b and (c < (d .. e))))"),
        ("a < b == c", "((a < b) == c)"),
        ("-a :: number + b", "((- (a ::)) + b)"),
        ("#a // b % c", "(((# a) // b) % c)"),
    ],
)
def test_operators_bind_as_in_luau(source, expected):
    assert grouped(source) == expected


def test_a_group_stays_in_the_tree_because_it_cuts_to_one_value():
    assert shape(expression("(f())")) == ("Group", ("Call", ("Name", "f"), []))


def test_a_type_assertion_stays_in_the_tree_because_it_cuts_to_one_value():
    assert shape(expression("f() :: any")) == ("TypeAssertion", ("Call", ("Name", "f"), []))


def test_calls_chain_from_the_left():
    assert shape(expression("a.b[1]:c 'x' { 2 }")) == (
        "Call",
        ("MethodCall", ("Index", ("IndexName", ("Name", "a"), "b"), ("Number", "1", 1.0)), "c", [("String", b"x")]),
        [("Table", [("PositionalItem", ("Number", "2", 2.0))])],
    )


def test_a_method_gets_self_as_its_first_parameter():
    assert shape(statement("function a.b:c(d, ...) end")) == (
        "FunctionDeclaration",
        ("IndexName", ("IndexName", ("Name", "a"), "b"), "c"),
        True,
        ("Function", [], [("Binding", "self"), ("Binding", "d")], True, ("Block", [])),
    )


def test_an_interpolated_string_has_one_part_more_than_values():
    assert shape(expression("`a\\n{b}{c}\\{`")) == (
        "InterpolatedString",
        [b"a\n", b"", b"{"],
        [("Name", "b"), ("Name", "c")],
    )


def test_elseif_clauses_stand_side_by_side():
    found = statement("if a then elseif b then else end")
    assert isinstance(found, tree.If)
    assert [shape(condition) for condition, _ in found.clauses] == [("Name", "a"), ("Name", "b")]
    assert found.otherwise is not None


def test_if_expressions_nest_in_their_conditions_only_when_written_so():
    assert shape(expression("if a then 1 elseif b then 2 else 3")) == (
        "IfExpression",
        [[("Name", "a"), ("Number", "1", 1.0)], [("Name", "b"), ("Number", "2", 2.0)]],
        ("Number", "3", 3.0),
    )


@pytest.mark.parametrize(
    ("source", "name", "is_const", "is_exported"),
    [
        ("local x = 1", "x", False, False),
        ("const x = 1", "x", True, False),
        ("export local x = 1", "x", False, True),
        ("export const x = 1", "x", True, True),
    ],
)
def test_declarations_know_how_they_were_written(source, name, is_const, is_exported):
    assert shape(statement(source)) == ("Local", [("Binding", name)], [("Number", "1", 1.0)], is_const, is_exported)


def test_words_that_are_keywords_only_here_and_there_are_names_elsewhere():
    chunk = parse("type = 1 export = type const(2) continue.x = 3 local continue")
    assert [type(found).__name__ for found in chunk.body.body] == [
        "Assign",
        "Assign",
        "CallStatement",
        "Assign",
        "Local",
    ]


def test_types_leave_nothing_but_the_statements_that_declare_them():
    source = "type A<T...> = (T...) -> ()\nexport type B = { [string]: A<> }"
    first, second = parse(source).body.body
    assert isinstance(first, tree.TypeAlias)
    assert isinstance(second, tree.TypeAlias)
    assert (first.name, second.is_exported) == ("A", True)
    assert source[first.start : first.end] == "type A<T...> = (T...) -> ()"


def test_attributes_are_kept_with_their_function():
    found = statement("@native @[deprecated { use = 'g' }] local function f() end")
    assert isinstance(found, tree.LocalFunction)
    assert [attribute.name for attribute in found.function.attributes] == ["native", "deprecated"]


def test_hot_comments_before_the_first_token_are_kept():
    assert parse("--!strict\n--[[ --!no ]] --!native \nlocal x --!late").hot_comments == ["strict", "native"]


def test_nodes_know_their_lines():
    chunk = parse("local a = [[\n]]\n\nf(\n  a,\n  b)\n")
    local, call = chunk.body.body
    assert (local.line, call.line) == (1, 4)
    assert isinstance(call, tree.CallStatement)
    assert [argument.line for argument in call.call.arguments] == [5, 6]


def test_text_and_its_utf8_bytes_give_the_same_tree():
    source = 'local s = "é€𝄞"'
    assert shape(parse(source)) == shape(parse(source.encode()))


def test_all_faults_are_listed_in_order():
    with pytest.raises(LuauSyntaxError) as caught:
        parse("local = 1\nprint(1 2)\nx\nlocal y = 1\n")
    assert [(fault.line, fault.column) for fault in caught.value.diagnostics] == [(1, 7), (2, 9), (3, 1)]
