"""Protects every script that the tests and benchmarks have, with several seeds, and finds those that behave differently.

    PYTHONPATH=tests python -m support.every_script --seeds 10 --first 1

Each profile without a target and with every target: without one, and with `luau`, under Luau; `lua51` under Luau; and what
is plain Lua also under Lua 5.1 and LuaJIT, each beside the script itself in the same interpreter. Benchmarks, which take
a hundred times as long, get the first seed alone, and one profile each, which another first seed changes. Ends with status 1 when there is a difference.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache
from pathlib import Path

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PLAINEST_PROFILE, PROFILES, Options
from moonlatch.obfuscator.outcome import Rejected
from moonlatch.obfuscator.target import Target
from support.corpus import CORPUS
from support.generated.differences import PLAIN_LUAS, Variant, transcript
from support.luau import run_lua_batch, run_luau_batch
from support.protecting import ALL_PROGRAMS

BENCHMARKS = Path(__file__).parents[2] / "bench" / "programs"
LONGEST_SECONDS = 120
"""Benchmarks take a second or two, and the slowest profile many times that."""


@dataclass(frozen=True)
class Script:
    name: str
    source: str
    is_plain_lua: bool
    is_benchmark: bool


@dataclass(frozen=True)
class Difference:
    script: Script
    variant: Variant
    seed: int
    lines: list[str]


def scripts() -> list[Script]:
    paths = [*ALL_PROGRAMS, *sorted((CORPUS / "accepted").glob("*.lua*")), *sorted(BENCHMARKS.glob("*.lua"))]
    return [
        Script(
            f"{path.parent.name}/{path.name}",
            path.read_text("latin-1"),
            path.suffix == ".lua",
            path.parent == BENCHMARKS,
        )
        for path in paths
    ]


def variants(script: Script, profile: str) -> Iterator[Variant]:
    """The ways to protect and run the script; `lua51` is left out where the script has what Lua 5.1 cannot do."""
    plain_luas = PLAIN_LUAS if script.is_plain_lua else ()
    for interpreter in ("luau", *plain_luas):
        yield Variant(profile, interpreter)
    yield Variant(f"{Target.LUAU}:{profile}")
    options = Options(PLAINEST_PROFILE, Target.LUA51)
    if not isinstance(pipeline.protect(script.source.encode("latin-1"), options, 1), Rejected):
        for interpreter in ("luau", *plain_luas):
            yield Variant(f"{Target.LUA51}:{profile}", interpreter)


@cache
def _itself(source: str, interpreter: str) -> list[str]:
    return _transcripts([source], interpreter)[0]


def _transcripts(sources: Sequence[str], interpreter: str) -> list[list[str]]:
    """What each printed and raised; a protected script is one line, so positions do not count."""
    if interpreter == "luau":
        return [transcript(result) for result in run_luau_batch(sources, LONGEST_SECONDS)]
    return [transcript(result) for result in run_lua_batch(interpreter, sources, LONGEST_SECONDS)]


def differences(script: Script, profile: str, seeds: Sequence[int]) -> Iterator[Difference]:
    for variant in variants(script, profile):
        before = _itself(script.source, variant.interpreter)
        builds = [variant.protect(script.source, seed) for seed in seeds]
        for seed, after in zip(seeds, _transcripts(builds, variant.interpreter), strict=True):
            lines = list(unified_diff(before, after, "itself", "protected", lineterm="", n=2))
            if lines:
                yield Difference(script, variant, seed, lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Finds scripts that behave differently once protected.")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--profile", action="append", choices=PROFILES, help="may be given several times")
    parser.add_argument("--only", action="append", help="scripts with this in their name; may be given several times")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    options = parser.parse_args(arguments)
    seeds = range(options.first, options.first + options.seeds)
    chosen = [script for script in scripts() if any(part in script.name for part in options.only or [""])]
    count = 0
    with ProcessPoolExecutor(options.jobs) as workers:
        profiles = options.profile or list(PROFILES)
        tasks = {}
        for place, one in enumerate(chosen):
            turn = [profiles[(options.first + place) % len(profiles)]] if one.is_benchmark else profiles
            tasks[workers.submit(_of_script, one, turn, seeds[:1] if one.is_benchmark else seeds)] = one
        for task in as_completed(tasks):
            for found in task.result():
                count += 1
                print(f"-- {found.script.name}, {found.variant.name} in {found.variant.interpreter}, seed {found.seed}")
                print("\n".join(found.lines))
            print(f"{tasks[task].name} done", file=sys.stderr)
    print(f"{len(chosen)} scripts with {len(seeds)} seeds: {count} differences", file=sys.stderr)
    return 1 if count else 0


def _of_script(script: Script, profiles: Sequence[str], seeds: Sequence[int]) -> list[Difference]:
    return [found for profile in profiles for found in differences(script, profile, seeds)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
