"""`check` and `protect`: scripts on the developer's own machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonlatch.obfuscator.options import PROFILES
from support.commands import Command
from support.luau import run_lua, run_luau

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
    assert moonlatch("check", "valid.lua", "--json").json == {"valid": True, "diagnostics": []}
    ended = moonlatch("check", "broken.lua", "--json")
    first = {"line": 2, "column": 15, "message": "Expected ')' (to close '(' at column 6), got '='"}
    assert (ended.status, ended.json["valid"], ended.json["diagnostics"][0]) == (1, False, first)


def test_what_an_upload_refuses_is_refused_here_too(moonlatch: Command) -> None:
    Path("forged.lua").write_text("la_is_premium = true")
    assert "forged.lua:1: la_is_premium may be assigned only inside" in moonlatch("check", "forged.lua").out


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
