"""An error of a build leads to the line of the source that the source itself would have named, on every interpreter."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from moonlatch.obfuscator.line_map import LineMap
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.pipeline import protect
from support.generated.faults import Faults, faulty_script
from support.luau import LuauResult, run_lua_batch, run_luau_batch
from support.protecting import protected
from support.rounds import rounds

ERRORS_PER_SCRIPT = 20
SCRIPTS = [faulty_script(seed, ERRORS_PER_SCRIPT) for seed in range(rounds(1, 10))]
HOSTS = ["luau", "lua5.1", "luajit21"]
LEAST_RIGHT = 0.95
PLACE = re.compile(r"(\d+)\tfalse\tscript:(\d+):")


def run(host: str, sources: list[str]) -> list[LuauResult]:
    return run_luau_batch(sources) if host == "luau" else run_lua_batch(host, sources)


def lines_told(result: LuauResult) -> dict[int, int]:
    """The line that each error's message names, by the error's number."""
    assert not (result.error or result.compile_error or result.crashed), result
    return {int(number): int(line) for number, line in PLACE.findall(result.output)}


@pytest.fixture(scope="module")
def expected() -> dict[str, list[dict[int, int]]]:
    sources = [script.source for script in SCRIPTS]
    told = {host: [lines_told(one) for one in run(host, sources)] for host in HOSTS}
    for lines in told.values():
        assert sum(map(len, lines)) >= 0.9 * ERRORS_PER_SCRIPT * len(SCRIPTS)
    return told


@pytest.mark.parametrize("profile", PROFILES)
def test_an_error_leads_to_its_line_and_function_in_the_source(
    profile: str, expected: dict[str, list[dict[int, int]]]
) -> None:
    builds = [protect(script.source.encode(), Options(profile), seed) for seed, script in enumerate(SCRIPTS)]
    texts = [build.text for build in builds if isinstance(build, Protected)]
    maps = [LineMap.from_bytes(build.line_map.to_bytes()) for build in builds if isinstance(build, Protected)]
    for host in HOSTS:
        wrong: Counter[str] = Counter()
        total = 0
        results = run(host, texts)
        for script, before, result, line_map in zip(SCRIPTS, expected[host], results, maps, strict=True):
            after = lines_told(result)
            total += len(before)
            wrong.update(_wrong(script, before, after, line_map))
        assert wrong.total() <= (1 - LEAST_RIGHT) * total, f"{host}: {wrong.total()} of {total}\n" + "\n".join(wrong)


@pytest.mark.parametrize("profile", PROFILES)
def test_an_error_says_what_it_says_of_the_source_but_for_the_line(profile: str) -> None:
    source = SCRIPTS[0].source
    before, after = run_luau_batch([source, protected(source, profile)])
    assert PLACE.sub("", after.output) == PLACE.sub("", before.output)


def _wrong(script: Faults, before: dict[int, int], after: dict[int, int], line_map: LineMap) -> list[str]:
    found = {number: line_map.locate(line) for number, line in after.items()}
    return [
        f"{line} {place} {script.kinds[number - 1]}"
        for number, line in before.items()
        if (place := found.get(number)) is None or (place.line, place.function) != (line, script.functions[number - 1])
    ]
