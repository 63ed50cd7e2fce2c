"""The environment variable of a setting."""

from __future__ import annotations

from moonlatch.config.settings import ENV_NESTED_DELIMITER, ENV_PREFIX


def variable_name(path: tuple[str, ...]) -> str:
    """The variable that sets the setting at this place of the tree."""
    return ENV_PREFIX + ENV_NESTED_DELIMITER.join(path).upper()
