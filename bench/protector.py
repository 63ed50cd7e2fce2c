"""Measures profiles of the protector: a script of 460 KB (time, memory, size), and how much slower programs run in real Luau.

The original runs beside the protected ones in the same interpreter process, so that the ratios hold on any machine.
Exit status 1 when a goal is missed.
usage: .venv/bin/python bench/protector.py [--profile NAME]... [--only PROGRAM]... [--repeats N]
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from figures import Figure, print_table

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.run_lock import KEY_BYTES
from moonlatch.obfuscator.transform.run_words import with_run_key
from support.luau import LuauResult, run_luau_batch
from support.protecting import LUA51_PROGRAMS, protected

CLOCK = Path(__file__).parent / "processor_clock.mjs"
SCHEDULED = Path("/proc/thread-self/schedstat")
PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.lua"))
SCRIPT_BYTES = 460_000
GOALS = {"minify": (1.2, 1.6), "light": (1.3, 2.0), "standard": (2.0, 3.0), "maximum": (8.0, 30.0)}
"""The most that a profile may cost: in geometric mean over the programs, and on any of them."""
BUILD_GOALS = {"minify": (3, 0.3, 1.2), "light": (3, 0.3, 1.2), "standard": (5, 0.5, 2.5), "maximum": (8, 0.5, 5)}
"""The most that a build of the long script may take: seconds of a core, GB of memory, and its size by that of the source."""
LINE_MAP_GOAL = 1.05
RUN_KEY_GOAL = 1.05
LOCKED = ("standard", "maximum")
REPEATS = 3
# These hold lists made to touch a limit, which no script looks like.
UNTYPICAL = {"long_lists.lua", "many_locals.lua"}


def long_script() -> str:
    blocks = [
        f"(function(...)\n{path.read_text('latin-1')}\nend)(...);\n"
        for path in LUA51_PROGRAMS
        if path.name not in UNTYPICAL
    ]
    text = "".join(blocks)
    return text * math.ceil(SCRIPT_BYTES / len(text))


def built(profile: str) -> tuple[float, float, float]:
    """Seconds of one core, peak memory of the whole process in GB, and output per input byte, for the long script."""
    source = long_script()
    started = time.process_time()
    text = protected(source, profile)
    took = time.process_time() - started
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / 1024
    return took, peak_gb, len(text) / len(source)


def measure_builds(profiles: Sequence[str]) -> list[Figure]:
    """Seconds are those of this machine: no baseline does what a build does."""
    measured = f"{SCRIPT_BYTES / 1000:.0f} KB"
    figures = []
    for profile in profiles:
        # A process of its own for each, or the memory of the hungriest would count for all after it.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, peak_gb, size = pool.apply(built, (profile,))
        print(f"{profile:8} {measured}: {seconds:.2f} s, {peak_gb:.2f} GB, size x{size:.2f}")
        most_seconds, most_gb, most_size = BUILD_GOALS[profile]
        figures += [
            Figure(f"{profile}, seconds of a build", measured, seconds, most_seconds, " s"),
            Figure(f"{profile}, memory of a build", measured, peak_gb, most_gb, " GB"),
            Figure(f"{profile}, size of a build", measured, size, most_size),
        ]
    return figures


def timed(program: str) -> str:
    """The program, then a line with the seconds that it took from its first instruction on."""
    return f"local clock = os.clock local started = clock();(function(...) {program}\nend)() print(clock() - started)"


def seconds(sources: list[str], repeats: int) -> list[float]:
    """The best of several runs of each, taken in turn in one process; seconds of its processor where the system tells them."""
    if SCHEDULED.exists():
        os.environ["NODE_OPTIONS"] = f"--import={CLOCK.as_uri()}"
    runs = run_luau_batch(sources * repeats, timeout_seconds=300, is_optimised=True)
    original = _printed(runs[0])[:-1]
    for run in runs:
        if _printed(run)[:-1] != original:
            raise SystemExit(f"a build does something else: {run}")
    values = [float(_printed(run)[-1]) for run in runs]
    return [min(values[index :: len(sources)]) for index in range(len(sources))]


def _printed(result: LuauResult) -> list[str]:
    return result.output.splitlines()


def measure_slow_down(profiles: Sequence[str], programs: Sequence[Path], repeats: int) -> list[Figure]:
    ratios: dict[str, list[float]] = {profile: [] for profile in profiles}
    for path in programs:
        source = path.read_text("latin-1")
        texts = [source, *(protected(source, profile) for profile in profiles)]
        original, *changed = seconds([timed(text) for text in texts], repeats)
        for profile, value in zip(profiles, changed, strict=True):
            ratios[profile].append(value / original)
        columns = "".join(f"  {profile} x{ratios[profile][-1]:.2f}" for profile in profiles)
        print(f"  {path.stem:18} {original:.3f} s{columns}", flush=True)
    figures = []
    for profile in profiles:
        values, (mean_goal, worst_goal) = ratios[profile], GOALS[profile]
        mean = math.exp(sum(map(math.log, values)) / len(values))
        worst = max(values)
        slowest = programs[values.index(worst)].stem
        figures.append(Figure(f"{profile}, geometric mean", f"{len(values)} programs", mean, mean_goal))
        figures.append(Figure(f"{profile}, worst", slowest, worst, worst_goal))
    return figures


def measure_line_map(programs: Sequence[Path], repeats: int) -> Figure:
    """What it costs `maximum` to have an operation for each line of the source that can raise something."""
    ratios: list[float] = []
    for path in programs:
        source = path.read_text("latin-1")
        with_map, without = (protected(source, "maximum", has_line_map=has) for has in (True, False))
        _, one, other = seconds([timed(text) for text in (source, with_map, without)], repeats)
        ratios.append(one / other)
        print(f"  {path.stem:18} maximum {other:.3f} s  with a line map x{ratios[-1]:.3f}", flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return Figure("maximum with a line map, beside itself without", f"{len(ratios)} programs", mean, LINE_MAP_GOAL)


def opened(source: str, profile: str) -> str:
    """A build with a run key in it, if it has anything that needs one."""
    outcome = pipeline.protect(source.encode("latin-1"), Options(profile, needs_run_key=True), 1)
    assert isinstance(outcome, Protected)
    if outcome.lock is None:
        return outcome.text
    return with_run_key(outcome.text.encode("ascii"), outcome.lock.key(bytes(range(KEY_BYTES)))).decode("ascii")


def measure_run_key(profile: str, programs: Sequence[Path], repeats: int) -> Figure:
    """What it costs a profile that its builds take the numbers of their streams from a run key."""
    ratios: list[float] = []
    for path in programs:
        source = path.read_text("latin-1")
        texts = (source, opened(source, profile), protected(source, profile))
        _, one, other = seconds([timed(text) for text in texts], repeats)
        ratios.append(one / other)
        print(f"  {path.stem:18} {profile} {other:.3f} s  with a run key x{ratios[-1]:.3f}", flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return Figure(f"{profile} with a run key, beside itself without", f"{len(ratios)} programs", mean, RUN_KEY_GOAL)


def measure() -> list[Figure]:
    """`maximum` with line maps beside itself without, in turn in one process; a third of the programs, for they take minutes."""
    return [measure_line_map(PROGRAMS[::3], REPEATS)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="append", choices=list(PROFILES), help="all when not given")
    parser.add_argument("--only", action="append", choices=[path.stem for path in PROGRAMS], help="programs to run")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each text, of which the fastest counts")
    chosen = parser.parse_args()
    profiles = chosen.profile or list(PROFILES)
    figures = [] if chosen.only else measure_builds(profiles)
    programs = [path for path in PROGRAMS if path.stem in (chosen.only or [path.stem])]
    figures += measure_slow_down(profiles, programs, chosen.repeats)
    if "maximum" in profiles:
        figures.append(measure_line_map(programs, chosen.repeats))
    figures += [measure_run_key(profile, programs, chosen.repeats) for profile in LOCKED if profile in profiles]
    return print_table(figures)


if __name__ == "__main__":
    sys.exit(main())
