"""Protects a script from source text to finished text: check, macros, runtime variables, passes, print, parse again.

Deterministic: the same source, options and seed give the same bytes. It reads no clock, no file and no randomness.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace

from moonlatch.obfuscator.analysis.builtins import CHANGE_ENVIRONMENT
from moonlatch.obfuscator.analysis.check import check_parsed
from moonlatch.obfuscator.analysis.dialect import constructs_without_counterpart, most_portable_target
from moonlatch.obfuscator.analysis.function_names import function_lines, function_names
from moonlatch.obfuscator.analysis.hash_literals import hash_warnings
from moonlatch.obfuscator.analysis.hot_functions import hot_functions
from moonlatch.obfuscator.analysis.plain_lua_limits import plain_lua_faults
from moonlatch.obfuscator.analysis.scopes import Resolution, resolve
from moonlatch.obfuscator.analysis.secret_literals import secret_warnings
from moonlatch.obfuscator.analysis.sharing import shared_functions
from moonlatch.obfuscator.analysis.source_files import source_files
from moonlatch.obfuscator.guards.branches import guard_branches
from moonlatch.obfuscator.guards.guessing import guard_warnings
from moonlatch.obfuscator.guards.lock import locked
from moonlatch.obfuscator.guards.source import Opening, opening
from moonlatch.obfuscator.guards.taking_out import faults_of_guards, give_compiler, take_out
from moonlatch.obfuscator.line_map import LineMap
from moonlatch.obfuscator.observation import Observer, census, observed
from moonlatch.obfuscator.options import PLAINEST_PROFILE, PROFILES, Options
from moonlatch.obfuscator.outcome import EngineError, Failure, Outcome, Protected, Readable, Rejected
from moonlatch.obfuscator.passes import REGISTRY, encrypt_strings, keyed_constants, rename_locals, virtualize
from moonlatch.obfuscator.preparation.dead_branches import remove_dead_branches
from moonlatch.obfuscator.preparation.first_arguments import read_arguments_first
from moonlatch.obfuscator.preparation.late_arguments import write_out_late_arguments
from moonlatch.obfuscator.preparation.macros import (
    ALWAYS_TRUE,
    GUARD,
    MACROS,
    STRING_MACROS,
    VARIANT,
    Expansion,
    expand_macros,
    is_true_in_builds,
    macro_lines,
)
from moonlatch.obfuscator.preparation.powers import keep_powers
from moonlatch.obfuscator.preparation.repeated_keys import settle_repeated_keys
from moonlatch.obfuscator.preparation.reserved_names import write_out_reserved_names
from moonlatch.obfuscator.preparation.runtime_variables import (
    COMPILER,
    EXISTS,
    addresses_in_calls,
    connect_runtime,
    forged_variables,
    functions_without_room,
)
from moonlatch.obfuscator.preparation.turned_comparisons import let_comparisons_turn
from moonlatch.obfuscator.run_lock import Lock
from moonlatch.obfuscator.source_outline import kept_outline
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic, LuauSyntaxError
from moonlatch.obfuscator.syntax.parser import collector_at_rest, parse, parse_written
from moonlatch.obfuscator.syntax.printer import print_chunk, print_with_lines
from moonlatch.obfuscator.syntax.printer_marked import print_marked
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.template import Copier, Template
from moonlatch.obfuscator.transform.identity import keep_shared_closures
from moonlatch.obfuscator.transform.pool import ConstantPool
from moonlatch.obfuscator.transform.run_words import RunWords
from moonlatch.obfuscator.transform.two_spellings import Marks
from moonlatch.obfuscator.transform.unit import Unit

MOST_MAPPED_BYTES = 256 * 1024
"""Of a source that is compiled for the machine. Beyond, operations of each line's own would double the time, text and memory."""

UNMAPPED = (
    f"line 1: this script is larger than {MOST_MAPPED_BYTES // 1024} KB, "
    "so errors of a build that is compiled for a machine of its own ('maximum') lead to no lines of the source"
)


