"""What stands before the first token, and files that are not scripts, as `check` and every way into the protector take them."""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import replace

import pytest

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.analysis.check import check
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected, Rejected
from moonlatch.obfuscator.syntax.diagnostics import format_diagnostic
from support.luau import run_luau

MARK = b"\xef\xbb\xbf"
SHEBANG = b"#!/usr/bin/env lua\n"


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("main.lua"), "print(1)")
    return file.getvalue()


@pytest.mark.parametrize("before", [MARK, SHEBANG, MARK + SHEBANG, MARK + MARK, b"#!/usr/bin/lua\r\n", b"\r\n"])
@pytest.mark.parametrize("profile", PROFILES)
def test_marks_of_editors_and_shells_are_left_out(before: bytes, profile: str) -> None:
    source = before + b'print("hi")\n'
    assert check(source) == []
    outcome = pipeline.protect(source, Options(profile), 1)
    assert isinstance(outcome, Protected)
    assert run_luau(outcome.text).output == "hi"
    plain = pipeline.protect(b'print("hi")\n', Options(profile), 1)
    assert isinstance(plain, Protected)
    assert plain == replace(outcome, line_map=plain.line_map)
    place = outcome.line_map.locate(outcome.line_map.lines.index(max(outcome.line_map.lines)) + 1)
    assert place is not None
    assert place.line == 1 + before.count(b"\n")


@pytest.mark.parametrize("source", [MARK, b"#!/usr/bin/lua", MARK + b"#!/usr/bin/lua"])
def test_nothing_behind_a_mark_is_an_empty_script(source: bytes) -> None:
    assert check(source) == []


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (MARK + b"x = = 1", (1, 5)),
        (MARK + b"\nx = = 1", (2, 5)),
        (SHEBANG + b"x = = 1", (2, 5)),
        (MARK + SHEBANG + b"\nx = = 1", (3, 5)),
        (b"local a = 1\r\nx = = 1\r\n", (2, 5)),
        (MARK + b"\tx = 1 \0", (1, 8)),
        (SHEBANG + b"local " + b", ".join(b"v%d" % number for number in range(201)) + b" = f()", (2, 1_097)),
    ],
)
def test_faults_are_told_where_an_editor_shows_them(source: bytes, place: tuple[int, int]) -> None:
    (fault,) = check(source)
    assert (fault.line, fault.column) == place
    outcome = pipeline.protect(source, Options("light"), 1)
    assert isinstance(outcome, Rejected)
    assert [(one.line, one.column) for one in outcome.diagnostics] == [place]


def test_an_excerpt_behind_a_mark_points_at_the_fault() -> None:
    source = MARK + b"x = = 1"
    (fault,) = check(source)
    assert format_diagnostic(source, fault).split("\n")[1:] == ["1 | x = = 1", "        ^"]


def test_a_mark_in_the_middle_is_refused_as_luau_refuses_it() -> None:
    (fault,) = check(b"x = 1\n" + MARK + b"y = 2\n")
    assert (fault.line, fault.column) == (2, 1)
    assert fault.message == "Expected identifier when parsing expression, got Unicode character U+feff"
    assert fault.hint == "A byte order mark stands in the middle of the script, where files were joined: delete it."


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("print(1)\n".encode("utf-16"), "The file is UTF-16, and scripts are UTF-8"),
        (b"\xfe\xff" + "print(1)\n".encode("utf-16-be"), "The file is UTF-16, and scripts are UTF-8"),
        ("print(1)\n".encode("utf-16-le"), "The file is UTF-16, and scripts are UTF-8"),
        ("local x = 1\n".encode("utf-16-be"), "The file is UTF-16, and scripts are UTF-8"),
        (
            "print(1)\n".encode("utf-16").decode("utf-8", "replace").encode(),
            "The file is UTF-16, and scripts are UTF-8",
        ),
        ("print(1)\n".encode("utf-32"), "The file is UTF-32, and scripts are UTF-8"),
        (b"x\0\0\0\0y\0\x80", "The file is not text: NUL bytes"),
        (b"\x1bLuaQ\0\x01\x04", "The file is bytecode of Lua, which is compiled already"),
        (b"\x1bLuaT\0\x19\x93\r\n", "The file is bytecode of Lua, which is compiled already"),
        (b"\x1bLJ\x02\x02", "The file is bytecode of LuaJIT, which is compiled already"),
        (b"\x06\x03\x01\x05print", "The file is bytecode of Luau, which is compiled already"),
        (gzip.compress(b"print(1)", mtime=0), "The file is a gzip archive: unpack it"),
        (
            gzip.compress(b"print(1)", mtime=0).decode("utf-8", "replace").encode(),
            "The file is a gzip archive: unpack it",
        ),
        (zipped(), "The file is a ZIP archive: unpack it"),
        (b"<!DOCTYPE html>\n<html>", "The file is a web page (HTML or XML)"),
        (MARK + b"\n  <html lang='en'>", "The file is a web page (HTML or XML)"),
        (b"<?xml version='1.0'?>", "The file is a web page (HTML or XML)"),
        (b"<roblox xmlns:xmime='x' version='4'>", "The file is a Roblox model or place"),
        (b"<roblox!\x89\xff\r\n\x1a\n\0\0", "The file is a Roblox model or place"),
        (b"{\\rtf1\\ansi print(1)}", "The file is a document (RTF)"),
        (b"%PDF-1.7\n", "The file is a document (PDF)"),
    ],
)
def test_a_file_that_is_not_a_script_is_named(source: bytes, hint: str) -> None:
    (fault,) = check(source)
    assert fault.hint.startswith(hint)
    outcome = pipeline.protect(source, Options("light"), 1)
    assert isinstance(outcome, Rejected)
    assert outcome.diagnostics == [fault]


@pytest.mark.parametrize(
    "source", [b"-- <html>\nx = = 1", b"x = '\0'", b"local pk = = 'PK'", b"--[[ \x1bLua ]] x = = 1"]
)
def test_a_script_is_taken_for_nothing_else(source: bytes) -> None:
    assert [fault.hint for fault in check(source)] == [""]
