from __future__ import annotations

import time

import pytest

from moonlatch.obfuscator.analysis.check import check
from support.corpus import accepted_scripts
from support.luau import compile_luau_batch


def lines(pattern: str, count: int) -> str:
    return "\n".join(pattern.format(index=index) for index in range(count))


def listed(text: str, count: int) -> str:
    return ", ".join([text] * count)


UPVALUES = "local function a()\n{first}\nlocal function b()\n{second}\nlocal function c() return {names} end\nend\nend"


def upvalues(count: int) -> str:
    names = ", ".join([f"v{index}" for index in range(150)] + [f"w{index}" for index in range(count - 150)])
    return UPVALUES.format(
        first=lines("local v{index} = f()", 150), second=lines("local w{index} = f()", count - 150), names=names
    )


# (description, the largest script that Luau takes, the same one size larger, the message for that)
LIMITS = [
    (
        "locals",
        lines("local v{index} = f()", 200),
        lines("local v{index} = f()", 201),
        "Out of local registers when trying to allocate v200: exceeded limit 200",
    ),
    (
        "upvalues",
        upvalues(200),
        upvalues(201),
        "Out of upvalue registers when trying to allocate w50: exceeded limit 200",
    ),
    (
        "arguments",
        f"f({listed('x', 254)})",
        f"f({listed('x', 255)})",
        "Out of registers when trying to allocate 256 registers: exceeded limit 255",
    ),
    (
        "method arguments",
        f"a:f({listed('x', 253)})",
        f"a:f({listed('x', 254)})",
        "Out of registers when trying to allocate 256 registers: exceeded limit 255",
    ),
    (
        "operands of ..",
        "x = x" + " .. x" * 253,
        "x = x" + " .. x" * 254,
        "Out of registers when trying to allocate 255 registers: exceeded limit 255",
    ),
    (
        "nested tables",
        "local t = " + "{" * 255 + "}" * 255,
        "local t = " + "{" * 256 + "}" * 256,
        "Out of registers when trying to allocate 1 registers: exceeded limit 255",
    ),
    (
        "nested indexing",
        "x = " + "z[" * 127 + "y" + "]" * 127,
        "x = " + "z[" * 128 + "y" + "]" * 128,
        "Out of registers when trying to allocate 1 registers: exceeded limit 255",
    ),
    (
        "returned values",
        f"return {listed('x', 254)}",
        f"return {listed('x', 255)}",
        "Exceeded return count limit; simplify the code to compile",
    ),
    (
        "results of a call",
        f"{listed('x', 254)} = f()",
        f"{listed('x', 255)} = f()",
        "Exceeded result count limit; simplify the code to compile",
    ),
    (
        "elseif clauses",
        "if x then " + "elseif y then " * 998 + "end",
        "if x then " + "elseif y then " * 999 + "end",
        None,
    ),
    (
        "nested groups",
        "x = " + "(" * 998 + "1" + ")" * 998,
        "x = " + "(" * 999 + "1" + ")" * 999,
        "Exceeded allowed recursion depth; simplify your expression to make the code compile",
    ),
    (
        "nested table types",
        "local x: " + "{" * 499 + "x" + "}" * 499,
        "local x: " + "{" * 500 + "x" + "}" * 500,
        "Exceeded allowed recursion depth; simplify your type annotation to make the code compile",
    ),
]


@pytest.mark.parametrize(
    ("largest", "message_beyond"), [pytest.param((a, b), message, id=name) for name, a, b, message in LIMITS]
)
def test_a_limit_holds_exactly_where_luau_has_it(largest, message_beyond):
    fits, beyond = largest
    assert check(fits) == []
    faults = check(beyond)
    assert faults
    assert message_beyond in (None, faults[0].message)


PARAMETERS = ", ".join(f"p{index}" for index in range(201))
# (script, line and column, what is said there), all as Luau's own compiler says it (at 367f9d8)
PLACES_OF_LIMITS = [
    (lines("  local v{index} = f()", 201), (201, 9), "allocate v200: exceeded"),
    (
        lines("  local v{index} = f()", 199) + " local function aa() end local function zz() end",
        (199, 59),
        "allocate zz:",
    ),
    (f"  f(function({PARAMETERS}) end)", (1, 1104), "allocate p200:"),
    (f"local q = 1 local function zz({listed('p', 256)}) end", (1, 13), "allocate 256 registers"),
    (upvalues(201).replace("local w50", "   local w50"), (203, 10), "allocate w50:"),
    (f"if a then x = a:b({listed('x', 254)}) end", (1, 15), "allocate 255 registers"),
    (f"f(1, 2,\n f({listed('x', 255)}))", (2, 2), "allocate 256 registers"),
    ("x = " + "z[" * 128 + "y" + "]" * 128, (1, 259), "allocate 1 registers"),
    (f"return `{'{x}' * 254}`", (1, 8), "allocate 256 registers"),
    (f"do  return {listed('x', 255)} end", (1, 5), "return count"),
    (f"{listed('x', 255)} = f()", (1, 767), "result count"),
    ("  x = function() end " * 32769, (1, 688_135), "closure limit"),
    ("repeat\nif x then continue end local a = f()\nuntil b or a", (3, 7), "Local a used"),
]