def protect(source: bytes, options: Options, seed: int, observer: Observer | None = None) -> Outcome:
    """Protects `source` with the passes of the profile that `options` names, under the eyes of the observer.

    A script with no room, in nesting depth say, for what they would add is protected with a plainer profile, and says so.
    """
    with collector_at_rest():
        outcome = failure = _protect(source, options, seed, PROFILES[options.profile], observer)
        for plainer in _plainer_profiles(options.profile):
            if not isinstance(outcome, Failure):
                break
            outcome = _protect(source, options, seed, PROFILES[plainer], observer)
            if isinstance(outcome, Protected):
                warning = f"line 1: this script is too close to the compiler's limits; it is protected as '{plainer}'"
                return replace(outcome, warnings=[*outcome.warnings, warning])
        return failure if isinstance(outcome, Failure) else outcome


def _plainer_profiles(profile: str) -> list[str]:
    """Those that do less, the strongest first."""
    names = list(PROFILES)
    return names[: names.index(profile)][::-1]


def warnings_or_faults(source: bytes, options: Options) -> list[str] | Rejected:
    """What a script is refused for before any pass changes it, or else what its author is warned of; makes no text.

    It costs a fraction of protecting it. What only the passes of a profile find stays unsaid.
    """
    with collector_at_rest():
        accepted = _accepted(source, options, PROFILES[options.profile], None)
        if isinstance(accepted, Rejected):
            return accepted
        chunk, (_, expansion, _) = accepted
        return _warnings(chunk, source, options, expansion)


def protect_with(
    source: bytes, options: Options, seed: int, keys: Collection[str], observer: Observer | None = None
) -> Outcome:
    """Protects `source` with the passes of those keys alone, in the registry's order."""
    with collector_at_rest():
        return _protect(source, options, seed, keys, observer)


def _protect(source: bytes, options: Options, seed: int, keys: Collection[str], observer: Observer | None) -> Outcome:
    if observer is not None:
        observer.began_anew()
    outcome = _transformed(source, options, seed, keys, observer)
    if not isinstance(outcome, Protected):
        return outcome
    # Only here, where the tree that was printed is gone: the text makes another one as large.
    with observed(observer, "check again"):
        faults = _faults_of_output(outcome, keys)
        if not faults and outcome.template is not None:
            faults = _faults_of_output(replace(outcome, text=_copy(outcome.template, second=True)), keys)
    return _not_compiling(faults) if faults else outcome


def _not_compiling(faults: list[Diagnostic]) -> Failure:
    return Failure([EngineError(None, f"the protected script does not compile: {faults[0].message}")])


def _transformed(
    source: bytes, options: Options, seed: int, keys: Collection[str], observer: Observer | None
) -> Outcome:
    is_unmapped = options.has_line_map and len(source) > MOST_MAPPED_BYTES and virtualize.KEY in keys
    if is_unmapped:
        options = replace(options, has_line_map=False)
    accepted = _accepted(source, options, keys, observer)
    if isinstance(accepted, Rejected):
        return accepted
    chunk, (resolution, expansion, shared) = accepted
    functions = function_lines(chunk) if options.has_line_map else []
    names = function_names(chunk) if virtualize.KEY in keys else {}
    salt = random.Random(f"{seed}/outline").getrandbits(32)
    outline = kept_outline(chunk, resolution, salt) if options.has_marks else None
    warnings = _warnings(chunk, source, options, expansion)
    if is_unmapped:
        warnings.append(UNMAPPED)
    target = options.target or most_portable_target(chunk, resolution)
    script = _Script(source, options, seed, keys, expansion, shared, target, names)
    del accepted
    outcome = (
        _with_guards(chunk, resolution, script, observer)
        if expansion.guards
        else _passed(chunk, resolution, script, observer)
    )
    if isinstance(outcome, Protected):
        outcome.warnings[:0] = warnings
        if outcome.template is not None:
            outcome = replace(outcome, template=Template(outcome.template.pieces, outcome.template.places, outline))
        if options.has_line_map:
            line_map = LineMap(outcome.line_map.lines, functions, source_files(source))
            outcome = replace(outcome, line_map=line_map)
    return outcome


