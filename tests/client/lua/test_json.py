"""The loader's JSON and the transcript it authenticates replies by, in every Lua it runs on."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from moonlatch.client.loader_source import lua_string
from support.lua_host import ENGINES
from support.lua_host.answers import evaluate
from support.lua_host.protocol_server import encode

LARGEST = 2**53
DOCUMENTS: list[Any] = [
    None, True, False, 0, -1, 1, LARGEST, -LARGEST, 10234711811, "", "text", "\u00e9\u2603\U0001f600", 'a"b\\c/d\b\f\n\r\t\x01\x7f',
    [], {}, [[]], [{}], {"a": []}, {"a": {}}, [None, None], {"a": None, "b": [None]},
    {"session": None, "session_required": False, "Session": 1, "sessio": 2, "session\u00e9": 3, "": 4},
]  # fmt: skip


def random_document(source: random.Random, depth: int = 0) -> Any:
    kind = source.randrange(5 if depth > 4 else 7)
    if kind < 3:
        return source.choice([None, True, False, source.randrange(-LARGEST, LARGEST), source.randrange(100)])
    if kind < 5:
        return "".join(source.choice('ab"\\/\n\x00 \u00e9\u4e2d\U0001f600') for _ in range(source.randrange(8)))
    items = [random_document(source, depth + 1) for _ in range(source.randrange(5))]
    return (
        items if kind == 5 else {f"n{source.randrange(1000)}\u00e9"[: source.randrange(1, 6)]: item for item in items}
    )


DOCUMENTS += [random_document(random.Random(seed)) for seed in range(150)]

HOSTILE = [
    "", " ", "nul", "tru", "True", "NaN", "Infinity", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x10", "1e999", "-1e999", "--1", "1 2",
    '"', '"\\', '"\\x"', '"\\u12"', '"\\u12g4"', '"\\ud800"', '"\\ud800\\u0041"', '"\\udc00"', '"\n"', '"\x00"', "'a'",
    "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "]", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', "{a:1}", "{1:1}", '{"a" 1}',
    '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', "{}{}", "[1]x", "/**/1", "[" * 101, "[" * 101 + "]" * 101, '{"a":' * 101 + "1" + "}" * 101,
    "[" * 100000, "\ufeff1",
]  # fmt: skip

ENCODED = {  # Lua expression: JSON
    "{}": "[]",
    "{1, 2, 3}": "[1,2,3]",
    "{a = 1}": '{"a":1}',
    "{{}, {a = {}}}": '[[],{"a":[]}]',
    "{true, false, json.null}": "[true,false,null]",
    '"\\195\\169\\240\\159\\152\\128\\n\\"\\\\\\127"': '"\\u00e9\\ud83d\\ude00\\u000a\\"\\\\\\u007f"',
    "9007199254740992": "9007199254740992",
    "-9007199254740991": "-9007199254740991",
    "10234711811": "10234711811",
    "0.1": "0.10000000000000001",
    "-0.0": "0",
    "2^70": "1.1805916207174113e+21",
    'json.decode("{}")': "{}",
    'json.decode("[]")': "[]",
    'json.decode("{\\"a\\":{}}")': '{"a":{}}',
}

CANNOT_BE_ENCODED = {
    "a function": "print",
    "a function inside": "{{{f = print}}}",
    "a thread": "coroutine.create(function() end)",
    "not a number": "{0/0}",
    "infinity": "{1/0}",
    "negative infinity": "{-1/0}",
    "indexes and names": "{1, a = 2}",
    "holes": "{[1] = 1, [3] = 3}",
    "index zero": "{[0] = 1}",
    "a fraction as index": "{[1.5] = 1}",
    "a boolean as name": "{[true] = 1}",
    "a table as name": "{[{}] = 1}",
    "a cycle": "(function() local t = {} t.t = t return t end)()",
    "itself many times over": "(function() local t = {} for i = 1, 60 do t = {t, t} end return t end)()",
    "more than fits a frame": '{string.rep("a", 262144)}',
    "an overlong sequence": '"\\192\\128"',
    "a surrogate": '"\\237\\160\\128"',
    "beyond Unicode": '"\\244\\144\\128\\128"',
    "a cut sequence": '"a\\195"',
    "a stray continuation": '"\\128"',
    "a name that is no text": '{["\\255"] = 1}',
}

READABLE = {
    'json.readable("plain", 1000)': b"plain",
    'json.readable("abc", 2)': b"ab",
    'json.readable("\\195\\169\\195\\169", 1)': "\u00e9".encode(),
    'json.readable("a\\255b\\195", 10)': b"a?b?",
}

Answers = dict[str, bytes | str]


def all_expressions() -> dict[str, str]:
    expressions: dict[str, str] = {}
    for number, document in enumerate(DOCUMENTS):
        for form, text in (
            ("ascii", json.dumps(document)),
            ("utf8", json.dumps(document, ensure_ascii=False, indent=1)),
        ):
            literal = lua_string(text.encode())
            expressions[f"transcript {form} {number}"] = f"encode_transcript(json.decode({literal}))"
        expressions[f"round {number}"] = f"json.encode(json.decode({lua_string(json.dumps(document).encode())}))"
    for number, text in enumerate(HOSTILE):
        expressions[f"hostile {number}"] = f"json.decode({lua_string(text.encode())})"
    for expression in ENCODED:
        expressions[f"encode {expression}"] = f"json.encode({expression})"
    for name, expression in CANNOT_BE_ENCODED.items():
        expressions[f"refuse {name}"] = f"(json.encode({expression}))"
    expressions |= {expression: expression for expression in READABLE}
    expressions["deepest"] = f"json.decode({lua_string(b'[' * 100 + b']' * 100)}) ~= nil"
    expressions["without nulls"] = 'next(json.decode_without_nulls("{\\"a\\":null}")) == nil'
    expressions["fraction"] = 'encode_transcript(json.decode("[1.5]"))'
    expressions["too large"] = 'encode_transcript(json.decode("[9007199254740994]"))'
    return expressions


@pytest.fixture(scope="module", params=list(ENGINES))
def answers(request: pytest.FixtureRequest) -> Answers:
    return evaluate(all_expressions(), modules="encode_transcript", engine=request.param)


def test_a_transcript_is_the_bytes_the_protocol_defines_however_the_json_was_written(answers: Answers) -> None:
    for number, document in enumerate(DOCUMENTS):
        assert encode(document) == answers[f"transcript ascii {number}"], document
        assert encode(document) == answers[f"transcript utf8 {number}"], document


def test_what_is_decoded_and_encoded_again_means_the_same_in_ascii(answers: Answers) -> None:
    for number, document in enumerate(DOCUMENTS):
        answer = answers[f"round {number}"]
        assert isinstance(answer, bytes)
        assert document == json.loads(answer.decode("ascii"))


def test_text_that_is_no_json_is_refused(answers: Answers) -> None:
    for number, text in enumerate(HOSTILE):
        assert answers[f"hostile {number}"] == "nil", text[:60]


def test_a_hundred_levels_are_not_too_deep(answers: Answers) -> None:
    assert answers["deepest"] == "true"


def test_values_are_encoded_exactly(answers: Answers) -> None:
    for expression, text in ENCODED.items():
        assert text.encode() == answers[f"encode {expression}"], expression


def test_what_json_cannot_hold_is_refused(answers: Answers) -> None:
    for name in CANNOT_BE_ENCODED:
        assert answers[f"refuse {name}"] == "nil", name


def test_messages_are_cut_between_characters_and_made_text(answers: Answers) -> None:
    for expression, text in READABLE.items():
        assert text == answers[expression], expression


def test_scripts_see_no_nulls(answers: Answers) -> None:
    assert answers["without nulls"] == "true"


def test_numbers_that_two_sides_might_write_differently_have_no_transcript(answers: Answers) -> None:
    assert (answers["fraction"], answers["too large"]) == ("nil", "nil")
