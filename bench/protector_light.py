"""Measures `minify` and `light` on a script of about 460 KB: time, size, and how much slower programs run in real Luau.

The original runs beside the protected one in the same interpreter process, so that the ratios hold on any machine.
usage: .venv/bin/python bench/protector_light.py
"""

from __future__ import annotations

import math
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.luau import run_luau_batch
from support.protecting import ALL_PROGRAMS, LUA51_PROGRAMS, protected

SCRIPT_BYTES = 460_000
# These hold lists made to touch a limit, which no script looks like.
UNTYPICAL = {"long_lists.lua", "many_locals.lua"}
TRIALS = 12
SECONDS_PER_TRIAL = 0.02
REPEATS = 3
# Programs that compute; the others mostly print.
COMPUTING = {
    "base64.lua", "buffers_and_bits.luau", "closures.lua", "compound_assignment.luau", "deep_recursion.lua", "hot_loops.lua", "json.lua",
    "lexer_program.lua", "module_style.luau", "name_clashes.lua", "object_library.lua", "promise.lua", "queue_and_grid.lua", "sha256.lua",
    "signal.lua", "sorting.lua", "state_machine.lua", "strings.lua",
}  # fmt: skip


def long_script() -> str:
    blocks = [f"do\n{path.read_text('latin-1')}\nend\n" for path in LUA51_PROGRAMS if path.name not in UNTYPICAL]
    text = "".join(blocks)
    return text * math.ceil(SCRIPT_BYTES / len(text))


def timed(program: str, rounds: int) -> str:
    """The program as a function called again and again with its `print` silenced; prints the seconds of the best trial."""
    return (
        f"local clock, best = os.clock, 1e9 local function body(print, ...)\n{program}\nend\n"
        f"for _ = 1, {TRIALS} do local started = clock() for _ = 1, {rounds} do body(function() end) end "
        "best = math.min(best, clock() - started) end print(best)"
    )


def seconds(sources: list[str]) -> list[float]:
    """The best of several runs of each, taken in turn in one process, the first only to warm up."""
    runs = run_luau_batch(sources * (REPEATS + 1), timeout_seconds=60)
    values = [float(result.output) for result in runs]
    return [min(values[index + len(sources) :: len(sources)]) for index in range(len(sources))]


def measure_build(profile: str, source: str) -> None:
    started = time.perf_counter()
    text = protected(source, profile)
    took = time.perf_counter() - started
    print(f"{profile:8} {len(source) / 1000:.0f} KB: {took:.2f} s, size x{len(text) / len(source):.2f}")


def measure_slow_down() -> None:
    profiles = ["minify", "light"]
    ratios: dict[str, list[float]] = {profile: [] for profile in profiles}
    for path in [path for path in ALL_PROGRAMS if path.name in COMPUTING]:
        program = path.read_text("latin-1")
        (once,) = seconds([timed(program, 1)])
        source = timed(program, max(1, round(SECONDS_PER_TRIAL / max(once, 1e-5))))
        original, *changed = seconds([source, *(protected(source, profile) for profile in profiles)])
        for profile, value in zip(profiles, changed, strict=True):
            ratios[profile].append(value / original)
        print(f"  {path.name:26}" + "".join(f"{profile} x{ratios[profile][-1]:.2f}  " for profile in profiles))
    for profile in profiles:
        mean = math.exp(sum(map(math.log, ratios[profile])) / len(ratios[profile]))
        print(f"{profile:8} slow-down: geometric mean x{mean:.2f}, worst x{max(ratios[profile]):.2f}")


def main() -> None:
    source = long_script()
    for profile in ("minify", "light"):
        measure_build(profile, source)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    measure_slow_down()


main()