@dataclass(frozen=True, slots=True)
class _Script:
    """What is the same for all parts of a script."""

    source: bytes
    options: Options
    seed: int
    keys: Collection[str]
    expansion: Expansion
    shared: set[s.Function]
    target: Target
    names: dict[s.Function, str]
    """What functions are called in the source."""


def _with_guards(chunk: s.Chunk, resolution: Resolution, script: _Script, observer: Observer | None) -> Outcome:
    """The script without its guarded functions, each of which has been through all passes as a chunk of its own."""
    call = resolution.fresh_name("call_guarded")
    open_it = resolution.fresh_name("open_guarded")
    taken = take_out(
        chunk,
        script.expansion.guards,
        resolution,
        open_it,
        call,
        changes_environment=any(name in script.source for name in CHANGE_ENVIRONMENT),
    )
    texts: list[bytes] = []
    lines: list[int] = []
    warnings: list[str] = []
    # One text for all copies of a build, which is called without a run key: what opens it is asked of whoever runs it.
    options = replace(script.options, has_marks=False, needs_run_key=False)
    for place, one in enumerate(taken, 1):
        part = replace(script, options=options, seed=random.Random(f"{script.seed}/guard {place}").getrandbits(63))
        inner = _passed(one.chunk, resolve(one.chunk), part, None)
        if not isinstance(inner, Protected):
            return inner
        faults = _faults_of_output(inner, script.keys)
        if faults:
            return _not_compiling(faults)
        warnings += inner.warnings
        breaks = "\n" * len(lines)
        lines += inner.line_map.lines
        texts.append(locked(f"{breaks}{inner.text}".encode("ascii"), one.opener, random.Random(f"{part.seed}/lock")))
    outcome = _passed(chunk, resolve(chunk), script, observer, opening(open_it, call, texts))
    if not isinstance(outcome, Protected):
        return outcome
    outcome.warnings[:0] = warnings
    return replace(outcome, line_map=LineMap([*outcome.line_map.lines, *lines])) if lines else outcome


def _passed(
    chunk: s.Chunk, resolution: Resolution, script: _Script, observer: Observer | None, opened: Opening | None = None
) -> Protected | Rejected:
    """The chunk through all passes, and printed."""
    source, options, target, expansion = script.source, script.options, script.target, script.expansion
    if b"^" in source and keep_powers(chunk, resolution):
        resolution = resolve(chunk)
    if write_out_late_arguments(chunk, resolution, expansion.untouched):
        resolution = resolve(chunk)
    if target is Target.LUA51 and b"goto" in source and write_out_reserved_names(chunk, resolution):
        resolution = resolve(chunk)
    changes_order = not PROFILES[PLAINEST_PROFILE].issuperset(script.keys)
    if changes_order:
        settle_repeated_keys(chunk)
    if changes_order and read_arguments_first(chunk, resolution, target, expansion.untouched):
        resolution = resolve(chunk)
    sealed = set(expansion.untouched)
    if opened is not None:
        chunk.body.body[:0] = opened.statements
        sealed |= opened.functions
        resolution = resolve(chunk)
    unit = Unit(
        chunk,
        resolution,
        options,
        target,
        script.seed,
        ConstantPool(resolution.fresh_name("pool")),
        sealed=sealed,
        native=expansion.native,
        shared=script.shared,
        changes_environment=any(name in source for name in CHANGE_ENVIRONMENT),
    )
    if options.has_marks:
        unit.marks = Marks(unit.random("marks"))
    if options.needs_run_key:
        unit.run = RunWords(Lock.drawn(unit.random("run key")), resolution.fresh_name("run"))
    if observer is not None:
        observer.result("prepare", census(chunk), lambda: print_chunk(chunk, target))
    for one in REGISTRY:
        if one is rename_locals:
            unit.resolve_anew()
        if one is rename_locals and unit.shared:
            with observed(observer, "keep identity"):
                keep_shared_closures(unit)
        if one is rename_locals:
            _declare_run_words(unit)
        if one.KEY in script.keys:
            with observed(observer, one.KEY):
                one.run(unit)
            if observer is not None:
                observer.result(one.KEY, census(chunk), lambda: print_chunk(chunk, target))
    if unit.diagnostics:
        return Rejected(unit.diagnostics)
    with observed(observer, "print"):
        printed = _printed(unit)
        if opened is not None and printed.line_map:
            # How many lines there are does not depend on how that number is written.
            below = len(printed.line_map.lines)
            opened.lines.text, opened.lines.value = str(below), float(below)
            printed = _printed(unit)
    return replace(printed, readable=_readable(unit, script.names))


