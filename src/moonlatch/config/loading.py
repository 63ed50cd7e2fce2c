"""Reads the settings from the command line, the environment and the TOML file, and remembers who said what.

A wrong or unknown setting is refused with its path, its value, where it came from and what to do; all of them at once.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from moonlatch.config.settings import ENV_NESTED_DELIMITER, ENV_PREFIX, Settings
from moonlatch.config.variable import variable_name
from moonlatch.config.wording import reason_for, secret_paths, setting_paths, unknown_name

CONFIG_VARIABLE = "MOONLATCH_CONFIG"
FILE_NAME = "moonlatch.toml"
# Variables with our prefix that are not settings of the server.
OTHER_VARIABLES = frozenset(
    {
        CONFIG_VARIABLE,
        "MOONLATCH_BACKUP_PASSPHRASE",
        "MOONLATCH_DISCORD_TOKEN",
        "MOONLATCH_LURAPH_KEY",
        "MOONLATCH_TOKEN",
        "MOONLATCH_URL",
    }
)

DEFAULT_ORIGIN = "default"
COMMAND_LINE_ORIGIN = "command line"
REFERENCE = "docs/reference/configuration.md"
_SHOWN_VALUE_CHARACTERS = 80

SettingPath = tuple[str, ...]
"""Where a setting stands in the tree, like `("protector", "workers")`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One refused setting."""

    path: str
    value: str | None
    origin: str
    reason: str

    def __str__(self) -> str:
        said = self.path if self.value is None else f"{self.path} = {self.value}"
        return f"{said}  ({self.origin})\n    {self.reason}"


class InvalidSettingsError(Exception):
    """The program cannot start with these settings. The message is for people and complete."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        what = "1 setting is not valid:" if len(problems) == 1 else f"{len(problems)} settings are not valid:"
        listed = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{what}\n{listed}\nCorrect or remove them; {REFERENCE} lists every setting.")


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, and for each that was given (by its dotted path) the place it came from."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path
    """The TOML file that is read, whether there is one or not."""

    def origin(self, path: str) -> str:
        return self.origins.get(path, DEFAULT_ORIGIN)


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings to run with. `overrides` (from the command line) win over variables, those over the file.

    Raises InvalidSettingsError.
    """
    return load_with_origins(overrides).settings


def load_with_origins(overrides: Mapping[str, Any] | None = None) -> LoadedSettings:
    """Like `load_settings`, and tells for every setting where its value came from. Raises InvalidSettingsError."""
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    environment, problems = _read_environment()
    file = _file_path(given, environment)
    said_in_file, file_problems = _read_file(file)
    problems += file_problems

    origins: dict[str, str] = {}
    merged: dict[str, Any] = {}
    for values, origin in (
        (said_in_file, lambda path: f"{file}, key {'.'.join(path)}"),
        (environment, _variable_of),
        (given, lambda _: COMMAND_LINE_ORIGIN),
    ):
        for path, value in _leaves(values):
            _put(merged, path, value)
            origins[".".join(path)] = origin(path)

    settings: Settings | None = None
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        problems += [_problem(details, origins) for details in error.errors()]
    if settings is None or problems:
        raise InvalidSettingsError(problems)
    return LoadedSettings(settings, origins, file)


def _file_path(given: Mapping[str, Any], environment: Mapping[str, Any]) -> Path:
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return _expanded(Path(named))
    data_dir = given.get("data_dir") or environment.get("data_dir")
    if not isinstance(data_dir, str | Path):  # what is not a path at all is refused with the other settings
        data_dir = Settings.model_fields["data_dir"].default
    return _expanded(Path(data_dir)) / FILE_NAME


def _expanded(path: Path) -> Path:
    """With the home folder in place of `~`. One that nobody has stays as written, and is not found there."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _read_file(file: Path) -> tuple[dict[str, Any], list[Problem]]:
    named = os.environ.get(CONFIG_VARIABLE)
    origin = f"named by {CONFIG_VARIABLE}" if named else "read at every start"
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}, [Problem(str(file), None, origin, "there is no such file")] if named else []
    except OSError as error:
        return {}, [Problem(str(file), None, origin, f"cannot be read: {error.strerror}")]
    except ValueError as error:  # not TOML, or not UTF-8
        return {}, [Problem(str(file), None, origin, f"is not valid TOML: {error}")]
    if "data_dir" in values and not named:
        why = f"the file lies in the data folder, so it cannot say where that is; set {ENV_PREFIX}DATA_DIR or --data"
        return values, [Problem("data_dir", _shown(values["data_dir"]), f"{file}, key data_dir", why)]
    return values, []


def _read_environment() -> tuple[dict[str, Any], list[Problem]]:
    problems = [
        Problem(name, None, "environment", unknown_name(name, _variable_names()))
        for name in sorted(os.environ)
        if name.startswith(ENV_PREFIX) and name not in OTHER_VARIABLES and not _may_be_setting(name)
    ]
    source = EnvSettingsSource(
        Settings, case_sensitive=False, env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_NESTED_DELIMITER
    )
    try:
        return source(), problems
    except SettingsError as error:
        return {}, [*problems, _unreadable(error)]


def _unreadable(error: SettingsError) -> Problem:
    """For a section that a variable should hold as a whole. The library names the section only in its text."""
    named = [name for name in Settings.model_fields if f'"{name}"' in str(error)]
    section = named[0] if named else "environment"
    variable = variable_name((section,))
    why = (
        f"a whole section in one variable should be JSON ({error.__cause__}); "
        f"or set each by its own, like {variable}{ENV_NESTED_DELIMITER}{_first_below(section)}"
    )
    return Problem(section, _shown(os.environ.get(variable, "")), f"variable {variable}", why)


def _first_below(section: str) -> str:
    return next((path[-1].upper() for path in setting_paths(Settings) if path[0] == section and len(path) > 1), "NAME")


def _may_be_setting(variable: str) -> bool:
    """Return whether the first part names a setting or section; the rest is checked with everything else, by its path."""
    first = variable.removeprefix(ENV_PREFIX).split(ENV_NESTED_DELIMITER)[0].lower()
    return first in Settings.model_fields


def _variable_names() -> list[str]:
    return [variable_name(path) for path in setting_paths(Settings)]


def _variable_of(path: SettingPath) -> str:
    """The variable that gave this value: its own, or one that holds a whole section as JSON."""
    for length in range(len(path), 0, -1):
        name = variable_name(path[:length])
        if any(candidate.upper() == name for candidate in os.environ):
            return f"variable {name}"
    return "environment"


def _leaves(values: Mapping[str, Any], above: SettingPath = ()) -> Iterator[tuple[SettingPath, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _put(tree: dict[str, Any], path: SettingPath, value: Any) -> None:
    for name in path[:-1]:
        below = tree.get(name)
        if not isinstance(below, dict):
            below = tree[name] = {}
        tree = below
    tree[path[-1]] = value


def _problem(details: Mapping[str, Any], origins: Mapping[str, str]) -> Problem:
    location = tuple(str(part) for part in details["loc"])
    origin = DEFAULT_ORIGIN
    for length in range(len(location), 0, -1):
        prefix = ".".join(location[:length])
        found = [known for path, known in origins.items() if path == prefix or path.startswith(prefix + ".")]
        if found:
            origin = found[0]
            break
    value = "(not shown)" if location in secret_paths(Settings) else _shown(details["input"])
    return Problem(".".join(location), value, origin, reason_for(details))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_VALUE_CHARACTERS else text[: _SHOWN_VALUE_CHARACTERS - 3] + "..."
