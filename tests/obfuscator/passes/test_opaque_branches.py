from __future__ import annotations

import random

from moonlatch.obfuscator.passes.opaque_branches import KEY
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk
from moonlatch.obfuscator.syntax.tree import Binding, Block, Chunk, Return
from moonlatch.obfuscator.transform.witness import Witness
from support.luau import run_luau, run_luau_batch
from support.protecting import protected_with

SOURCE = "local a, b = 1, 2 a = a + b b = b * a print(a, b) if a > 1 then a = 5 else b = 6 end b = a - b print(a, b)"


def test_statements_get_a_branch_that_never_runs() -> None:
    texts = [protected_with(SOURCE, {KEY}, seed) for seed in range(10)]
    assert max(text.count("%") for text in texts) >= 2
    assert set(run_luau_batch(texts)) == {run_luau(SOURCE)}


def test_loops_stay_as_they_are() -> None:
    source = "for i = 1, n do a = b b = c c = d f(a) g(b) h(c) end"
    assert {protected_with(source, {KEY}, seed).count("if ") for seed in range(10)} == {0}


def test_code_that_never_runs_uses_only_variables_in_sight() -> None:
    source = "local a = f() g(a) local b = f() h(b) local c = f() i(c) a = b b = c c = a"
    for seed in range(20):
        text = protected_with(source, {KEY}, seed)
        declared = text.index("=f()", text.index("=f()") + 1)
        # Nothing may mention the third local before it is declared: there the name would be a global.
        third = text[:declared].rsplit("local ", 1)[1]
        assert third not in text[: text.index(f"local {third}")]


def test_the_witness_keeps_its_promises_while_it_grows() -> None:
    generator = random.Random(7)
    lines = []
    for seed in range(20):
        witness = Witness.drawn(Binding("w", 1), random.Random(seed))
        shown = [witness.condition(1, generator, holds=True) for _ in range(4)]
        hidden = [witness.condition(1, generator, holds=False) for _ in range(4)]
        numbers = [witness.number(value, 1, generator) for value in range(30)]
        grow = print_chunk(Chunk(Block([witness.declaration(), *[witness.growth(1, generator)] * (seed % 5)], 1), []))
        asked = [print_chunk(Chunk(Block([Return([one], 1)], 1), []))[7:] for one in (*shown, *hidden, *numbers)]
        lines.append(f"do {grow} print({','.join(asked)}) end")
    expected = "\t".join(["true"] * 4 + ["false"] * 4 + [str(value) for value in range(30)])
    assert run_luau("\n".join(lines)).output.splitlines() == [expected] * 20


def test_the_output_still_parses_when_every_statement_is_a_candidate() -> None:
    source = " ".join(f"f({i}) t.x = {i}" for i in range(60))
    text = protected_with(source, {KEY})
    assert text.count("else") > 5
    parse(text)
