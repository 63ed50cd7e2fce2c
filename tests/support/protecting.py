"""Shortcuts for tests of the protector: the programs to protect, and protection that has to succeed."""

from __future__ import annotations

import functools
from pathlib import Path

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected, Rejected
from moonlatch.obfuscator.passes import constant_pool
from moonlatch.obfuscator.target import Target
from support.luau import run_luau

PROGRAMS = Path(__file__).parents[1] / "obfuscator" / "programs"
LUA51_PROGRAMS = sorted(PROGRAMS.glob("lua51/*.lua"))
LUAU_PROGRAMS = sorted(PROGRAMS.glob("luau/*.luau"))
ALL_PROGRAMS = [*LUA51_PROGRAMS, *LUAU_PROGRAMS]
# None first: the script says itself what it needs.
TARGETS = [None, *(str(target) for target in Target)]


def protected(
    source: str | bytes,
    profile: str = "light",
    seed: int = 1,
    *,
    target: str | None = None,
    client: bool = False,
    has_line_map: bool = True,
) -> str:
    """The protected text of a script that has to be fine. Without a target, as most uploads come."""
    options = Options(profile, _target(target), client, has_line_map=has_line_map)
    outcome = pipeline.protect(_bytes(source), options, seed)
    assert isinstance(outcome, Protected), outcome
    return outcome.text


@functools.cache
def build_of(program: Path, profile: str, seed: int = 1, *, target: str | None = None) -> str:
    """As `protected`, for one of the programs above, of which many tests look at the same builds."""
    return protected(program.read_bytes(), profile, seed, target=target)


@functools.cache
def kept_build(source: str, profile: str, seed: int = 1, *, target: str | None = None) -> str:
    """As `protected`, for short scripts that the tests of a module run in one interpreter after the other."""
    return protected(source, profile, seed, target=target)


def protected_with(source: str | bytes, keys: set[str], seed: int = 1, *, target: str | None = None) -> str:
    """As `protected`, with the passes of those keys alone."""
    outcome = pipeline.protect_with(_bytes(source), Options("light", _target(target)), seed, keys)
    assert isinstance(outcome, Protected), outcome
    return outcome.text


def keys_of_pass_alone(key: str) -> set[str]:
    """That pass with the one which writes out the pool, because encrypted constants need the pool that they went to."""
    return {key, constant_pool.KEY}


def faults(
    source: str | bytes, profile: str = "light", *, target: str | None = None, client: bool = False
) -> list[str]:
    """`LINE: MESSAGE` for everything that is wrong with a script that has to be refused."""
    outcome = pipeline.protect(_bytes(source), Options(profile, _target(target), client), 1)
    assert isinstance(outcome, Rejected), outcome
    return [f"{diagnostic.line}: {diagnostic.message}" for diagnostic in outcome.diagnostics]


def _target(name: str | None) -> Target | None:
    return None if name is None else Target(name)


def _bytes(source: str | bytes) -> bytes:
    return source.encode("latin-1") if isinstance(source, str) else source


def read_while_running(text: str, times: int) -> tuple[list[str], int]:
    """What a build prints that is run with that argument, and how many symbols its decoders read for it.

    They read one by one, with `string.byte`.
    """
    watched = (
        "local made, real = 0, string local string = setmetatable({ byte = function(...) made += 1 return real.byte(...) end }, "
        f"{{ __index = real }}) local function build(...) {text} end build({times}) print(made)"
    )
    *printed, made = run_luau(watched).output.splitlines()
    return printed, int(made)
