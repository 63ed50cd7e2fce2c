"""Programs that run for long need no more memory protected than not.

LuaJIT is not among the interpreters: what stood in a place of its stack may live until the place is needed, with or without us.
"""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES
from support.generated.long_running import long_running_program
from support.luau import LuauResult, run_lua_batch, run_luau_batch
from support.protecting import kept_build
from support.rounds import rounds

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("memory")

MOST = 1.2
"""Times what the original has in use at the same place."""
SEED = 20260
PROGRAMS = [long_running_program(SEED + number) for number in range(rounds(4, 20))]


def samples(result: LuauResult) -> list[tuple[int, int]]:
    """Kilobytes in use, and large tables that are still there, at each place."""
    assert (result.error, result.compile_error, result.crashed) == (None, None, False)
    *lines, live = result.output.splitlines()
    assert live == "12000"
    return [(int(used), int(left)) for used, left in (line.split() for line in lines)]


@pytest.mark.parametrize("interpreter", ["lua5.1", "lua5.4", "luau"])
def test_memory_in_use_is_that_of_the_original(interpreter: str) -> None:
    texts = [*PROGRAMS, *(kept_build(program, profile) for profile in PROFILES for program in PROGRAMS)]
    is_luau = interpreter == "luau"
    results = run_luau_batch(texts, 120) if is_luau else run_lua_batch(interpreter, texts, 120)
    originals = [samples(result) for result in results[: len(PROGRAMS)]]
    for number, result in enumerate(results[len(PROGRAMS) :]):
        pairs = list(zip(samples(result), originals[number % len(PROGRAMS)], strict=True))
        assert [(left, before) for (_, left), (_, before) in pairs if left > before] == []
        assert [(used, before) for (used, _), (before, _) in pairs if used > MOST * before] == []
