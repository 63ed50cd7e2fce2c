"""Which of a script's builds a start is given: a pure choice, the same on every process. `docs/why/releases.md` explains it."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import lru_cache

import msgspec

STABLE = "stable"
"""The channel whose build is the script's current one."""

WHOLE = 10_000
"""Everybody, in basis points."""

MAX_STEPS = 20
MAX_STEP_MINUTES = 30 * 24 * 60


class RolloutState(StrEnum):
    """How a rollout stands. The first three are open: a script has at most one such rollout."""

    ROLLING = "rolling"
    PAUSED = "paused"
    """Whoever is given the build stays so, and nobody else is until it is resumed."""
    HALTED = "halted"
    """Nobody is given the build until it is resumed."""
    FINISHED = "finished"
    """The build became the current one."""
    SUPERSEDED = "superseded"
    """Another build became the current one, another rollout began, or the build was yanked."""


OPEN = frozenset({RolloutState.ROLLING, RolloutState.PAUSED, RolloutState.HALTED})
SERVING = frozenset({RolloutState.ROLLING, RolloutState.PAUSED})


CONTROL_PARTS = 3
"""How many times as many keys as have the new build are looked at beside it: more would say little more, and each costs a row."""


class Step(msgspec.Struct, frozen=True):
    """The part of keys that is given the build, in basis points, and for how many minutes at least before the next step."""

    basis_points: int
    minutes: int


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a script's keys that a rollout gives its build. `salt` is the rollout's own, so that nobody is always first."""

    build: int
    basis_points: int
    salt: str
    id: str = ""
    """The rollout's; empty in a plan from before starts were compared."""
    is_compared: bool = False
    """Its build is still to be compared with the current one, start by start."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a script serves besides its current build, as its row keeps it."""

    channels: dict[str, int]
    """The build of each channel but `stable`."""
    has_pins: bool = True
    """Some key is on a channel or pinned, or may be by a Discord role."""
    rollout: Share | None = None
    version: str
    """Another one after every change, of a single pin too: a start that was decided by an earlier one is decided again."""


def build_for(plan: Plan, current: int, *, channel: str | None, pin: int | None, holder: bytes | None) -> int:
    """The build for a key: that of its pin, else of its channel, else of the rollout that it takes part in, else the current one.

    `holder` is what the place in a rollout comes from: the key's id, without one the device; None takes part in none. A key that is on
    `stable` by name takes part in none either; a channel that is not there says nothing.
    """
    own = _own_build(plan, current, channel, pin)
    if own is not None:
        return own
    share = plan.rollout
    if share is not None and holder is not None and place_of(share.salt, holder) < share.basis_points:
        return share.build
    return current


def channel_by_role(plan: Plan, channels: str | None) -> str | None:
    """The channel of a key that is on none by itself, by the Discord roles of its owner: the first of those that the script has.

    `channels` are names, that of the highest role first, with commas between them.
    """
    if channels is None:
        return None
    return next((name for name in channels.split(",") if name == STABLE or name in plan.channels), None)


def is_outdated(
    plan: Plan, current: int, running: int, *, channel: str | None, pin: int | None, holder: bytes | None
) -> bool:
    """Return whether a copy runs a build that its key would not be given now.

    While there is a rollout, the current build is outdated for nobody who may take part in it: it is what the new one is compared with.
    """
    if running == current and _own_build(plan, current, channel, pin) is None:
        return False
    return running != build_for(plan, current, channel=channel, pin=pin, holder=holder)


def _own_build(plan: Plan, current: int, channel: str | None, pin: int | None) -> int | None:
    """The build that a key is given for its own sake; None where it is given what others are."""
    if pin is not None or channel is None:
        return pin
    return current if channel == STABLE else plan.channels.get(channel)


def is_on_new_build(
    plan: Plan, current: int, *, channel: str | None, pin: int | None, holder: bytes | None
) -> bool | None:
    """Return whether a start is one with the rollout's new build (True) or one that those are compared with (False); None: neither."""
    share = plan.rollout
    if share is None or not share.is_compared or holder is None or _own_build(plan, current, channel, pin) is not None:
        return None
    place = place_of(share.salt, holder)
    if place < share.basis_points < WHOLE:
        return True
    return False if place >= max(share.basis_points, WHOLE - CONTROL_PARTS * share.basis_points) else None


@lru_cache(maxsize=16_384)
def place_of(salt: str, holder: bytes) -> int:
    """Where a key or device stands in a rollout, from 0 to 9999: always the same, and in another one anywhere else.

    What is below a step's basis points is given the build, so a larger step only adds. The modulus prefers no place by more
    than one in 10^15.
    """
    digest = hashlib.sha256(salt.encode() + holder).digest()
    return int.from_bytes(digest[:8], "big") % WHOLE


_decode = msgspec.json.Decoder(Plan).decode


@lru_cache(maxsize=1024)
def plan_of(text: str) -> Plan:
    """The plan that a script's row has. Raises msgspec.MsgspecError for what is none."""
    return _decode(text)


def text_of(plan: Plan) -> str:
    """The plan as a script's row has it."""
    return msgspec.json.encode(plan).decode()
