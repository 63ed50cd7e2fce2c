from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.vm.code import HIDDEN, HOLE, LINE, REGISTER, SourceLine
from moonlatch.obfuscator.vm.encoding import Pool
from moonlatch.obfuscator.vm.invariants import Invariants
from moonlatch.obfuscator.vm.linking import Linked
from moonlatch.obfuscator.vm.micro_operations import MicroOperations
from moonlatch.obfuscator.vm.names import Names
from moonlatch.obfuscator.vm.register_maps import RegisterMaps

NAMES = Names("vm")
GREETING = Constant(b"hello", is_number=False)


def statement(register: int, line: int = 0, weight: int = 1) -> Linked:
    return Linked(f"{LINE}R[{REGISTER}]=R[{REGISTER}]..{HIDDEN}", [SourceLine(line), register, 7, GREETING], weight)


def returning(value: int) -> Linked:
    return Linked(f"{LINE}return {HOLE}", [SourceLine(0), value], 1)


def taken_apart(functions: list[list[Linked]], seed: int = 1, entries: Sequence[Linked] = ()) -> MicroOperations:
    generator = random.Random(seed)
    invariants = Invariants.drawn(NAMES, generator)
    maps = RegisterMaps.drawn(NAMES, invariants, generator)
    operations = MicroOperations(NAMES, generator, invariants, maps, [Pool(generator)])
    for function in functions:
        operations.take_apart(function, moves=True)
    for one in [one for function in functions for one in function]:
        # As line breaks leave it that have no lines.
        one.text = one.text.replace(LINE, "")
        one.operands = [operand for operand in one.operands if not isinstance(operand, SourceLine)]
    operations.settle(functions, entries, entries)
    return operations


def in_sequence(*ones: Linked) -> list[Linked]:
    for one, after in pairwise(ones):
        one.following = after
    return list(ones)


def test_what_does_the_work_of_cold_code_has_no_operands_and_is_there_once() -> None:
    functions = [in_sequence(statement(number), statement(number + 1), returning(3)) for number in range(6)]
    firsts = [one for function in functions for one in function]
    taken_apart(functions)
    others = [one for function in functions for one in function if one not in firsts]
    assert [one.operands for one in others] == [[]]
    assert all("R[R" not in one.text and "return" not in one.text for one in firsts)
    assert "return" in others[0].text
    assert ".." in others[0].text


def test_what_is_in_loops_stays_as_it_is() -> None:
    hot = statement(1, weight=8)
    before = hot.text, list(hot.operands)
    operations = taken_apart([in_sequence(hot, statement(2, weight=8))])
    assert (hot.text, hot.operands) == (before[0].replace(LINE, ""), before[1][1:])
    assert not operations.latches


def test_some_instructions_look_as_if_they_led_elsewhere() -> None:
    functions = [in_sequence(statement(number), statement(number + 1), returning(3)) for number in range(40)]
    firsts = [one for function in functions for one in function]
    taken_apart(functions)
    misleading = [one for one in firsts if one.following is None]
    assert 0.1 < len(misleading) / len(firsts) < 0.35
    assert all(sum(isinstance(operand, Linked) for operand in one.operands) >= 2 for one in misleading)


def test_registers_go_through_the_map_of_the_call_and_other_numbers_do_not() -> None:
    wide = Linked(f"{LINE}R[{REGISTER}]" + f",R[{REGISTER}]" * 5 + f"={HOLE}", [SourceLine(0), *range(1, 7), 9], 1)
    function = in_sequence(statement(1), wide, returning(3))
    firsts = list(function)
    taken_apart([function])
    assert firsts[0].text.count(f"{NAMES.slots}[{HOLE}-") == 2
    assert NAMES.slots not in firsts[2].text
    # What has no latch goes through it where it is used.
    others = [one for one in function if one not in firsts]
    assert any(f"R[{NAMES.slots}[{REGISTER}]]" in one.text for one in others)


def test_entries_of_decoys_are_led_to_by_edges_that_only_maps_tell_from_others() -> None:
    functions = [in_sequence(statement(number), statement(number + 1), returning(3)) for number in range(1, 9)]
    entries = [statement(1) for _ in range(3)]
    for entry in entries:
        entry.following = functions[0][0]
    firsts = [one for function in functions for one in function]
    functions[0] += entries
    taken_apart(functions, entries=entries)
    for entry in entries:
        leading = [one for one in firsts if entry in one.operands[-2:]]
        latches = [(one, one.text.rpartition("if ")[2].partition("<")[0]) for one in leading]
        assert any(f"{latch}={NAMES.slots}[" in one.text for one, latch in latches)
