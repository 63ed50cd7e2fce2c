"""Tiers: named rows of limits that an account has. Pure data; who counts what against them is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

UNLIMITED = "unlimited"
MEBIBYTE = 1024 * 1024


def _limit(value: Any) -> Any:
    return None if value == UNLIMITED else value


Limit = Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_limit)]
"""A number of things, or None for any number; settings files, which have no null, write "unlimited"."""


class Tier(BaseModel):
    """What accounts of one tier may do. Projects, scripts and users are counted per account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    free_for_all: bool = Field(default=True, description="May its scripts run without a key?")
    obfuscations_per_period: Limit = Field(default=None, description="Scripts and loaders protected per 30 days.")
    build_seconds_per_period: Limit = Field(
        default=None,
        description="Seconds per 30 days for which worker processes are busy with its updates, those that fail included.",
    )
    projects: Limit = Field(default=None, description="Projects per account.")
    scripts: Limit = Field(default=None, description="Scripts per account, in all projects together.")
    users: Limit = Field(default=None, description="Users (keys) per account, in all projects together.")
    script_bytes: int = Field(
        default=8 * MEBIBYTE, ge=1, le=64 * MEBIBYTE, description="Largest source text of one script, in UTF-8 bytes."
    )
    build_history: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Builds kept per script besides those that something refers to, as the current one.",
    )


FREE = Tier(
    name="free",
    free_for_all=False,
    obfuscations_per_period=20,
    build_seconds_per_period=1_800,
    projects=1,
    scripts=3,
    users=100,
)
PRO = Tier(
    name="pro",
    obfuscations_per_period=500,
    build_seconds_per_period=36_000,
    projects=20,
    scripts=200,
    users=50_000,
)
NO_LIMITS = Tier(name=UNLIMITED)

BUILT_IN: Mapping[str, Tier] = {tier.name: tier for tier in (FREE, PRO, NO_LIMITS)}


def tier_of(tiers: Mapping[str, Tier], name: str) -> Tier:
    """The tier with this name. One that is configured no more has the limits of `free`, so that nobody gains by it."""
    return tiers.get(name) or tiers.get(FREE.name, FREE)
