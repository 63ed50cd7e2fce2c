from __future__ import annotations

import random

from moonlatch.obfuscator.vm.code import HOLE, Instruction, Item, Jump, Label
from moonlatch.obfuscator.vm.linking import Linked, arrange, join, link


def texts(function: list[Linked]) -> list[str]:
    return [one.text for one in function]


def test_jumps_disappear_into_what_they_lead_to() -> None:
    end = Label()
    code: list[Item] = [
        Instruction("a", [], 1),
        Jump(end),
        Instruction("b", [], 1),
        end,
        Instruction("return", [], 1, falls_through=False),
    ]
    function = link(code)
    assert texts(function) == ["a", "return"]
    assert function[0].following is function[1]


def test_code_that_cannot_be_reached_is_left_out() -> None:
    code: list[Item] = [Instruction("return", [], 1, falls_through=False), Instruction("x", [], 1)]
    assert texts(link(code)) == ["return"]


def test_a_loop_of_nothing_but_jumps_gets_something_to_do() -> None:
    head = Label()
    (pause,) = link([head, Jump(head)])
    assert pause.text == ""
    assert pause.following is pause


def test_labels_among_operands_become_instructions() -> None:
    then, otherwise = Label(), Label()
    code: list[Item] = [
        Instruction(f"if x then i={HOLE} else i={HOLE} end", [then, otherwise], 1, falls_through=False),
        then,
        Instruction("a", [], 1),
        otherwise,
        Instruction("return", [], 1, falls_through=False),
    ]
    branch, *_ = link(code)
    assert [operand.text for operand in branch.operands if isinstance(operand, Linked)] == ["a", "return"]


def straight(weight: int) -> list[Item]:
    return [
        Instruction("a", [1], weight),
        Instruction("b", [2], weight),
        Instruction("return", [], weight, falls_through=False),
    ]


def test_neighbours_in_loops_are_joined_with_their_operands() -> None:
    ((one,),) = join([link(straight(8))])
    assert one.text == "a b return"
    assert one.operands == [1, 2]
    assert one.following is None


def test_elsewhere_only_frequent_pairs_are_joined() -> None:
    assert [texts(function) for function in join([link(straight(1))])] == [["a", "b", "return"]]
    assert [len(function) for function in join([link(straight(1)) for _ in range(5)])] == [1] * 5


def test_an_instruction_that_something_else_leads_to_is_not_joined() -> None:
    head = Label()
    code: list[Item] = [Instruction("a", [], 8), head, Instruction("b", [], 8), Jump(head)]
    (function,) = join([link(code)])
    assert texts(function) == ["a", "b"]


def test_the_first_instruction_stays_the_first_one() -> None:
    code: list[Item] = []
    labels = [Label() for _ in range(10)]
    code.append(Instruction("start" + HOLE * 10, list(labels), 1, falls_through=False))
    for number, label in enumerate(labels):
        code += [label, Instruction(f"return {number}", [], 1, falls_through=False)]
    function = link(code)
    orders = {tuple(texts(arrange(function, random.Random(seed)))) for seed in range(5)}
    assert len(orders) > 1
    assert {order[0] for order in orders} == {"start" + HOLE * 10}
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(texts(function)))}
