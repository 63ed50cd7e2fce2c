"""Whether the use of a key looks as if several people shared it, by a project's rules. Pure: counts come in, nothing is read or written."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class Consequence(StrEnum):
    """What follows when a rule is broken, the mildest first."""

    SIGNAL = "signal"
    HOLD = "hold"
    BLACKLIST = "blacklist"


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule: what is still in order (None: anything is), and what follows from more, or from less where it is a least."""

    limit: int | None = None
    action: Consequence = Consequence.SIGNAL


class SharingRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A project's rules. Without a word of its developer they only tell, and only of what one customer hardly does.

    Days and hours are those of UTC. `hold_hours` is how long a key is held; None: until somebody releases it.
    """

    devices: Rule = Rule(5)
    """Most devices in 30 days; never fewer than the key may be bound to."""
    networks_a_day: Rule = Rule(10)
    starts_an_hour: Rule = Rule(120)
    seconds_between_devices: Rule = Rule()
    """Least time from a start on one device to the next one on another."""
    starts_without_fingerprint: Rule = Rule()
    """Most starts a day that tell no device, of keys that belong to one."""
    hooked_starts: Rule = Rule(0)
    """Most starts a day in a host whose functions somebody has replaced, as one does who takes a loader apart."""
    hold_hours: int | None = None


RULES = tuple(name for name in SharingRules.__struct_fields__ if name != "hold_hours")
"""The names of the rules."""


def rules_of(rules: SharingRules) -> dict[str, Rule]:
    """Each rule by its name."""
    return {name: getattr(rules, name) for name in RULES}


def edited(rules: SharingRules, changes: Mapping[str, Any]) -> SharingRules:
    """The rules with some changed: by name what is new of each, and `hold_hours`."""
    new = {
        name: change if name == "hold_hours" else msgspec.structs.replace(getattr(rules, name), **change)
        for name, change in changes.items()
    }
    return msgspec.structs.replace(rules, **new)


def shown(rules: SharingRules) -> dict[str, Any]:
    """The rules in full, as an event tells of them."""
    of_rules = {name: msgspec.structs.asdict(rule) for name, rule in rules_of(rules).items()}
    return {**of_rules, "hold_hours": rules.hold_hours}


class KeyUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How a key was used since it was last on hold: what the rules are about. `max_devices` is how many it may be bound to."""

    max_devices: int = 1
    fingerprintless: bool = False
    devices: int = 0
    networks_today: int = 0
    starts_this_hour: int = 0
    ms_between_devices: int | None = None
    """Between the last start on the device that was used last and the last one on any other; None with fewer than two."""
    unknown_today: int = 0
    """Starts that told no device."""
    hooked_today: int = 0
    """Starts in a host whose functions were replaced."""


class Breach(msgspec.Struct, frozen=True):
    """A rule that was broken: its name, what it says, and what was seen."""

    rule: str
    limit: int
    seen: int
    action: Consequence


def breaches(rules: SharingRules, usage: KeyUsage) -> list[Breach]:
    """The rules that this use of a key breaks, those with the gravest consequence first."""
    found = [
        Breach(name, limit, seen, getattr(rules, name).action)
        for name, limit, seen, is_broken in _judged(rules, usage)
        if is_broken
    ]
    return sorted(found, key=lambda breach: -_GRAVITY[breach.action])


def starts_left(rules: SharingRules, usage: KeyUsage) -> int | None:
    """How many starts more this hour the rules take, below 0 where there were too many; None: any number."""
    limit = rules.starts_an_hour.limit
    return None if limit is None else limit - usage.starts_this_hour


_GRAVITY = {action: place for place, action in enumerate(Consequence)}


def _judged(rules: SharingRules, usage: KeyUsage) -> list[tuple[str, int, int, bool]]:
    """Name, limit, what was seen and whether that is too much (or too little), of each rule that says something here."""
    seen: dict[str, int | None] = {
        "devices": usage.devices,
        "networks_a_day": usage.networks_today,
        "starts_an_hour": usage.starts_this_hour,
        "seconds_between_devices": None if usage.ms_between_devices is None else usage.ms_between_devices // 1000,
        "starts_without_fingerprint": None if usage.fingerprintless else usage.unknown_today,
        "hooked_starts": usage.hooked_today,
    }
    judged = []
    for name, value in seen.items():
        limit: int | None = getattr(rules, name).limit
        if limit is None or value is None:
            continue
        if name == "devices":
            limit = max(limit, usage.max_devices)
        judged.append((name, limit, value, value < limit if name == "seconds_between_devices" else value > limit))
    return judged
