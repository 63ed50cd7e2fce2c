from __future__ import annotations

import random
from itertools import pairwise

from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.vm.code import HIDDEN, HOLE, REGISTER, Proto
from moonlatch.obfuscator.vm.decoys import Decoys, make_decoys
from moonlatch.obfuscator.vm.linking import Linked, Stored, TwoLinked
from moonlatch.obfuscator.vm.names import Names

FUNCTIONS = 12
NAMES = Names("vm")


def compiled(number: int, moves: bool = True) -> tuple[Proto, list[Linked]]:
    """A function of some steps, of which one is a decision."""
    word = Constant(f"word {number}".encode(), is_number=False)
    steps = [
        Linked(f"R[{REGISTER}]=R[{REGISTER}]..{HIDDEN}", [2, 1, word], 1),
        Linked(f"if R[{REGISTER}] then i={HOLE} else i={HOLE} end", [2], 1),
        Linked(f"R[{REGISTER}]={HOLE}", [1, number], 1),
        Linked(f"return R[{REGISTER}]", [1], 1),
    ]
    for one, after in pairwise(steps[1:]):
        one.following = after
    steps[0].following, steps[1].following = steps[1], None
    steps[1].operands += [TwoLinked(steps[2], steps[3], 5), steps[3]]
    return Proto(None, 1, is_vararg=False, registers=2, moves=moves), steps


def program(moves: bool = True) -> dict[Proto, list[Linked]]:
    functions = dict(compiled(number, moves) for number in range(FUNCTIONS))
    first, *others = functions
    makers = [Linked(f"R[{REGISTER}]=W({HOLE},{{}})", [3, proto], 1) for proto in others]
    for one, after in pairwise([*makers, functions[first][0]]):
        one.following = after
    functions[first][:0] = makers
    return functions


def made(functions: dict[Proto, list[Linked]], seed: int = 1) -> Decoys:
    return make_decoys(functions, 0, NAMES, random.Random(seed))


def test_decoys_are_made_of_the_texts_and_constants_that_are_there() -> None:
    functions = program()
    roles = {(one.text, repr(item)) for function in functions.values() for one in function for item in one.operands[2:]}
    texts = {one.text for function in functions.values() for one in function}
    decoys = made(functions)
    found = [one for function in decoys.functions.values() for one in function]
    assert {one.text for one in found} <= texts
    constants = {(one.text, repr(item)) for one in found for item in one.operands if isinstance(item, Constant)}
    assert constants <= roles


def test_decoys_take_a_bounded_share() -> None:
    functions = program()
    before = sum(map(len, functions.values()))
    decoys = made(functions)
    assert 0.1 * before < len(decoys.instructions) < 0.35 * before


def test_nothing_of_a_decoy_leads_out_of_it_and_it_makes_no_choice() -> None:
    decoys = made(program())
    for function in decoys.functions.values():
        own = set(function)
        assert own.issuperset(one.following for one in function if one.following is not None)
        operands = [operand for one in function for operand in one.operands]
        assert own.issuperset(operand for operand in operands if isinstance(operand, Linked))
        assert not any(isinstance(operand, TwoLinked) for operand in operands)


def test_each_decoy_has_an_entry_among_the_instructions_of_another_function() -> None:
    functions = program()
    decoys = made(functions)
    assert [entry.operands[1] for entry in decoys.entries] == list(decoys.functions)
    assert set(decoys.entries.values()) == {0}
    standing = {one for function in functions.values() for one in function}
    assert standing.issuperset(decoys.entries)


def test_functions_with_loops_lend_nothing() -> None:
    assert not made(program(moves=False)).functions


def test_where_a_variable_is_always_true_an_instruction_asks_for_it_before_it_goes_on() -> None:
    functions = program()
    host = list(functions)[3]
    host.certain = [4]
    before = list(functions[host])
    followed = {one: one.following for one in before}
    decoys = made(functions)
    assert set(functions[host]).issuperset(decoys.entries)
    asking = [one for one in functions[host] if one not in before and one not in decoys.entries]
    assert len(asking) == len(decoys.entries)
    for one in asking:
        _, place, then, otherwise = one.operands
        assert place == 4
        assert otherwise in decoys.entries
        assert then in followed.values() or then in asking
    for one in before:
        following: Stored | None = one.following
        while isinstance(following, Linked) and following in asking:
            following = following.operands[2]
        assert following is followed[one]


def test_an_entry_leads_to_somewhere_in_the_function_that_it_stands_in() -> None:
    functions = program()
    first = functions[next(iter(functions))]
    elsewhere = Linked("return", [], 1)
    for one in first:
        one.text += f" if R[1] then i={HOLE} else i={HOLE} end"
        one.operands += [elsewhere, TwoLinked(elsewhere, first[0], 3)]
    host = list(functions)[3]
    host.certain = [4]
    for entry in made(functions).entries:
        assert {one for one in entry.operands if isinstance(one, Linked | TwoLinked)} <= set(functions[host])
        assert entry.following is None or entry.following in functions[host]


def test_an_entry_stands_among_instructions_of_the_interpreter_that_its_text_is_of() -> None:
    functions = program()
    maker, *others = functions
    maker.machine = 1
    others[3].certain = [4]
    assert set(made(functions).entries.values()) == {1}
    maker.certain = [2]
    decoys = made(functions, 2)
    assert set(functions[maker]).issuperset(decoys.entries)