@pytest.mark.parametrize(("script", "place", "said"), PLACES_OF_LIMITS)
def test_a_limit_is_told_where_luau_tells_it(script: str, place: tuple[int, int], said: str) -> None:
    (fault,) = check(script)
    assert said in fault.message
    assert (fault.line, fault.column) == place


def test_real_luau_takes_the_largest_scripts_and_dies_of_larger_ones():
    # The build of Luau that runs here has no exceptions: what its compiler rejects ends the process.
    scripts = [script for _, fits, beyond, _ in LIMITS for script in (fits, beyond)]
    results = compile_luau_batch(scripts)
    assert [result.crashed for result in results] == [False, True] * len(LIMITS)


@pytest.mark.parametrize(
    "script",
    [
        lines("local v{index} = 1", 300),
        lines("local v{index}", 300),
        "local v = 1\n" + lines("local w{index} = v + 1", 300),
        lines("do local v{index} = f() end", 300),
        lines("local function f{index}() end", 200),
    ],
)
def test_locals_that_take_no_room_do_not_count(script):
    assert check(script) == []
    assert compile_luau_batch([script])[0].crashed is False


def test_constants_that_are_assigned_count():
    script = lines("local v{index} = 1", 201) + "\n" + lines("v{index} = 2", 201)
    assert [fault.message for fault in check(script)] == [
        "Out of local registers when trying to allocate v200: exceeded limit 200"
    ]
    assert compile_luau_batch([script])[0].crashed is True


def test_the_fault_of_an_inner_function_comes_first():
    inner = "local function g()\n" + lines("local w{index} = f()", 201) + "\nend\n"
    assert [fault.message.split()[8] for fault in check(lines("local v{index} = f()", 200) + "\n" + inner)] == [
        "w200:",
        "g:",
    ]


def test_closures_are_limited():
    (fault,) = check("x = function() end\n" * 32769)
    assert (fault.line, fault.message) == (32769, "Exceeded closure limit; simplify the code to compile")


@pytest.mark.parametrize(
    ("body", "condition", "is_fine"),
    [
        ("local a = f() if x then continue end", "a", True),
        ("if x then continue end local a = f()", "a", False),
        ("if x then continue end local a = f()", "b", True),
        ("do continue end local function a() end", "x and a()", False),
        ("if x then continue end local a = f()", "(function() return a end)()", False),
        ("if x then continue end local a = f()", "(function(a) return a end)()", True),
        ("for i = 1, 2 do continue end local a = f()", "a", True),
        ("local a = f() if x then continue end local a = f()", "a", False),
    ],
)
def test_until_must_not_read_a_local_that_continue_jumps_over(body, condition, is_fine):
    script = f"repeat\n{body}\nuntil {condition}"
    message = (
        "Local a used in the repeat..until condition is undefined because continue statement on line 2 jumps over it"
    )
    assert [(fault.line, fault.message) for fault in check(script)] == ([] if is_fine else [(3, message)])
    assert compile_luau_batch([script])[0].crashed is not is_fine


def test_a_nul_byte_is_refused_although_luau_would_drop_the_rest():
    (fault,) = check("print(1)\nprint(2)\0print(3)")
    assert (fault.line, fault.column, fault.message) == (2, 9, "Unexpected NUL byte; Luau ignores everything after it")


@pytest.mark.parametrize("name", accepted_scripts())
def test_ordinary_scripts_pass(name):
    assert check(accepted_scripts()[name]) == []


@pytest.mark.parametrize("operator", ["not ", "- ", "x + "])
def test_a_long_chain_of_operators_is_checked_quickly(operator: str) -> None:
    start = time.process_time()
    check("x = " + operator * 900 + "y")
    assert (
        time.process_time() - start < 2
    )  # a walk of the rest of the chain at each operator would take many times that
