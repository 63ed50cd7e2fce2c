"""The rules of webhooks: what an endpoint is by its URL, when it is tried again, when it is given up. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000

SCHEDULE_MS = (
    *(0, 5 * _SECOND, 5 * _MINUTE, 30 * _MINUTE),
    *(hours * _HOUR for hours in (2, 5, 10, 14, 20, 24)),
)
"""Waits before the first attempt and each of the next (Standard Webhooks 1.0), in milliseconds."""

JITTER = 0.1
"""By how much of it a wait is longer at most, so that not everything comes back at once."""

LONGEST_WAIT_MS = _DAY
"""However long a receiver asks us to wait."""

FAILING_MS = 5 * _DAY
"""An endpoint to which nothing but failures came for so long is switched off."""

OLDEST_MS = 5 * _DAY
"""After so long a delivery is given up, even one that was only ever put off."""

PREVIOUS_SECRET_MS = _DAY
"""For so long the secret of before signs as well."""


class EndpointKind(StrEnum):
    """Which words an endpoint understands."""

    STANDARD = "standard"
    DISCORD = "discord"


class ExecutionNews(StrEnum):
    """How an endpoint hears of starts: not at all, of each one, or as counts."""

    NONE = "none"
    EACH = "each"
    COUNTS = "counts"


class Fate(StrEnum):
    """What comes of an attempt: it arrived, is tried again, is put off without counting as tried, or the endpoint is switched off."""

    DELIVERED = "delivered"
    FAILED = "failed"
    PUT_OFF = "put off"
    GONE = "gone"


_DISCORD = re.compile(
    r"https://(?:(?:ptb|canary)\.)?(?:discord|discordapp)\.com(?::443)?/api(?:/v[0-9]{1,2})?/webhooks/([0-9]{1,20})/[A-Za-z0-9_-]+/?(?:\?.*)?",
    re.IGNORECASE,
)
# Slack, Telegram and others have their secrets in the path.
_WORD = re.compile(r"[A-Za-z][A-Za-z._-]{0,15}|v?[0-9]{1,4}")
_WAIT = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def kind_of(url: str) -> EndpointKind:
    """What an endpoint is when nobody says."""
    return EndpointKind.DISCORD if _DISCORD.fullmatch(url) else EndpointKind.STANDARD


def shown_url(url: str) -> str:
    """A URL without what may let anybody post there: of Discord's the token, of others the query and what is no word of the path."""
    discord = _DISCORD.fullmatch(url)
    if discord:
        return f"https://discord.com/api/webhooks/{discord[1]}/…"
    bare, mark, _ = url.partition("?")
    scheme, _, place = bare.partition("://")
    host, *path = place.split("/")
    words = [part if not part or _WORD.fullmatch(part) else "…" for part in path]
    return "/".join([f"{scheme}://{host}", *words]) + ("?…" if mark else "")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means. `wait_ms` is what the receiver asks for before the next attempt."""

    fate: Fate
    wait_ms: int = 0


def judged(kind: EndpointKind, status: int | None, headers: Mapping[str, str]) -> Verdict:
    """What an attempt's status (None: no answer) and headers, in lower case, mean."""
    if status is None:
        return Verdict(Fate.FAILED)
    if 200 <= status < 300:
        return Verdict(Fate.DELIVERED)
    # Ten thousand refusals in ten minutes and Discord bars the whole server; a webhook that was deleted does not come back.
    if status == 410 or (kind is EndpointKind.DISCORD and status in (401, 404)):
        return Verdict(Fate.GONE)
    wait_ms = _wait_ms(headers.get("retry-after"))
    if status == 429 and wait_ms:
        return Verdict(Fate.PUT_OFF, wait_ms)
    return Verdict(Fate.FAILED, wait_ms)


def pause_ms(kind: EndpointKind, headers: Mapping[str, str]) -> int:
    """How long to leave a receiver alone that says that nothing more is allowed for now (Discord's `X-RateLimit-*`)."""
    if kind is EndpointKind.DISCORD and headers.get("x-ratelimit-remaining") == "0":
        return _wait_ms(headers.get("x-ratelimit-reset-after"))
    return 0


def _wait_ms(text: str | None) -> int:
    """Seconds as a header has them. Dates are not worth reading: clocks differ, and the schedule waits as well."""
    if text is None or not _WAIT.fullmatch(text.strip()):
        return 0
    return min(LONGEST_WAIT_MS, round(float(text) * 1000))


def next_attempt_ms(step: int, verdict: Verdict, luck: float) -> int | None:
    """How long to wait after the attempt `step` (from 0) failed; None when there is no further one. `luck` is from 0 to 1."""
    if verdict.fate is Fate.PUT_OFF:
        return verdict.wait_ms
    if step + 1 >= len(SCHEDULE_MS):
        return None
    wait = SCHEDULE_MS[step + 1]
    return max(round(wait * (1 + JITTER * luck)), verdict.wait_ms)
