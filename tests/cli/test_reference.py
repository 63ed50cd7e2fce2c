"""The command line as a whole: its reference page, its settings, its manners."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from moonlatch import __version__
from moonlatch.cli import app
from moonlatch.config.reference import describe_settings
from support.commands import Command

REFERENCE = Path(__file__).parents[2] / "docs/reference/cli.md"


def commands(group: object, above: str = "") -> Iterator[tuple[str, list[str]]]:
    """Every command with all the spellings of its options."""
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        path = f"{above} {name}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, path)
        else:
            options = [one for parameter in command.params for one in parameter.opts if one.startswith("-")]
            yield path, [one for one in options if one != "--help"]


def helps() -> list[tuple[str, ...]]:
    """What can be asked for help: the program, its groups, its commands."""
    paths = [tuple(path.split()) for path, _ in commands(typer.main.get_command(app))]
    return sorted({path[:length] for path in paths for length in range(len(path) + 1)})


def sections() -> dict[str, str]:
    """The reference page by heading."""
    _, *parts = re.split(r"^## ", REFERENCE.read_text(), flags=re.MULTILINE)
    return {heading: text for heading, _, text in (part.partition("\n") for part in parts)}


def test_every_command_and_option_is_in_the_reference_and_nothing_else_is() -> None:
    documented = sections()
    real = dict(commands(typer.main.get_command(app)))

    assert set(documented) == set(real)
    for path, options in real.items():
        rows = "\n".join(line for line in documented[path].splitlines() if line.startswith("|"))
        mentioned = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rows))
        assert (path, mentioned) == (path, set(options))


def test_every_command_explains_itself(moonlatch: Command) -> None:
    for path, options in commands(typer.main.get_command(app)):
        helped = moonlatch(*path.split(), "--help")
        assert helped.status == 0
        assert [option for option in options if option not in helped.out] == []


@pytest.mark.parametrize("path", helps(), ids=" ".join)
def test_help_fits_a_terminal_of_80_columns_with_nothing_cut_off(
    moonlatch: Command, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = moonlatch(*path, "--help").out
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    assert re.findall(r"\w*(?:\.\.\.$|…)", shown.replace("[ARGS]...", ""), re.MULTILINE) == []
    assert "<bool>" not in shown


def test_shells_complete_commands_and_options() -> None:
    words = {"moonlatch acc": "accounts", "moonlatch accounts rem": "remove", "moonlatch backup --da": "--data"}
    for typed, expected in words.items():
        surroundings = {
            **os.environ,
            "_MOONLATCH_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split()) - 1),
        }
        call = [sys.executable, "-c", "from moonlatch.cli import main; main()"]
        completed = subprocess.run(call, env=surroundings, capture_output=True, text=True, check=False)
        assert completed.stdout.split() == [expected]


def test_every_shell_has_a_completion_to_install(moonlatch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for shell in ("bash", "zsh", "fish"):
        monkeypatch.setattr("shellingham.detect_shell", lambda shell=shell: (shell, f"/bin/{shell}"))
        shown = moonlatch("--show-completion")
        assert (shown.status, f"_MOONLATCH_COMPLETE=complete_{shell}" in shown.out) == (0, True)


def test_the_version_is_printed(moonlatch: Command) -> None:
    assert moonlatch("--version").out == f"moonlatch {__version__}\n"


def test_an_unknown_command_is_a_wrong_call(moonlatch: Command) -> None:
    assert moonlatch("serv").status == 2


def test_config_prints_every_setting_with_its_value_and_source(
    moonlatch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data").mkdir()
    Path("data/moonlatch.toml").write_text('[log]\nlevel = "debug"')
    monkeypatch.setenv("MOONLATCH_PROTECTOR__WORKERS", "4")
    shown = {one["setting"]: (one["value"], one["source"]) for one in moonlatch("config", "--json").json}
    assert shown["protector.workers"] == (4, "variable MOONLATCH_PROTECTOR__WORKERS")
    assert shown["log.level"] == ("debug", "data/moonlatch.toml, key log.level")
    assert shown["trusted_proxies"] == ([], "default")
    assert {one.path.replace("tiers.NAME", "tiers.free") for one in describe_settings()} <= set(shown)
    lines = moonlatch("config").out.splitlines()
    assert len(lines) == len(shown) + 1
    assert any(line.split()[:2] == ["protector.workers", "4"] for line in lines)


@pytest.mark.parametrize("arguments", [("config",), ("serve",), ("accounts", "list")])
def test_a_wrong_setting_is_told_by_every_command_that_reads_them(
    moonlatch: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MOONLATCH_PORT", "many")
    ended = moonlatch(*arguments)
    assert ended.status == 1
    assert "port = 'many'  (variable MOONLATCH_PORT)" in ended.err
    assert "Traceback" not in ended.err
