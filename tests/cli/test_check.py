"""`check` and `protect`: scripts on the developer's own machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonlatch.cli.report import Watch
from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.passes import REGISTRY
from support.commands import Command, Ended
from support.luau import run_lua, run_luau
from support.luraph_server import API_KEY, LuraphServer, luraph_in_thread
from support.protecting import PROGRAMS

KEYS = [one.KEY for one in REGISTRY]

VALID = 'local unusual_name = "a text"\nprint(unusual_name, 40 + 2)\n'
BROKEN = 'print(1)\nprint("é", x = 2)\n'


@pytest.fixture(autouse=True)
def scripts() -> None:
    Path("valid.lua").write_text(VALID)
    Path("broken.lua").write_text(BROKEN)


def test_a_valid_script_passes(moonlatch: Command) -> None:
    ended = moonlatch("check", "valid.lua")
    assert (ended.status, ended.out) == (0, "valid.lua is valid.\n")


def test_a_broken_script_fails_with_its_places_under_the_files_name(moonlatch: Command) -> None:
    ended = moonlatch("check", "broken.lua")
    assert ended.status == 1
    assert ended.out.splitlines()[:3] == [
        "broken.lua:2: Expected ')' (to close '(' at column 6), got '='",
        '2 | print("é", x = 2)',
        "                 ^",
    ]


def test_programs_get_the_faults_as_json(moonlatch: Command) -> None:
    assert moonlatch("check", "valid.lua", "--json").json == {"valid": True, "diagnostics": [], "warnings": []}
    ended = moonlatch("check", "broken.lua", "--json")
    first = {"line": 2, "column": 15, "message": "Expected ')' (to close '(' at column 6), got '='", "hint": None}
    assert (ended.status, ended.json["valid"], ended.json["diagnostics"][0]) == (1, False, first)


HASHES = "local model = `adder`\nprint(model)\nif GetEntityModel(1) == `adder` then print('same') end\n"
WARNING = (
    "line 1: `adder` in backticks is text here, as in Luau, and not FiveM's hash of it (also on line 3); for the hash write"
    ' joaat("adder") or GetHashKey("adder"), for the text "adder", or choose the target \'luau\''
)


def test_text_in_backticks_is_warned_of_unless_luau_is_asked_for(moonlatch: Command) -> None:
    Path("hashes.lua").write_text(HASHES)
    ended = moonlatch("check", "hashes.lua")
    assert (ended.status, ended.out, ended.err) == (0, "hashes.lua is valid.\n", f"warning: {WARNING}\n")
    assert moonlatch("check", "hashes.lua", "--json").json["warnings"] == [WARNING]
    assert moonlatch("check", "hashes.lua", "--target", "lua51", "--json").json["warnings"] == [WARNING]
    assert moonlatch("check", "hashes.lua", "--target", "luau", "--json").json["warnings"] == []
    assert moonlatch("protect", "hashes.lua", "--json").json["warnings"] == [WARNING]
    assert moonlatch("protect", "hashes.lua", "--target", "luau", "--json").json["warnings"] == []


def test_a_warning_that_depends_on_the_profile_is_not_given_without_one(moonlatch: Command) -> None:
    Path("macro.lua").write_text("print(LPH_ENCSTR('secret'))")
    assert moonlatch("check", "macro.lua", "--json").json == {"valid": True, "diagnostics": [], "warnings": []}


def test_another_dialect_is_named_once(moonlatch: Command) -> None:
    Path("addon.lua").write_text("// an addon\nif !x && y != 2 then\n  print(1)\nend\n")
    hint = (
        "This reads like GLua (Garry's Mod); Moonlatch takes Luau and Lua 5.1. Instead of `// comment` (line 1) write `-- comment`;"
        " instead of `!` (line 2) write `not`; instead of `&&` (line 2) write `and`; instead of `!=` (line 2) write `~=`."
    )
    for command in ("check", "protect"):
        assert moonlatch(command, "addon.lua").out.splitlines() == [
            "addon.lua:1: Expected identifier when parsing expression, got '//'",
            "1 | // an addon",
            "    ^",
            f"hint: {hint}",
        ]
        (fault,) = moonlatch(command, "addon.lua", "--json").json["diagnostics"]
        assert fault["hint"] == hint


def test_files_begin_as_editors_and_shells_have_them(moonlatch: Command) -> None:
    for name, before in {"bom.lua": b"\xef\xbb\xbf", "shebang.lua": b"#!/usr/bin/env lua\n"}.items():
        Path(name).write_bytes(before + b'print("hi")\n')
        assert moonlatch("check", name).out == f"{name} is valid.\n"
        assert moonlatch("protect", name, "--profile", "minify").out == 'print"hi"\n'


def test_a_file_that_is_not_utf_8_is_named(moonlatch: Command) -> None:
    Path("utf16.lua").write_bytes("print(1)".encode("utf-16"))
    ended = moonlatch("check", "utf16.lua")
    assert ended.status == 1
    assert ended.out.splitlines()[-1].startswith("hint: The file is UTF-16, and scripts are UTF-8: save it as UTF-8")
    pushed = moonlatch("push", "utf16.lua", "--script", "x" * 32, "--token", "t")
    assert pushed.status == 1
    assert "The file is UTF-16" in pushed.err
    assert "Nothing was sent." in pushed.err


def test_what_an_upload_refuses_is_refused_here_too(moonlatch: Command) -> None:
    Path("forged.lua").write_text("la_is_premium = true")
    assert "forged.lua:1: la_is_premium may be assigned only inside" in moonlatch("check", "forged.lua").out


def test_what_only_the_strongest_profile_refuses_is_found_when_it_is_named(moonlatch: Command) -> None:
    Path("looks.lua").write_text('print(1)\nprint(debug.getinfo(1, "S").what)')
    assert moonlatch("check", "looks.lua").status == 0
    ended = moonlatch("check", "looks.lua", "--profile", "maximum")
    assert ended.status == 1
    assert ended.out.startswith("looks.lua:2: debug.getinfo would see the machine of the profile 'maximum'")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (b"", "1: The script is empty"),
        (b"print(1)\nprint('\xe9')\n", "2: Byte 233 is not UTF-8; in a string it can be written as \\233"),
    ],
)
def test_what_an_upload_cannot_carry_is_refused(moonlatch: Command, source: bytes, fault: str) -> None:
    Path("odd.lua").write_bytes(source)
    checked = moonlatch("check", "odd.lua")
    assert (checked.status, checked.out.splitlines()[0]) == (1, f"odd.lua:{fault}")
    pushed = moonlatch("push", "odd.lua", "--script", "x" * 32, "--token", "t")
    assert (pushed.status, pushed.err) == (1, f"error: odd.lua:{fault}\nNothing was sent.\n")


@pytest.mark.parametrize("command", ["check", "protect"])
@pytest.mark.parametrize(
    ("file", "why"), [("missing.lua", "No such file or directory"), (".", "Is a directory"), ("valid.lua/x", "Not a")]
)
def test_a_file_that_cannot_be_read_is_told(moonlatch: Command, command: str, file: str, why: str) -> None:
    ended = moonlatch(command, file)
    assert ended.status == 1
    assert ended.err.startswith(f"error: {file} cannot be read: {why}")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_protected_script_runs_by_itself_as_before(moonlatch: Command, profile: str) -> None:
    protected = moonlatch("protect", "valid.lua", "--profile", profile).out
    assert run_luau(protected).output == run_luau(VALID).output == "a text\t42"
    assert "unusual_name" not in protected


def test_light_hides_texts_and_is_the_default(moonlatch: Command) -> None:
    assert "a text" not in moonlatch("protect", "valid.lua").out
    assert "a text" in moonlatch("protect", "valid.lua", "--profile", "minify").out


def test_the_same_seed_gives_the_same_output_and_no_seed_a_fresh_one(moonlatch: Command) -> None:
    seeded = [moonlatch("protect", "valid.lua", "--seed", "7").out for _ in range(2)]
    assert seeded[0] == seeded[1]
    assert moonlatch("protect", "valid.lua").out != moonlatch("protect", "valid.lua").out


def test_the_output_file_holds_what_standard_output_would_show(moonlatch: Command) -> None:
    shown = moonlatch("protect", "valid.lua", "--seed", "7").out
    ended = moonlatch("protect", "valid.lua", "--seed", "7", "-o", "out.lua")
    assert (ended.status, ended.out) == (0, "")
    assert Path("out.lua").read_text() == shown
    assert f"valid.lua ({len(VALID)} bytes) -> out.lua" in ended.err


def test_a_broken_script_is_not_protected(moonlatch: Command) -> None:
    ended = moonlatch("protect", "broken.lua", "-o", "out.lua")
    assert ended.status == 1
    assert "broken.lua:2: Expected" in ended.out
    assert not Path("out.lua").exists()


def test_an_output_file_that_cannot_be_written_is_told(moonlatch: Command) -> None:
    ended = moonlatch("protect", "valid.lua", "-o", "missing/out.lua")
    assert (ended.status, ended.err) == (1, "error: missing/out.lua cannot be written: No such file or directory\n")
    as_json = moonlatch("protect", "valid.lua", "-o", "missing/out.lua", "--json")
    assert (as_json.status, as_json.out, as_json.err) == (1, "", ended.err)


@pytest.mark.parametrize("link", [False, True])
def test_the_source_itself_is_only_overwritten_on_purpose(moonlatch: Command, link: bool) -> None:
    out = "valid.lua"
    if link:
        out = "link.lua"
        Path(out).symlink_to("valid.lua")
    ended = moonlatch("protect", "valid.lua", "-o", out)
    assert ended.status == 1
    assert ended.err.startswith(f"error: {out} is the source itself, which would be lost\n")
    assert Path("valid.lua").read_text() == VALID
    assert moonlatch("protect", "valid.lua", "--seed", "7", "-o", out, "--force").status == 0
    assert "a text" not in Path("valid.lua").read_text()


def test_a_target_can_be_chosen(moonlatch: Command) -> None:
    Path("new.luau").write_text("local n = 40 n += 2 print(n)")
    assert run_luau(moonlatch("protect", "new.luau", "--target", "luau").out).output == "42"
    Path("only.luau").write_text("print(12345i)")
    assert moonlatch("protect", "only.luau", "--target", "lua51").status == 1
    assert moonlatch("protect", "new.luau", "--target", "lua54").status == 2


def test_a_report_has_every_step_with_what_it_changed_and_does_not_get_into_the_script(moonlatch: Command) -> None:
    plain = moonlatch("protect", "valid.lua", "--seed", "7").out
    ended = moonlatch("protect", "valid.lua", "--seed", "7", "--profile", "light", "--report")
    assert ended.out == plain
    rows = {line.split()[0]: line for line in ended.err.splitlines()}
    assert [key for key in rows if key in KEYS] == [key for key in KEYS if key in PROFILES["light"]]
    assert "strings 1 -> 0" in rows["encrypt_strings"]
    assert f"{len(plain) - 1:,}" in rows["in"]
    assert f"Source: {len(VALID)} bytes." in ended.err


def test_a_report_for_programs_has_steps_sizes_times_and_warnings(moonlatch: Command) -> None:
    Path("macro.lua").write_text("local unused = 5\nprint(LA_ENCRYPT_STRING('a text'))")
    report = moonlatch("protect", "macro.lua", "--seed", "7", "--profile", "minify", "--json", "-o", "out.lua").json
    assert report["success"] is True
    assert report["warnings"] == ["line 2: LA_ENCRYPT_STRING has no effect with the profile 'minify'"]
    assert (report["profile"], report["target"], report["engine"], report["seed"]) == ("minify", None, "embedded", 7)
    assert report["source_bytes"] == len(Path("macro.lua").read_text())
    assert report["output_bytes"] == len(Path("out.lua").read_text()) - 1
    assert "script" not in report
    steps = {step["step"]: step for step in report["steps"]}
    assert list(steps) == [
        "parse",
        "check",
        "prepare",
        "drop_types",
        "lower_luau",
        "rename_locals",
        "print",
        "check again",
    ]
    assert steps["prepare"]["changes"]["calls"] == {"before": 2, "after": 1}
    assert steps["rename_locals"]["size"] == report["output_bytes"]
    assert abs(sum(step["seconds"] for step in report["steps"]) - report["seconds"]) < 1e-4
    assert all(step["seconds"] > 0 for step in report["steps"])


def test_without_a_file_the_json_has_the_script(moonlatch: Command) -> None:
    plain = moonlatch("protect", "valid.lua", "--seed", "7").out
    assert moonlatch("protect", "valid.lua", "--seed", "7", "--json").json["script"] + "\n" == plain


def test_the_json_of_a_broken_script_has_its_faults(moonlatch: Command) -> None:
    ended = moonlatch("protect", "broken.lua", "--json")
    assert (ended.status, ended.json["success"]) == (1, False)
    assert ended.json["diagnostics"] == moonlatch("check", "broken.lua", "--json").json["diagnostics"]


def test_watching_changes_nothing_for_any_profile(moonlatch: Command) -> None:
    source = (PROGRAMS / "lua51" / "json.lua").read_bytes()
    for profile in PROFILES:
        watch = Watch()
        options = Options(profile)
        assert pipeline.protect(source, options, 3, watch) == pipeline.protect(source, options, 3)
        assert [step.name for step in watch.steps if step.name in KEYS] == [
            key for key in KEYS if key in PROFILES[profile]
        ]


def luraph(moonlatch: Command, *options: str, **settings: str) -> tuple[Ended, LuraphServer]:
    with luraph_in_thread() as server:
        given = {"key": API_KEY, "url": server.base_url, **settings}
        arguments = [part for name, value in given.items() for part in (f"--luraph-{name}", value)]
        return moonlatch("protect", "valid.lua", "--engine", "luraph", *arguments, *options), server


def test_a_script_can_be_protected_by_luraph(moonlatch: Command) -> None:
    ended, server = luraph(moonlatch, "--luraph-option", "INTENSE=true", "--target", "luau", "--report")
    assert ended.status == 0
    assert run_luau(ended.out).output == "a text\t42"
    (job,) = server.calls("new")
    assert job.json["options"] == {"INTENSE": True, "TARGET_VERSION": "Luau"}
    assert job.json["fileName"] == "valid.lua"
    assert b"unusual_name" not in server.jobs["job-1"]
    assert any(line.startswith("luraph ") for line in ended.err.splitlines())


def test_what_luraph_refuses_is_told(moonlatch: Command) -> None:
    ended, _ = luraph(moonlatch, key="other")
    assert ended.status == 1
    assert "valid.lua could not be protected: Luraph-API-Key: Invalid API key." in ended.err
    ended, _ = luraph(moonlatch, "--json", option="COLOUR=red")
    assert (ended.status, ended.json["errors"][0]["param"]) == (1, "COLOUR")


def test_luraph_needs_a_key_and_well_formed_options(moonlatch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no API key for Luraph" in moonlatch("protect", "valid.lua", "--engine", "luraph").err
    monkeypatch.setenv("MOONLATCH_LURAPH_KEY", API_KEY)
    ended = moonlatch("protect", "valid.lua", "--engine", "luraph", "--luraph-option", "INTENSE")
    assert ended.err.startswith("error: 'INTENSE' is not an option of Luraph\n")
    unreachable = moonlatch("protect", "valid.lua", "--engine", "luraph", "--luraph-url", "nonsense")
    assert unreachable.err.startswith("error: nonsense is not an address for a key\n")


def test_an_unknown_profile_is_a_wrong_call(moonlatch: Command) -> None:
    ended = moonlatch("protect", "valid.lua", "--profile", "heavy")
    assert ended.status == 2
    assert all(f"'{profile}'" in ended.err for profile in PROFILES)


def test_the_example_of_the_first_start_is_valid_and_runs_without_moonlatch(moonlatch: Command) -> None:
    from moonlatch.cli.first_start import example_source

    Path("hello.lua").write_text(example_source())
    assert moonlatch("check", "hello.lua").status == 0
    for printed in (run_luau(example_source()), run_lua("lua51", example_source())):
        assert printed.output.splitlines()[0] == "Hello from hello, protected and delivered by Moonlatch."
        assert printed.error is None
