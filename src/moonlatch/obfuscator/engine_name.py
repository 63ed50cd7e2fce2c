"""The engines that protect scripts, by the names that settings and the API use."""

from __future__ import annotations

from enum import StrEnum


class EngineName(StrEnum):
    """Every engine there is."""

    EMBEDDED = "embedded"
    LURAPH = "luraph"
