"""Which of a script's builds a start is given: a pure choice, the same on every process. `docs/why/releases.md` explains it."""

from __future__ import annotations

from functools import lru_cache

import msgspec

STABLE = "stable"
"""The channel whose build is the script's current one."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a script some of whose keys are pinned serves besides its current build, as its row keeps it."""

    channels: dict[str, int]
    """The build of each channel but `stable`."""
    version: str
    """Another one after every change, of a single pin too: a start that was decided by an earlier one is decided again."""


def build_for(plan: Plan, current: int, *, channel: str | None, pin: int | None) -> int:
    """The build for a key: that of its pin, else of its channel, else the current one."""
    if pin is not None:
        return pin
    return current if channel is None else plan.channels.get(channel, current)


_decode = msgspec.json.Decoder(Plan).decode


@lru_cache(maxsize=1024)
def plan_of(text: str) -> Plan:
    """The plan that a script's row has. Raises msgspec.MsgspecError for what is none."""
    return _decode(text)


def text_of(plan: Plan) -> str:
    """The plan as a script's row has it."""
    return msgspec.json.encode(plan).decode()
