"""The rules of checkpoints: which providers there are, what a step of each needs, when a step counts, when it is too fast. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from urllib.parse import urlsplit

_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000

ATTEMPT_MS = 2 * _HOUR
"""How long a visitor has for all steps together."""

MOST_STEPS = 5
MOST_WAYS = 10
"""Steps and those that stand in for them, of one system."""

MOST_PASSES = 40
"""Tries of all steps of one attempt."""

DOWN_MS = 2 * _MINUTE
"""For how long a provider that could not be asked is left alone."""

SIGNATURE_MS = 10 * _MINUTE
"""The longest that a signed callback may be good for."""

RECENT_PASSES, EARLIER_PASSES, FEWEST_PASSES = 20, 200, 40
"""How many of the latest tries are compared with how many before them, and how many of those there must be."""

HURRIED_SHARE = 0.5
HURRIED_AGAIN_MS = _DAY


class ProviderName(StrEnum):
    """Who sends visitors through something, and vouches that they went."""

    LINKVERTISE = "linkvertise"
    LOOTLABS = "lootlabs"
    WORKINK = "workink"
    CUSTOM = "custom"


class FieldType(StrEnum):
    """What a person is asked for a field: yes or no, a text, or nothing: it is something to be told."""

    TOGGLE = "toggle"
    TEXT = "text"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class ProviderField:
    """One setting of a step. `pattern` is what a value must match; a secret one is sealed, and never shown again."""

    id: str
    name: str
    info: str
    type: FieldType = FieldType.TEXT
    pattern: str = ""
    is_secret: bool = False
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class Provider:
    """What is known of a provider. `api` is where it is asked, and `last_seen` when that was last found to be so.

    One with a fixed target sends everybody back to one address, which is its step's own; the others to one that is good once.
    """

    name: ProviderName
    title: str
    fields: tuple[ProviderField, ...]
    api: str = ""
    last_seen: str = ""
    has_postback: bool = False
    has_fixed_target: bool = False


_URL = r"https://[!-~]{4,1500}"
_TOKEN = r"[!-~]{8,512}"  # noqa: S105 -- a pattern

_TABLE = (
    Provider(
        ProviderName.LINKVERTISE,
        "Linkvertise",
        (
            ProviderField(
                "publisher_id", "Publisher id", "The number of your Linkvertise account.", pattern=r"[0-9]{1,12}"
            ),
            ProviderField(
                "token",
                "Anti-bypassing token",
                "From Linkvertise's Anti-Bypassing page. Switch Anti-Bypassing on there: without it no visitor gets through.",
                pattern=_TOKEN,
                is_secret=True,
            ),
        ),
        api="https://publisher.linkvertise.com/api/v1/anti_bypassing",
        last_seen="2026-06",
    ),
    Provider(
        ProviderName.LOOTLABS,
        "Lootlabs",
        (
            ProviderField(
                "link", "Link", "Your content locker's link, whose destination is the callback.", pattern=_URL
            ),
            ProviderField(
                "token",
                "API token",
                "Optional: with it the destination of every visitor's link is hidden from tools that look for it.",
                pattern=_TOKEN,
                is_secret=True,
                is_needed=False,
            ),
            ProviderField("callback", "Callback", "Enter this as the link's destination.", FieldType.INFO),
            ProviderField(
                "postback",
                "Postback",
                "Enter this as the link's postback. Keep it to yourself: who knows it can say that somebody went through.",
                FieldType.INFO,
            ),
        ),
        api="https://creators.lootlabs.gg/api/public/url_encryptor",
        last_seen="2026-06",
        has_postback=True,
        has_fixed_target=True,
    ),
    Provider(
        ProviderName.WORKINK,
        "Work.ink",
        (
            ProviderField("link", "Link", "Your Work.ink link, whose destination is the callback.", pattern=_URL),
            ProviderField(
                "link_id",
                "Link id",
                "The number of that link, as Work.ink's dashboard shows it: tokens of other links are refused.",
                pattern=r"[0-9]{1,12}",
            ),
            ProviderField(
                "callback",
                "Callback",
                "Enter this, with ?token={TOKEN} behind it, as the link's destination.",
                FieldType.INFO,
            ),
        ),
        api="https://work.ink/_api/v2/token/isValid",
        last_seen="2026-06",
        has_fixed_target=True,
    ),
    Provider(
        ProviderName.CUSTOM,
        "Custom",
        (
            ProviderField(
                "url",
                "Address",
                "Where visitors are sent, with the query parameter callback: where your server sends them back, signed.",
                pattern=_URL,
            ),
            ProviderField("signing_secret", "Signing secret", "What your server signs callbacks with.", FieldType.INFO),
        ),
    ),
)
PROVIDERS: Mapping[ProviderName, Provider] = {provider.name: provider for provider in _TABLE}
"""Every provider. Their hosts and paths stand here alone; the settings `checkpoints.*_api` name others."""


def checked_settings(provider: ProviderName, given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """A step's settings and its secrets. Raises ValueError, beginning with the field's name, for what a provider does not take."""
    fields = {field.id: field for field in PROVIDERS[provider].fields if field.type is not FieldType.INFO}
    for name in given:
        if name not in fields:
            known = ", ".join(fields)
            raise ValueError(f"{name} is not a setting of {provider}: it has {known}")
    shown: dict[str, str] = {}
    secret: dict[str, str] = {}
    for name, field in fields.items():
        value = given.get(name, "")
        if not value:
            if field.is_needed:
                raise ValueError(f"{name} is missing: {field.info}")
            continue
        if re.fullmatch(field.pattern, value, re.ASCII) is None:
            raise ValueError(f"{name} must be {_WORDS.get(field.pattern, 'different')}")
        if field.pattern == _URL and not _names_a_host(value):
            raise ValueError(f"{name} must be {_WORDS[_URL]}")
        (secret if field.is_secret else shown)[name] = value
    return shown, secret


def _names_a_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


_WORDS = {
    _URL: "an https:// URL in ASCII",
    _TOKEN: "8 to 512 printable ASCII characters",
    r"[0-9]{1,12}": "a number of up to 12 digits",
}


def numbers_are_whole(numbers: Sequence[int]) -> bool:
    """Return whether steps are numbered from 1 without gaps; several of one number stand in for each other."""
    return bool(numbers) and set(numbers) == set(range(1, max(numbers) + 1))


def is_too_fast(left_at: int, now: int, minimum_seconds: int) -> bool:
    """Return whether somebody is back sooner than anybody can be who did what the step asks; times in Unix milliseconds."""
    return now - left_at < minimum_seconds * _SECOND


def median_seconds(durations_ms: Sequence[int]) -> float | None:
    """The median of some durations in milliseconds, in seconds; None of none."""
    return round(median(durations_ms) / _SECOND, 1) if durations_ms else None


def hurried(durations_ms: Sequence[int]) -> tuple[float, float] | None:
    """The medians before and now, in seconds, where the latest tries (the newest come first) took less than half of what they used to.

    None where they did not, or too few tell.
    """
    recent, earlier = durations_ms[:RECENT_PASSES], durations_ms[RECENT_PASSES : RECENT_PASSES + EARLIER_PASSES]
    if len(earlier) < FEWEST_PASSES:
        return None
    before, now = median_seconds(earlier) or 0.0, median_seconds(recent) or 0.0
    return (before, now) if now < before * HURRIED_SHARE else None


def extended(expires: int, *, now: int, duration: int, most: int) -> int:
    """When a key expires that is extended by a duration; all in milliseconds, `most` being the longest that it may still last."""
    return min(max(expires, now) + duration, now + most)