def _readable(unit: Unit, names: dict[s.Function, str]) -> list[Readable]:
    """The functions of the source; one that a macro or the protector has made is part of the one around it."""
    found = [
        Readable(1, "main chunk", part) if function is None else Readable(function.line, names[function], part)
        for function, part in unit.readable.items()
        if function is None or function in names
    ]
    return sorted(found, key=lambda one: one.line)


def _printed(unit: Unit) -> Protected:
    chunk, target, has_lines = unit.chunk, unit.target, unit.options.has_line_map
    template = None
    lines: list[int] = []
    if unit.marks is not None:
        template, lines = print_marked(chunk, target, unit.marks.texts, unit.random("places"), has_lines=has_lines)
        text = _copy(template, second=False)
    elif has_lines:
        text, lines = print_with_lines(chunk, target)
    else:
        text = print_chunk(chunk, target)
    known = [max(line, s.NO_LINE) for line in lines] if has_lines else []
    lock = unit.run.lock if unit.run is not None and unit.run.is_used else None
    return Protected(text, unit.warnings, target, LineMap(known), template, lock)


def _declare_run_words(unit: Unit) -> None:
    """Before everything else, where what the loader calls the build with is at hand whatever has become of the script."""
    if unit.run is not None and unit.run.is_used:
        source = unit.run.source(unit.random("check of the run key"))
        unit.chunk.body.body[:0] = parse_written(source).body.body
        unit.resolve_anew()


def _copy(template: Template, *, second: bool) -> str:
    """The text with the same spelling of every place."""
    return Copier(template).text([second] * len(template.places)).decode("ascii")


def _accepted(
    source: bytes, options: Options, keys: Collection[str], observer: Observer | None
) -> tuple[s.Chunk, tuple[Resolution, Expansion, set[s.Function]]] | Rejected:
    """The tree of a script that nothing is said against, and what preparing it gave."""
    try:
        with observed(observer, "parse"):
            chunk = parse(source)
    except LuauSyntaxError as problem:
        return Rejected(problem.diagnostics)
    with observed(observer, "check"):
        faults = check_parsed(chunk, source)
    if faults:
        return Rejected(faults)
    if observer is not None:
        observer.result("check", census(chunk), None)
    with observed(observer, "prepare"):
        prepared = _prepare(chunk, options, keys)
    return prepared if isinstance(prepared, Rejected) else (chunk, prepared)


def _warnings(chunk: s.Chunk, source: bytes, options: Options, expansion: Expansion) -> list[str]:
    hidden = {guard.function for guard in expansion.guards}
    return [*hash_warnings(chunk, options.target), *secret_warnings(chunk, source, hidden), *expansion.warnings]


def _faults_of_output(output: Protected, keys: Collection[str]) -> list[Diagnostic]:
    """What a compiler would refuse in our own text, after the passes of those keys."""
    try:
        chunk = parse(output.text)
    except LuauSyntaxError as problem:
        return problem.diagnostics
    faults = check_parsed(chunk, output.text)
    # The plainest passes take nothing past a limit of Lua 5.1.
    if not faults and output.target is Target.LUA51 and not PROFILES[PLAINEST_PROFILE].issuperset(keys):
        faults = plain_lua_faults(chunk, resolve(chunk))
    return faults


