"""Finds programs that behave differently once protected, and the smallest one that shows it.

    PYTHONPATH=tests python -m support.generated.differences --profile light --count 500 --seed 7

Variants: a profile by its name, as an upload without a target is protected; `luau:PROFILE` and `lua51:PROFILE` for a target
that was asked for; `pass:KEY` for one pass alone. What a Lua is to run is compared there, too: `lua51:PROFILE` with the
program under Luau, plain Lua without a target with the program under the same Lua. Without `--profile` every batch of
programs gets all profiles without a target and takes turns with the rest. Ends with status 1 when there is a difference.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from difflib import unified_diff
from enum import StrEnum
from pathlib import Path

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.passes import REGISTRY
from moonlatch.obfuscator.target import Target
from support.generated.program import generated_program
from support.generated.reduce import reduced
from support.generated.single import plain_program, single_program
from support.luau import LuauResult, run_lua_batch, run_luau_batch
from support.protecting import keys_of_pass_alone

POSITION = re.compile(r"\A[^:\n]*:\d+: ")
ADDRESS = re.compile(r"0x[0-9a-f]{8,16}|builtin#\d+")
# Plain Lua calls what is at fault by the variable that holds it, which is named otherwise in what is protected.
NAME = re.compile(r"(?:(?:local|upvalue|global|field|method|function) )?'[^'\n]*'")
# Or by none, where it is computed: `attempt to call a nil value`.
NAMED_VALUE = re.compile(r"\? \((an? \w+ value)\)")
PROGRAMS_AT_ONCE = 25
MOST_SHOWN = 3
JIT, WITHOUT_JIT = "luajit", "luajit -joff"
PLAIN_LUAS = ("lua51", "luajit21", JIT, WITHOUT_JIT)


class Kind(StrEnum):
    """What programs are made of. `plain` ones are plain Lua, which runs everywhere; `single` ones have one thing of Luau's
    in them; `rich` ones have everything; `portable` ones too, but print the same when they are lowered to plain Lua."""

    RICH = "rich"
    SINGLE = "single"
    PLAIN = "plain"
    PORTABLE = "portable"


@dataclass(frozen=True)
class Variant:
    """One way to protect a program and one interpreter to run the outcome in."""

    name: str
    interpreter: str = "luau"

    @property
    def target(self) -> Target | None:
        first = self.name.partition(":")[0]
        return Target(first) if first in set(Target) else None

    @property
    def reference(self) -> str:
        """The interpreter that shows what is right: of what was written in Luau for any Lua, Luau."""
        return "luau" if self.target is Target.LUA51 else self.interpreter

    def protect(self, source: str, seed: int) -> str:
        """The protected text, or a script that raises what went wrong."""
        kind, _, rest = self.name.rpartition(":")
        try:
            data = source.encode("latin-1")
            if kind == "pass":
                outcome = pipeline.protect_with(data, Options("minify"), seed, keys_of_pass_alone(rest))
            else:
                outcome = pipeline.protect(data, Options(rest, self.target), seed)
        except Exception as problem:
            return f"error([==[protector crashed: {problem!r}]==], 0)"
        return outcome.text if isinstance(outcome, Protected) else f"error([==[not protected: {outcome}]==], 0)"

    def run(self, sources: Sequence[str]) -> list[LuauResult]:
        return run_in(self.interpreter, sources)


def run_in(interpreter: str, sources: Sequence[str]) -> list[LuauResult]:
    return run_luau_batch(sources) if interpreter == "luau" else run_lua_batch(interpreter, sources)


@dataclass(frozen=True)
class Difference:
    source: str
    variant: Variant
    before: LuauResult
    after: LuauResult


def variants_of(name: str, kind: Kind) -> list[Variant]:
    """That variant in every interpreter that programs of the kind run in; none where it is not for such programs."""
    if name.startswith(f"{Target.LUA51}:"):
        return [Variant(name, interpreter) for interpreter in (*PLAIN_LUAS, "luau")] if kind is Kind.PORTABLE else []
    if kind is Kind.PLAIN and Variant(name).target is None:
        return [Variant(name, interpreter) for interpreter in (*PLAIN_LUAS, "luau")]
    return [Variant(name)]


def differences(sources: Sequence[str], variants: Sequence[Variant], seed: int) -> list[Difference]:
    """Every program and variant whose output or raised value is not that of the program itself in the variant's reference."""
    originals: dict[str, list[LuauResult]] = {}
    found = []
    texts: dict[str, list[str]] = {}
    for variant in variants:
        if variant.reference not in originals:
            originals[variant.reference] = run_in(variant.reference, sources)
        if variant.name not in texts:  # several interpreters run the same texts
            texts[variant.name] = [variant.protect(source, seed) for source in sources]
        results = variant.run(texts[variant.name])
        found += [
            Difference(source, variant, before, after)
            for source, before, after in zip(sources, originals[variant.reference], results, strict=True)
            if not _met_a_limit(before) and _seen(before, variant) != _seen(after, variant)
        ]
    return [one for one in found if not _is_of_the_jit(one, seed)]


