"""Reports of errors: which are the same one, what a place is, and when there are suddenly many. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import ip_address
from typing import NamedTuple

MAX_MESSAGE_CHARACTERS = 400
MOST_OF_INSTANCE = 5
MOST_GROUPS = 500
"""Of one script; the one that was longest not seen makes room."""
MOST_NEW_GROUPS = 50
"""Of one script within an hour: who makes errors up fills no table and raises no more events."""
MOST_WITNESSES = 20_000
"""Of one group: copies and keys that are told apart."""
MOST_EXECUTORS = 20
"""Of one group; further ones are counted together."""

SPIKE_HOURS = 24
FEWEST_OF_SPIKE = 20
SPIKE_FACTOR = 5


class ErrorState(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"
    """Opened again by itself when a newer build has it."""
    IGNORED = "ignored"
    """Counted, and no event tells of it, in no build."""


class ErrorKind(StrEnum):
    """Where an error came from."""

    MAIN = "main"
    THREAD = "thread"
    HANDLER = "handler"
    REPORTED = "reported"
    """The script gave it to `la_report`."""


class Spot(NamedTuple):
    """A place in a protected text, as a host or a customer's console tells it."""

    line: int
    column: int | None = None
    instruction: int | None = None

    def __str__(self) -> str:
        text = str(self.line) if self.column is None else f"{self.line}:{self.column}"
        return text if self.instruction is None else f"{text}#{self.instruction}"


_NUMBER = r"(\d{1,9})"
_SPOT = re.compile(rf"(?:^|[\s\S]*?:){_NUMBER}(?::{_NUMBER})?(?:#{_NUMBER})?(?![\w.])")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b")
_UNIQUE = re.compile(r"\b(?=\w*\d)[0-9A-Za-z]{16,}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_TELLING = re.compile(rf"{_UNIQUE.pattern}|\b[0-9A-Za-z]{{32}}\b", re.IGNORECASE)
"""What may say who it was: ids, devices, and keys, of which a few hold no digit."""
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_SPACE = re.compile(r"\s+")


def spot_of(text: str) -> Spot | None:
    """The place that a text names: `812`, `812:40`, `#12` behind either, or a whole line of a console (`Fishing:812: attempt to ...`)."""
    found = _SPOT.match(text.strip())
    if found is None:
        return None
    line, column, instruction = (None if part is None else int(part) for part in found.groups())
    assert line is not None
    return Spot(line, column, instruction)


def normalised(message: str) -> str:
    """The message without what differs each time: numbers, addresses, ids."""
    text = _SPACE.sub(" ", message.strip())
    return _DIGITS.sub("N", _UNIQUE.sub("ID", _ADDRESS.sub("ADDRESS", text)))


def scrubbed(message: str) -> str:
    """The message as it is kept: of one line, bounded, without keys and addresses. Loaders leave keys out, and paths and long strings; what
    comes may be of another client.
    """
    told = _TELLING.sub("<id>", _PATH.sub("<path>", message))
    told = _NETWORK_ADDRESS.sub(_without_address, told)
    return "".join(each if each.isprintable() else " " for each in told)[:MAX_MESSAGE_CHARACTERS]


def _without_address(found: re.Match[str]) -> str:
    try:
        ip_address(found[0])
    except ValueError:  # a time, a place in a script, a version
        return found[0]
    return "<address>"


_IPV4 = r"(?:\d{1,3}\.){3}\d{1,3}"
_NETWORK_ADDRESS = re.compile(
    rf"(?<![\w:.])(?:(?=[a-f:]*\d)(?:[0-9a-f]{{0,4}}:){{2,7}}(?:{_IPV4}|[0-9a-f]{{0,4}})(?!\w|:\w)|{_IPV4}(?!\w|\.\d))",
    re.IGNORECASE,
)
_PATH = re.compile(r"[A-Za-z]:[\\/][^'\":\n]*|~[\\/][^\s'\":]*|[\w.-]*[\\/][^\s'\":\\/]+[\\/][^\s'\":]*")


def is_regression(seen_build: int, resolved_build: int | None) -> bool:
    """Return whether an error that was resolved when `resolved_build` was the newest that had it came back."""
    return resolved_build is not None and seen_build > resolved_build


def is_spike(this_hour: int, before: Sequence[int]) -> bool:
    """Return whether so many copies within the hour are far more than in the `SPIKE_HOURS` before it, of which `before` has those with any."""
    return this_hour >= max(FEWEST_OF_SPIKE, SPIKE_FACTOR * sum(before) / SPIKE_HOURS)