def _prepare(
    chunk: s.Chunk, options: Options, keys: Collection[str]
) -> tuple[Resolution, Expansion, set[s.Function]] | Rejected:
    """Macros and runtime variables; the names that are left, what the macros ask of the passes, and the shared functions."""
    resolution = resolve(chunk)
    known_true = _known_true(chunk, resolution, options)
    if known_true:
        remove_dead_branches(chunk, known_true)
        resolution = resolve(chunk)
    diagnostics = constructs_without_counterpart(chunk) if options.target is Target.LUA51 else []
    if options.client_chunk:
        diagnostics += forged_variables(resolution)
        diagnostics += addresses_in_calls(chunk, resolution)
        diagnostics += functions_without_room(resolution, options.target or Target.LUAU)
    hides_strings = not PROFILES[options.profile].isdisjoint({encrypt_strings.KEY, keyed_constants.KEY})
    has_effect = options.keeps_macros or hides_strings
    without_effect = [] if has_effect else macro_lines(resolution, STRING_MACROS)
    if options.keeps_macros:
        without_effect += macro_lines(resolution, {VARIANT})
    has_guards = options.profile != PLAINEST_PROFILE and not options.keeps_macros
    if not has_guards:
        without_effect = sorted([*without_effect, *macro_lines(resolution, {GUARD})])
    expansion = expand_macros(
        chunk,
        resolution,
        keeps_calls=options.keeps_macros,
        has_guards=has_guards,
        has_choices=options.has_marks,
    )
    where = "another engine" if options.keeps_macros else f"the profile '{options.profile}'"
    expansion.warnings[:0] = [f"line {line}: {name} has no effect with {where}" for line, name in without_effect]
    expansion.warnings += guard_warnings(chunk, resolution, expansion.guards)
    diagnostics += expansion.diagnostics
    if MACROS & resolution.globals.keys():
        resolution = resolve(chunk)
    # Before what takes parts of the script, or all of it, into functions.
    shared = shared_functions(chunk, resolution)
    if has_guards and not diagnostics:
        diagnostics += _prepare_guards(chunk, resolution, options, expansion)
    if diagnostics:
        return Rejected(sorted(diagnostics, key=lambda diagnostic: diagnostic.line))
    if expansion.guards:
        resolution = resolve(chunk)
    if options.client_chunk and connect_runtime(chunk, resolution):
        resolution = resolve(chunk)
    if options.has_marks:
        resolution = _with_turns(chunk, resolution, expansion, keys)
    return resolution, expansion, shared


def _with_turns(chunk: s.Chunk, resolution: Resolution, expansion: Expansion, keys: Collection[str]) -> Resolution:
    """The names, where comparisons have become choices."""
    sealed = expansion.untouched | {guard.function for guard in expansion.guards}
    # As text either side costs the same; the machine goes another way.
    costly = hot_functions(chunk, resolution, sealed) if virtualize.KEY in keys else None
    before = expansion.choices
    expansion.choices = let_comparisons_turn(
        chunk, resolution, before, sealed=sealed, costly=costly, native=expansion.native
    )
    return resolve(chunk) if expansion.choices > before else resolution


def _prepare_guards(chunk: s.Chunk, resolution: Resolution, options: Options, expansion: Expansion) -> list[Diagnostic]:
    """Finds the guards that nobody asked for, and says what is wrong with the others. Names are to be resolved anew if there are any."""
    guards, faults = expansion.guards, []
    if guards:
        faults = faults_of_guards(guards, resolution, options.target or most_portable_target(chunk, resolution))
    if options.client_chunk and not faults:
        # The loader sees to it that there is something to compile with.
        untouched = expansion.untouched | {guard.function for guard in guards}
        guards += guard_branches(chunk, resolution, options.target or Target.LUA51, untouched, len(guards) + 1)
    give_compiler(guards, COMPILER if options.client_chunk else None)
    return faults


def _known_true(chunk: s.Chunk, resolution: Resolution, options: Options) -> set[str]:
    known = {ALWAYS_TRUE} if ALWAYS_TRUE in resolution.globals and is_true_in_builds(chunk, ALWAYS_TRUE) else set()
    if options.client_chunk and EXISTS in resolution.globals:
        known.add(EXISTS)
    return known