def _is_of_the_jit(difference: Difference, seed: int) -> bool:
    """Return whether it is the program that LuaJIT 2.1.0-beta3 gets wrong, and not what protection made of it.

    In a loop that it has compiled, `local first = (...)` may be the second argument. `minify` leaves loops as they are
    written, so it is the program's own where the minified text goes wrong in the same way, and right without the compiler.
    """
    variant = difference.variant
    if variant.interpreter != JIT:
        return False
    without = variant.reference.replace(JIT, WITHOUT_JIT)
    right = _seen(run_in(without, [difference.source])[0], variant)
    after = _seen(difference.after, variant)
    if after == right:
        return True
    minified = replace(variant, name="minify" if variant.target is None else f"{variant.target}:minify")
    text = [minified.protect(difference.source, seed)]
    return _seen(run_in(JIT, text)[0], variant) == after and _seen(run_in(WITHOUT_JIT, text)[0], variant) == right


def _met_a_limit(result: LuauResult) -> bool:
    """Return whether the program itself filled a stack: how deep that is, in calls of its own, is nobody's promise."""
    return "stack overflow" in result.output or "stack overflow" in (result.error or "")


def _seen(result: LuauResult, variant: Variant) -> tuple[object, ...]:
    """What must be the same: all but addresses, the position in an error's text, and what a lowered program raises."""
    error = None if result.error is None else POSITION.sub("", result.error)
    if (
        variant.target is Target.LUA51
        and error is not None
        and not error.startswith(("E:", "not protected", "protector"))
    ):
        error = "any"
    elif error is not None and variant.interpreter != "luau":
        error = NAMED_VALUE.sub(r"\1", NAME.sub("?", error))
    return ADDRESS.sub("0x", result.output), error, result.compile_error is None, result.crashed


def _respects(difference: Difference) -> list[bool]:
    """In what of all that must be the same it differs."""
    before, after = (_seen(result, difference.variant) for result in (difference.before, difference.after))
    return [one != other for one, other in zip(before, after, strict=True)]


def smallest(difference: Difference, seed: int) -> Difference:
    """A difference of the same variant in the same respects, shown by a program with nothing unnecessary in it."""
    variant = difference.variant
    respects = _respects(difference)

    def still_differs(sources: list[str]) -> list[bool]:
        originals = run_in(variant.reference, sources)
        fit = [not (one.compile_error or one.crashed) for one in originals]
        found = differences([s for s, ok in zip(sources, fit, strict=True) if ok], [variant], seed)
        shown = {one.source for one in found if _respects(one) == respects}
        return [source in shown for source in sources]

    source = reduced(difference.source, still_differs)
    return (differences([source], [variant], seed) or [difference])[0]


def programs(seed: int, count: int, kind: Kind = Kind.RICH) -> Iterator[str]:
    """The first `count` programs of that kind and seed."""
    for number in range(count):
        generator = random.Random(f"{seed}/{kind}/{number}")
        if kind is Kind.SINGLE:
            yield single_program(generator)
        elif kind is Kind.PLAIN:
            yield plain_program(generator)
        else:
            yield generated_program(generator, portable=kind is Kind.PORTABLE)


@dataclass(frozen=True)
class Batch:
    """A few programs of one kind, and what is done to them. `number` makes its programs different from other batches'."""

    kind: Kind
    number: int
    variants: tuple[Variant, ...]

    def differences(self, seed: int) -> list[Difference]:
        drawn = list(programs(seed * 1_000 + self.number, PROGRAMS_AT_ONCE, self.kind))
        return differences(drawn, self.variants, seed)


