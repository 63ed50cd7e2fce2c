"""Finds programs that behave differently once protected, and the smallest one that shows it.

    PYTHONPATH=tests python -m support.generated.differences --profile light --count 500 --seed 7

Variants: a profile by name, `pass:KEY` for one pass alone, `lua51:PROFILE` for the target `lua51`, run under Lua 5.1,
LuaJIT and Luau. Without `--profile` all of them are tried. Ends with status 1 when there is a difference.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.passes import REGISTRY
from moonlatch.obfuscator.target import Target
from support.generated.program import generated_program
from support.generated.reduce import reduced
from support.luau import LuauResult, run_lua_batch, run_luau_batch
from support.protecting import keys_of_pass_alone

POSITION = re.compile(r"\A[^:\n]*:\d+: ")
ADDRESS = re.compile(r"0x[0-9a-f]{8,16}")
PROGRAMS_AT_ONCE = 25
PLAIN_LUAS = ("lua51", "luajit21")


@dataclass(frozen=True)
class Variant:
    """One way to protect a program and one interpreter to run the outcome in."""

    name: str
    interpreter: str = "luau"

    @property
    def needs_portable_programs(self) -> bool:
        return self.name.startswith("lua51:")

    def protect(self, source: str, seed: int) -> str:
        """The protected text, or a script that raises what went wrong."""
        kind, _, rest = self.name.rpartition(":")
        try:
            data = source.encode("latin-1")
            if kind == "pass":
                outcome = pipeline.protect_with(data, Options("minify", Target.LUAU), seed, keys_of_pass_alone(rest))
            else:
                outcome = pipeline.protect(data, Options(rest, Target(kind or "luau")), seed)
        except Exception as problem:
            return f"error([==[protector crashed: {problem!r}]==], 0)"
        return outcome.text if isinstance(outcome, Protected) else f"error([==[not protected: {outcome}]==], 0)"

    def run(self, sources: Sequence[str]) -> list[LuauResult]:
        return run_luau_batch(sources) if self.interpreter == "luau" else run_lua_batch(self.interpreter, sources)


@dataclass(frozen=True)
class Difference:
    source: str
    variant: Variant
    before: LuauResult
    after: LuauResult


def variants_of(profile: str) -> list[Variant]:
    if profile.startswith("lua51:"):
        return [Variant(profile, interpreter) for interpreter in (*PLAIN_LUAS, "luau")]
    return [Variant(profile)]


def differences(sources: Sequence[str], variants: Sequence[Variant], seed: int) -> list[Difference]:
    """Every program and variant whose output or raised value is not that of the program itself, run in real Luau."""
    originals = run_luau_batch(sources)
    found = []
    texts: dict[str, list[str]] = {}
    for variant in variants:
        if variant.name not in texts:  # several interpreters run the same texts
            texts[variant.name] = [variant.protect(source, seed) for source in sources]
        results = variant.run(texts[variant.name])
        found += [
            Difference(source, variant, before, after)
            for source, before, after in zip(sources, originals, results, strict=True)
            if not _met_a_limit(before) and _seen(before, variant) != _seen(after, variant)
        ]
    return found


def _met_a_limit(result: LuauResult) -> bool:
    """Whether the program itself filled a stack: how deep that is, in calls of its own, is nobody's promise."""
    return "stack overflow" in result.output or "stack overflow" in (result.error or "")


def _seen(result: LuauResult, variant: Variant) -> tuple[object, ...]:
    """What must be the same: all but addresses, the position in an error's text, and in plain Lua its wording."""
    error = None if result.error is None else POSITION.sub("", result.error)
    if (
        variant.needs_portable_programs
        and error is not None
        and not error.startswith(("E:", "not protected", "protector"))
    ):
        error = "any"
    return ADDRESS.sub("0x", result.output), error, result.compile_error is None, result.crashed


def smallest(difference: Difference, seed: int) -> Difference:
    """A difference of the same variant, shown by a program with nothing unnecessary in it."""
    variant = difference.variant

    def still_differs(sources: list[str]) -> list[bool]:
        originals = run_luau_batch(sources, timeout_seconds=5)
        fit = [not (one.compile_error or one.crashed) for one in originals]
        shown = {
            one.source for one in differences([s for s, ok in zip(sources, fit, strict=True) if ok], [variant], seed)
        }
        return [source in shown for source in sources]

    source = reduced(difference.source, still_differs)
    return (differences([source], [variant], seed) or [difference])[0]


def programs(seed: int, count: int, *, portable: bool) -> Iterator[str]:
    for number in range(count):
        yield generated_program(random.Random(f"{seed}/{number}"), portable=portable)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Finds programs that behave differently once protected.")
    parser.add_argument("--profile", action="append", help="a variant; may be given several times")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path, help="a script of your own instead of generated ones")
    parser.add_argument("--as-found", action="store_true", help="show the program as it was drawn")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    options = parser.parse_args(arguments)
    everything = [*PROFILES, *(f"pass:{one.KEY}" for one in REGISTRY), *(f"lua51:{profile}" for profile in PROFILES)]
    variants = [variant for name in options.profile or everything for variant in variants_of(name)]
    with ProcessPoolExecutor(options.jobs) as workers:
        for portable in (False, True):
            chosen = [variant for variant in variants if variant.needs_portable_programs is portable]
            if not chosen:
                continue
            sources = (
                [options.file.read_text("latin-1")]
                if options.file
                else list(programs(options.seed, options.count, portable=portable))
            )
            batches = [sources[start : start + PROGRAMS_AT_ONCE] for start in range(0, len(sources), PROGRAMS_AT_ONCE)]
            tasks = [workers.submit(differences, batch, chosen, options.seed) for batch in batches]
            for done, task in enumerate(as_completed(tasks), 1):
                if task.result():
                    workers.shutdown(wait=False, cancel_futures=True)
                    _show(task.result(), options)
                    return 1
                print(f"{min(done * PROGRAMS_AT_ONCE, len(sources))} of {len(sources)} programs alike", file=sys.stderr)
    return 0


def _show(found: list[Difference], options: argparse.Namespace) -> None:
    print(f"{len(found)} differences; the smallest:", file=sys.stderr)
    shortest = min(found, key=lambda one: len(one.source))
    one = shortest if options.as_found else smallest(shortest, options.seed)
    print(f"-- {one.variant.name} in {one.variant.interpreter}, seed {options.seed}")
    print(one.source)
    for line in unified_diff(transcript(one.before), transcript(one.after), "itself", "protected", lineterm="", n=2):
        print(line)


def transcript(result: LuauResult) -> list[str]:
    """The lines it printed and how it ended, without the position in an error's text and without addresses."""
    end = "crashed" if result.crashed else result.compile_error or POSITION.sub("", result.error or "none")
    return [*ADDRESS.sub("0x", result.output).split("\n"), f"error: {end}"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
