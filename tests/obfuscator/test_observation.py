"""What an observer of the protector is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.observation import census
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected, Rejected
from moonlatch.obfuscator.passes import REGISTRY
from moonlatch.obfuscator.syntax.parser import parse
from support.protecting import ALL_PROGRAMS

PLAINEST = [one.KEY for one in REGISTRY if one.KEY in PROFILES["minify"]]


class Notes:
    """Writes everything down."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def began_anew(self) -> None:
        self.events.append(("began anew",))

    def began(self, step: str) -> None:
        self.events.append(("began", step))

    def ended(self, step: str) -> None:
        self.events.append(("ended", step))

    def result(self, step: str, counts: Counter[str] | None, text: Callable[[], str] | None) -> None:
        self.events.append(("result", step, counts, None if text is None else text()))


def test_every_step_begins_ends_and_tells_what_there_is_then() -> None:
    notes = Notes()
    outcome = pipeline.protect(b"local long_name: number = 5\nreturn long_name", Options("minify"), 1, notes)
    assert isinstance(outcome, Protected)
    assert [event[:2] for event in notes.events] == [
        ("began anew",),
        *[("began", "parse"), ("ended", "parse")],
        *[("began", "check"), ("ended", "check"), ("result", "check")],
        *[("began", "prepare"), ("ended", "prepare"), ("result", "prepare")],
        *[(event, key) for key in PLAINEST for event in ("began", "ended", "result")],
        *[("began", "print"), ("ended", "print")],
        *[("began", "check again"), ("ended", "check again")],
    ]
    texts = [event[3] for event in notes.events if event[0] == "result"]
    assert texts[-2:] == ["local long_name=5 return long_name", "local a=5 return a"]


def test_a_script_that_is_refused_ends_where_it_was_found_out() -> None:
    notes = Notes()
    assert isinstance(pipeline.protect(b"local x = ", Options("light"), 1, notes), Rejected)
    assert notes.events == [("began anew",), ("began", "parse")]


def test_a_second_attempt_begins_anew() -> None:
    notes = Notes()
    deep = b"do " * 998 + b"print('bottom')" + b" end" * 998
    outcome = pipeline.protect(deep, Options("light"), 1, notes)
    assert isinstance(outcome, Protected)
    starts = [index for index, event in enumerate(notes.events) if event == ("began anew",)]
    passes = [event[1] for event in notes.events[starts[-1] :] if event[0] == "began"]
    assert len(starts) == 2
    assert passes == ["parse", "check", "prepare", *PLAINEST, "print", "check again"]


def test_a_census_counts_what_a_script_says() -> None:
    counts = census(
        parse(b"local a, b = 'x', 1.5\nfunction f(c) return a.n[b](`{c}`, g:m({k = 2})) end\ntype T = number")
    )
    assert counts == {
        "statements": 4,
        "functions": 1,
        "calls": 2,
        "variables": 3,
        "different variable names": 3,
        "names": 5,
        "fields": 3,
        "strings": 2,
        "numbers": 2,
        "type marks": 1,
    }


def test_a_census_takes_every_program_whole() -> None:
    for program in ALL_PROGRAMS:
        counts = census(parse(program.read_bytes()))
        assert counts["statements"] > 0, program
