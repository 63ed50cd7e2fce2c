"""The map from a build's lines to the source's: as bytes, and what it finds."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.analysis.source_files import next_line_is, source_files
from moonlatch.obfuscator.line_map import (
    LONGEST_NAME,
    MOST_BYTES,
    MOST_FUNCTIONS,
    MOST_LINES,
    FileLines,
    FunctionLines,
    LineMap,
    LineMapError,
    Place,
)
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.pipeline import protect
from support.protecting import ALL_PROGRAMS

SOURCE = """local function outer(list)
    for _, value in pairs(list) do
        local inner = function()
            error("x")
        end
        inner()
    end
end

local handlers = {
    click = function(event)
        outer(
            event.list
        )
    end,
}
function handlers.deep.er:method()
    return handlers.click(function()
        return self.nothing.there
    end)
end
handlers.deep.er:method()
"""
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LINES = st.integers(1, 2**20)


@st.composite
def maps(draw: st.DrawFn) -> LineMap:
    lines = draw(st.lists(st.integers(0, 2**20)))
    spans = sorted(draw(st.lists(st.tuples(LINES, st.integers(0, 50), NAMES))), key=lambda one: (one[0], -one[1]))
    starts = sorted(draw(st.sets(LINES)))
    return LineMap(
        tuple(lines),
        tuple(FunctionLines(first, first + size, name) for first, size, name in spans),
        tuple(FileLines(first, draw(NAMES), draw(LINES)) for first in starts),
    )


def map_of(source: str, profile: str = "minify") -> LineMap:
    outcome = protect(source.encode(), Options(profile), 1)
    assert isinstance(outcome, Protected)
    return outcome.line_map


@given(maps())
def test_a_map_comes_back_from_its_bytes_as_it_was(line_map: LineMap) -> None:
    assert LineMap.from_bytes(line_map.to_bytes()) == line_map


@given(st.binary(max_size=300))
def test_other_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    for one in (data, b"\1" + data, b"\1" + zlib.compress(data)):
        try:
            LineMap.from_bytes(one)
        except LineMapError:
            pass


@given(maps(), st.randoms(use_true_random=False))
def test_a_changed_or_cut_map_is_refused_or_read_as_another(line_map: LineMap, generator: random.Random) -> None:
    whole = line_map.to_bytes()
    body = bytearray(zlib.decompress(whole[1:]))
    body[generator.randrange(len(body))] ^= 1 << generator.randrange(8)
    for one in (whole[: generator.randrange(len(whole))], whole + b"x", whole[:1] + zlib.compress(bytes(body))):
        try:
            LineMap.from_bytes(one).locate(1)
        except LineMapError:
            pass


def test_bytes_that_would_unpack_to_more_than_the_bound_are_refused_before_they_do() -> None:
    with pytest.raises(LineMapError):
        LineMap.from_bytes(b"\1" + zlib.compress(bytes(MOST_BYTES + 1)))


@pytest.mark.parametrize("number", [MOST_LINES + 1, 2**35])
def test_more_lines_than_there_may_be_are_refused(number: int) -> None:
    varint = bytearray()
    while number > 127:
        varint.append(number & 127 | 128)
        number >>= 7
    with pytest.raises(LineMapError):
        LineMap.from_bytes(b"\1" + zlib.compress(bytes([*varint, number])))


def test_what_is_beyond_the_bounds_is_left_out_of_the_bytes() -> None:
    functions = [FunctionLines(line, line, "") for line in range(1, MOST_FUNCTIONS + 3)]
    long = LineMap([1] * (MOST_LINES + 2), functions, [FileLines(1, "ü" * LONGEST_NAME, 1)])
    read = LineMap.from_bytes(long.to_bytes())
    assert (len(read.lines), len(read.functions)) == (MOST_LINES, MOST_FUNCTIONS)
    assert read.files[0].file == "ü" * (LONGEST_NAME // 2)
    assert read.locate(MOST_LINES + 1) is None


@given(maps(), st.integers(-5, 2**21))
def test_a_line_is_found_or_not_and_never_fails(line_map: LineMap, line: int) -> None:
    place = line_map.locate(line)
    assert (place is None) == (not (1 <= line <= len(line_map.lines)) or not line_map.lines[line - 1])


def test_an_empty_map_knows_nothing() -> None:
    assert not LineMap()
    assert LineMap().locate(1) is None
    assert LineMap.from_bytes(LineMap().to_bytes()) == LineMap()


def test_functions_are_called_what_the_source_calls_them() -> None:
    line_map = map_of(SOURCE)
    places = {place.line: place.function for line in range(1, 40) if (place := line_map.locate(line))}
    assert places == {
        1: None,
        2: "outer",
        3: "outer",
        4: "inner",
        6: "outer",
        10: None,
        11: None,
        12: "click",
        13: "click",
        17: None,
        18: "handlers.deep.er:method",
        19: None,
        22: None,
    }


def test_lines_lead_to_the_files_that_a_source_was_made_of() -> None:
    files = [FileLines(1, "main.luau", 1), FileLines(3, "shop/init.luau", 2), FileLines(10, "main.luau", 7)]
    line_map = LineMap([1, 3, 5, 10, 0], files=files)
    assert [line_map.locate(line) for line in range(1, 6)] == [
        Place("main.luau", 1, None),
        Place("shop/init.luau", 2, None),
        Place("shop/init.luau", 4, None),
        Place("main.luau", 7, None),
        None,
    ]


@given(
    st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=20), st.integers(0, 10**6))), st.integers(1, 3)
)
def test_comments_of_a_bundler_name_the_files_that_a_source_was_made_of(
    files: list[tuple[str, int]], between: int
) -> None:
    source = "".join("x()\n" * (between - 1) + "x() " + next_line_is(file, line) for file, line in files)
    found = source_files(source.encode())
    assert [(one.first, one.file, one.line) for one in found] == [
        (1 + between * place, file, line) for place, (file, line) in enumerate(files, 1)
    ]


@pytest.mark.parametrize("text", ['--#line x "a"', "--#line 1 a", '--#line 1 "a" b', '--#line 1 "a', '--#line -1 "a"'])
def test_other_comments_name_no_file(text: str) -> None:
    assert source_files(f"x() {text}\ny()".encode()) == []


@pytest.mark.parametrize("profile", ["minify", "light", "standard"])
def test_a_map_takes_a_few_bytes_a_line_and_names_lines_of_the_source_alone(profile: str) -> None:
    for program in ALL_PROGRAMS:
        source = program.read_text("latin-1")
        line_map = map_of(source, profile)
        assert len(line_map.to_bytes()) < 100 + 3 * len(line_map.lines) + 12 * len(line_map.functions)
        assert set(line_map.lines) <= set(range(source.count("\n") + 2))


@pytest.mark.parametrize("profile", ["minify", "light", "standard", "maximum"])
def test_a_source_of_one_line_has_a_build_of_one_line(profile: str) -> None:
    for program in ALL_PROGRAMS[:8]:
        outcome = protect(program.read_bytes().replace(b"\n", b" "), Options(profile), 1)
        if isinstance(outcome, Protected):
            assert "\n" not in outcome.text


def test_a_script_too_large_to_be_mapped_is_protected_without_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    source = b"print(1)\nprint(2)\n"
    monkeypatch.setattr(pipeline, "MOST_MAPPED_BYTES", len(source) - 1)
    for profile in PROFILES:
        outcome = protect(source, Options(profile=profile), 1)
        assert isinstance(outcome, Protected)
        is_mapped = profile != "maximum"
        assert (bool(outcome.line_map), pipeline.UNMAPPED in outcome.warnings) == (is_mapped, not is_mapped), profile
        unasked = protect(source, Options(profile=profile, has_line_map=False), 1)
        assert isinstance(unasked, Protected)
        assert unasked.warnings == []
