"""What the script can no longer reach is collected while it runs on, as in the original: blocks that were left, temporaries, arguments let go of."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonlatch.obfuscator.options import PROFILES
from moonlatch.obfuscator.passes import REGISTRY
from support.luau import SYSTEM_LUAS, LuauResult, run_lua_batch, run_luau_batch
from support.protecting import kept_build, keys_of_pass_alone, protected_with
from support.rounds import rounds

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("lifetimes")

SOURCE = (Path(__file__).parent / "lifetimes.lua").read_text()
SEEDS = range(1, rounds(3, 11))
NOT_EVEN_IN_THE_ORIGINAL = {"condition"}
"""Under which the value of an `if`'s own condition is still in a register of the host."""


def kept(result: LuauResult) -> set[str]:
    """Where something was still there. Raises what the script raises."""
    assert (result.error, result.compile_error, result.crashed) == (None, None, False)
    return {
        name for line in result.output.splitlines() for name, _, is_gone in [line.partition("\t")] if is_gone == "false"
    }


@pytest.mark.parametrize("interpreter", SYSTEM_LUAS)
@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_gone_is_collected(profile: str, interpreter: str) -> None:
    texts = [SOURCE, *(kept_build(SOURCE, profile, seed) for seed in SEEDS)]
    assert [kept(result) for result in run_lua_batch(interpreter, texts)] == [NOT_EVEN_IN_THE_ORIGINAL] * len(texts)


def test_what_is_gone_is_collected_under_luau() -> None:
    texts = [SOURCE, *(kept_build(SOURCE, profile, 1) for profile in PROFILES)]
    assert [kept(result) for result in run_luau_batch(texts, 60)] == [NOT_EVEN_IN_THE_ORIGINAL] * len(texts)


def test_what_is_gone_is_collected_after_each_pass_alone() -> None:
    texts = [protected_with(SOURCE, keys_of_pass_alone(one.KEY)) for one in REGISTRY]
    found = [kept(result) for result in run_lua_batch("lua5.1", texts)]
    assert dict(zip([one.KEY for one in REGISTRY], found, strict=True)) == {
        one.KEY: NOT_EVEN_IN_THE_ORIGINAL for one in REGISTRY
    }
