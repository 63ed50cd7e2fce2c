"""How fast the front end is: megabytes of realistic source per second of processor time, against the bare regular expression.

usage: python bench/parser.py [BYTES]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from scripts import realistic_script

from moonlatch.obfuscator.analysis.check import check
from moonlatch.obfuscator.syntax.lexer import TOKEN, Tokens
from moonlatch.obfuscator.syntax.parser import parse

ROUNDS = 7
DEFAULT_BYTES = 460_000
WANTED_MEGABYTES_PER_SECOND = 2.0


def seconds(task: Callable[[], object]) -> float:
    """The least processor time of several runs: other programs can only add to it."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        task()
        best = min(best, time.process_time() - started)
    return best


def main() -> None:
    source = realistic_script(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_BYTES)
    data = source.encode()
    baseline = seconds(lambda: TOKEN.findall(source))
    tasks = {
        "regular expression alone (baseline)": baseline,
        "tokens with kinds and lines": seconds(lambda: Tokens(source)),
        "parse": seconds(lambda: parse(data)),
        "check (parse and compiler limits)": seconds(lambda: check(data)),
    }
    print(f"{len(data):,} bytes, {len(Tokens(source).texts):,} tokens")
    for name, spent in tasks.items():
        print(f"{name:38} {len(data) / spent / 1e6:6.2f} MB/s   {spent / baseline:5.1f} x baseline")
    reached = len(data) / tasks["parse"] / 1e6
    verdict = "reached" if reached >= WANTED_MEGABYTES_PER_SECOND else "NOT reached"
    print(f"wanted: {WANTED_MEGABYTES_PER_SECOND} MB/s for parse, {verdict}")


main()
