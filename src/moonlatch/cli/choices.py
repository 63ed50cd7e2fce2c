"""The values an option takes, made from where the program itself has them, for several commands."""

from __future__ import annotations

from enum import StrEnum

from moonlatch.obfuscator.engine_name import EngineName
from moonlatch.obfuscator.options import PROFILES
from moonlatch.obfuscator.target import Target

__all__ = ["EngineName", "Profile", "Target"]

# The checker wants the members spelt out, which would be a second list.
Profile = StrEnum("Profile", list(PROFILES))  # type: ignore[misc]
"""How much is done to a script."""