# Of ten batches; the main case most of all.
_KINDS = [*[Kind.RICH] * 4, *[Kind.SINGLE] * 3, Kind.PLAIN, *[Kind.PORTABLE] * 2]
_KINDS = [_KINDS[place * 3 % 10] for place in range(10)]
_PASSES_IN_TURN = 2


def batches(count: int, names: Sequence[str] | None) -> list[Batch]:
    """For at least that many programs, and for each kind one batch. Without `names` every variant has its turns."""
    turns = dict.fromkeys(Kind, 0)
    found: list[Batch] = []
    for number in itertools.count():
        if number >= len(_KINDS) and len(found) * PROGRAMS_AT_ONCE >= count:
            break
        kind = _KINDS[number % len(_KINDS)]
        chosen = _in_turn(kind, turns[kind]) if names is None else names
        turns[kind] += 1
        variants = tuple(variant for name in chosen for variant in variants_of(name, kind))
        if variants:
            found.append(Batch(kind, number, variants))
    return found


def _in_turn(kind: Kind, turn: int) -> list[str]:
    profiles = list(PROFILES)
    if kind is Kind.PORTABLE:
        return [f"{Target.LUA51}:{profile}" for profile in profiles]
    keys = [one.KEY for one in REGISTRY]
    passes = [keys[(turn * _PASSES_IN_TURN + place) % len(keys)] for place in range(_PASSES_IN_TURN)]
    asked_for = f"{Target.LUAU}:{profiles[turn % len(profiles)]}"
    return [*profiles, asked_for, *(f"pass:{key}" for key in passes)]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Finds programs that behave differently once protected.")
    parser.add_argument("--profile", action="append", help="a variant; may be given several times")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path, help="a script of your own instead of generated ones")
    parser.add_argument("--as-found", action="store_true", help="show the program as it was drawn")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    options = parser.parse_args(arguments)
    if options.file:
        return _of_file(options)
    began = time.monotonic()
    found: list[Difference] = []
    with ProcessPoolExecutor(options.jobs) as workers:
        planned = batches(options.count, options.profile)
        tasks = [workers.submit(batch.differences, options.seed) for batch in planned]
        for done, task in enumerate(as_completed(tasks), 1):
            found += task.result()
            seconds = time.monotonic() - began
            progress = f"{done * PROGRAMS_AT_ONCE} of {len(tasks) * PROGRAMS_AT_ONCE} programs, {seconds:.0f} s"
            print(f"{progress}: {len(found)} differences" if found else f"{progress}: alike", file=sys.stderr)
    if found:
        _show(found, options)
    return 1 if found else 0


def _of_file(options: argparse.Namespace) -> int:
    names = options.profile or [*PROFILES, *(f"{target}:{profile}" for target in Target for profile in PROFILES)]
    variants = [variant for name in names for variant in variants_of(name, Kind.PORTABLE)]
    found = differences([options.file.read_text("latin-1")], variants, options.seed)
    if found:
        _show(found, options)
    return 1 if found else 0


def _show(found: list[Difference], options: argparse.Namespace) -> None:
    """The first of each program's, those of the shortest programs; a program usually differs in many variants."""
    of_program: dict[str, Difference] = {}
    for difference in found:
        of_program.setdefault(difference.source, difference)
    print(f"{len(found)} differences of {len(of_program)} programs; the smallest:", file=sys.stderr)
    for difference in sorted(of_program.values(), key=lambda one: len(one.source))[:MOST_SHOWN]:
        one = difference if options.as_found else smallest(difference, options.seed)
        print(f"-- {one.variant.name} in {one.variant.interpreter}, seed {options.seed}")
        print(one.source)
        for line in unified_diff(
            transcript(one.before), transcript(one.after), "itself", "protected", lineterm="", n=2
        ):
            print(line)


def transcript(result: LuauResult) -> list[str]:
    """The lines it printed and how it ended, without the position in an error's text and without addresses."""
    end = "crashed" if result.crashed else result.compile_error or POSITION.sub("", result.error or "none")
    return [*ADDRESS.sub("0x", result.output).split("\n"), f"error: {end}"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
