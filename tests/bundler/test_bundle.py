"""A folder of modules as one script: what it does under real interpreters, which file a name means, what is refused."""

from __future__ import annotations

import pytest

from moonlatch.bundler.bundle import Bundle, bundle
from moonlatch.bundler.faults import BundleError
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.pipeline import protect
from support.luau import LuauResult, run_lua, run_luau

Files = dict[str, str | bytes]


def bundled(files: Files, entry: str | None = None) -> Bundle:
    data = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return bundle(data.get, entry)


def printed(ran: LuauResult) -> str:
    """What a script printed; whether its last line ends depends on who ran it."""
    assert ran.error is None, ran
    return ran.output.removesuffix("\n")


def refused(files: Files, entry: str | None = None) -> BundleError:
    with pytest.raises(BundleError) as error:
        bundled(files, entry)
    return error.value


PLAIN: Files = {
    "main.lua": "#!/usr/bin/env lua\nlocal a = require('./lib/a')\nlocal b = require[[\nlib/b]]\n"
    "print(a.name, b, require('./lib/a') == a, ...)",
    "lib/a.lua": b"\xef\xbb\xbfprint('a runs once')\nreturn {name = 'gr\xc3\xbc\xc3\x9fe'} -- the last line has no end",
    "lib/b.lua": "local c = require('lib.c')\nreturn c .. (...)",
    "lib/c/init.lua": "local value = 'c'\nreturn value .. require('@self/d')()",
    "lib/c/d.lua": "return function() return 'd' end;",
}
LUAU: Files = {
    "main.luau": '--!strict\nlocal a = require("./a")\ntype T = a.T\nlocal x: T = a.new(3)\nprint(x.n, require("@Deep/z"))',
    "a.luau": "export type T = { n: number }\nexport type function same(t) return t end\n"
    "return { new = function(n: number): T return { n = n + require('./b') } end }",
    "b.luau": "local n = 0\nn += 4\nreturn n",
    ".luaurc": b'\xef\xbb\xbf{ // where things are\n "aliases": { "deep": "./far//away", /* , */ }, }',
    "far/away/z.luau": "return `z{require('./y')}`",
    "far/away/y/init.luau": "return require('./sibling')",
    "far/away/sibling.luau": "return 1",
}


@pytest.mark.parametrize("interpreter", ["lua51", "lua54", "luajit21"])
def test_modules_run_once_in_the_order_they_are_asked_for_under_lua(interpreter: str) -> None:
    ran = run_lua(interpreter, bundled(PLAIN).text.decode())
    assert ran.output.splitlines() == ["a runs once", "grüße\tcdlib/b.lua\ttrue"], ran


def test_modules_run_once_in_the_order_they_are_asked_for_under_luau() -> None:
    ran = printed(run_luau(bundled(PLAIN).text.decode()))
    assert ran.encode("latin-1").decode().splitlines()[1] == "grüße\tcdlib/b.lua\ttrue"


def test_luaus_forms_types_and_aliases_are_understood() -> None:
    script = bundled(LUAU)
    assert printed(run_luau(script.text.decode())) == "7\tz1"
    assert script.warnings == []
    assert set(script.files) == {name for name in LUAU if name.endswith("luau")}


def test_a_module_may_give_nothing_or_false_and_is_run_once_all_the_same() -> None:
    files: Files = {
        "main.lua": "print(require('./a'), require('./a'), require('./b'), require('./b'))",
        "a.lua": "print('a')",
        "b.lua": "print('b') return false",
    }
    assert printed(run_lua("lua51", bundled(files).text.decode())) == "a\nb\ntrue\ttrue\tfalse\tfalse"


def test_names_of_the_script_are_its_own() -> None:
    files: Files = {
        "main.lua": "moonlatch_require = 1 moonlatch_modules = 2 print(require('./a'), moonlatch_require, moonlatch_modules)",
        "a.lua": "local moonlatch_loaded = 5 return moonlatch_loaded",
    }
    assert printed(run_lua("lua51", bundled(files).text.decode())) == "5\t1\t2"


def test_only_the_hosts_own_require_is_replaced() -> None:
    files: Files = {
        "main.lua": "local function f(require) return require('./nowhere') end\n"
        "local t = {require = function(x) return x end}\n"
        "print(f(tostring), t.require('./nowhere'), 'require(\"./nowhere\")') -- require('./nowhere')",
    }
    assert printed(run_lua("lua51", bundled(files).text.decode())) == './nowhere\t./nowhere\trequire("./nowhere")'


def test_a_script_of_one_file_stays_what_it_is() -> None:
    assert bundled({"main.luau": "print(1)\n"}).text == b"print(1)\n"


def test_what_the_host_is_asked_for_is_told_unless_every_host_has_it() -> None:
    script = bundled({"main.lua": "require('ffi')\nrequire('json')\nrequire(script.Parent)\nrequire('a', 2)"})
    assert script.warnings == [
        "main.lua:2: there is no module json in the folder; the host is asked for it",
        "main.lua:3: the module is chosen while it runs, so it is not in the bundle",
        "main.lua:4: the module is chosen while it runs, so it is not in the bundle",
    ]


def test_every_line_is_told_by_its_own_file() -> None:
    script = bundled(PLAIN)
    lines = script.text.decode().split("\n")
    for name, text in PLAIN.items():
        text = text if isinstance(text, str) else text.decode("utf-8-sig")
        for number, line in enumerate(text.split("\n"), 1):
            if "require" not in line and "lib/b]]" not in line and line and not line.startswith("#!"):
                places = {script.place_of(at) for at, there in enumerate(lines, 1) if there == line}
                assert (name, number) in places
    at = 1 + next(number for number, line in enumerate(lines) if line.startswith("local b"))
    said = f"script:{at}: Expected 'end'\nline {at}: too long; Line {at}"
    assert script.in_files(said) == "main.lua:3: Expected 'end'\nmain.lua:3: too long; main.lua:3"


def test_an_error_in_a_module_names_a_line_that_leads_back_to_it() -> None:
    script = bundled({"main.lua": "local x = require('./a')", "a.lua": "local t = nil\n\nreturn t.x"})
    failed = run_lua("lua51", script.text.decode())
    assert failed.error is not None
    line = int(failed.error.split(":")[1])
    assert script.place_of(line) == ("a.lua", 3)


@pytest.mark.parametrize("profile", PROFILES)
def test_an_error_of_a_build_of_a_bundle_leads_to_the_module(profile: str) -> None:
    script = bundled(
        {
            "main.lua": "#!/usr/bin/lua\nlocal a = require('./grü\\\\ße/a')\n\nprint(pcall(a.fail, 3))\nlocal t = nil\nt.x = 1",
            "grü\\ße/a.lua": "local b = require('./b')\nlocal a = {}\n\nfunction a.fail(n)\n  return b(n)()\nend\nreturn a",
            "grü\\ße/b.lua": "return function(n)\n  return function()\n    error(n .. nil)\n  end\nend",
        }
    )
    build = protect(script.text, Options(profile), 1)
    assert isinstance(build, Protected)
    ran = run_lua("lua51", build.text)
    assert ran.error is not None
    said = [ran.output.removeprefix("false\t"), ran.error]
    places = [build.line_map.locate(int(one.split(":")[1])) for one in said]
    assert [place and (place.file, place.line) for place in places] == [("grü\\ße/b.lua", 3), ("main.lua", 6)]


@pytest.mark.parametrize(
    ("files", "place", "message"),
    [
        ({"main.lua": "\nrequire('./x')"}, ("main.lua", 2), "There is no module ./x"),
        ({"main.lua": "require('../x')"}, ("main.lua", 1), "../x lies outside of the folder"),
        ({"main.lua": "require('./a/../../x')"}, ("main.lua", 1), "./a/../../x lies outside of the folder"),
        ({"main.luau": "require('@x/y')"}, ("main.luau", 1), "No .luaurc knows the alias @x"),
        (
            {"main.luau": "require('@x/y')", ".luaurc": '{"aliases": {"x": "/etc"}}'},
            ("main.luau", 1),
            "/etc/y lies outside of the folder",
        ),
        (
            {"main.lua": "require'./a'", "a.lua": "", "a/init.lua": ""},
            ("main.lua", 1),
            "./a may be a.lua or a/init.lua",
        ),
        (
            {"main.lua": "require'./a'", "a.lua": "x ="},
            ("a.lua", 1),
            "Expected identifier when parsing expression, got <eof>",
        ),
        (
            {"main.lua": "require'./a'", "a.lua": "export local x = 1"},
            ("a.lua", 1),
            "Exported values cannot be bundled",
        ),
        ({"main.lua": "require'./main'"}, ("main.lua", 1), "There is no module ./main"),
        ({"lib.lua": ""}, ("", 0), None),
        ({"main.lua": "", "init.lua": ""}, ("", 0), "which file is the script? it may be main.lua or init.lua"),
    ],
)
def test_a_fault_is_told_with_its_place(files: Files, place: tuple[str, int], message: str | None) -> None:
    error = refused(files)
    assert (error.file, error.line) == place
    assert message in (None, error.message)


@pytest.mark.parametrize("settings", ["{", "[]", '{"aliases": []}', '{"aliases": {"a": 1}}', b"\xff", "[" * 100_000])
def test_settings_that_are_none_are_told(settings: str | bytes) -> None:
    error = refused({"main.luau": "require('@x/y')", ".luaurc": settings})
    assert error.file == ".luaurc"


def test_modules_that_ask_for_each_other_in_a_circle_are_named() -> None:
    files: Files = {
        "main.lua": "require('./a')",
        "a.lua": "local function later() return require('./b') end",
        "b.lua": "\nreturn require './c'",
        "c.lua": "return require './a'",
    }
    error = refused(files)
    assert error.message == "The modules ask for each other in a circle: a.lua -> b.lua -> c.lua -> a.lua"
    assert (error.file, error.line) == ("c.lua", 1)


def test_what_an_init_has_in_its_own_folder_is_said() -> None:
    error = refused({"main.luau": "require('./a')", "a/init.luau": "return require('./b')", "a/b.luau": ""})
    assert (error.message, error.hint) == (
        "There is no module ./b",
        'In init.luau, what is in its own folder is "@self/b".',
    )


def test_the_script_may_be_named() -> None:
    files: Files = {"main.lua": "print('main')", "other.lua": "print(require('./main'))"}
    assert printed(run_lua("lua51", bundled(files, "other.lua").text.decode())) == "main\ntrue"
    assert refused(files, "none.lua").message == "There is no such file in the folder"


def test_thousands_of_modules_in_a_row_are_one_script_and_more_are_refused() -> None:
    files: Files = {f"m{number}.lua": f"return 1 + require('./m{number + 1}')" for number in range(1_900)}
    files |= {"m1900.lua": "return 0", "main.lua": "print(require('./m1800'))"}
    assert printed(run_lua("lua51", bundled(files).text.decode())) == "100"
    assert len(bundled(files, "m0.lua").files) == 1_901
    many: Files = {f"m{number}.lua": f"require('./m{number + 1}')" for number in range(2_001)}
    assert "at most 2,000 modules" in refused({**many, "main.lua": "require('./m0')"}).message
