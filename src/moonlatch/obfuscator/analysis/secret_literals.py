"""Warns of texts in a script that look like secrets: whoever runs it has them, under every profile. It changes nothing."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Set as AbstractSet

from moonlatch.obfuscator.analysis.texts import Texts
from moonlatch.obfuscator.syntax import tree as s

MAX_WARNINGS = 5
"""Of these; one for each kind and text."""

_KNOWN: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (what, re.compile(pattern.encode()))
    for what, pattern in (
        ("the address of a Discord webhook", r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d{15,20}/[\w-]{30,}"),
        (
            "the address of a webhook",
            r"https?://[\w.-]+/(?:api/)?webhooks/(?:\d{15,20}|[\da-f]{8}-[\da-f-]{27})/[\w-]{30,}",
        ),
        ("the address of a Slack webhook", r"hooks\.slack\.com/(?:services|workflows)/[\w/]{20,}"),
        ("a Discord bot's token", r"(?<![\w-])[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}"),
        ("a Telegram bot's token", r"(?<!\d)\d{8,10}:AA[\w-]{33}(?![\w-])"),
        ("a token of GitHub", r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,})"),
        ("a token of Slack", r"(?<!\w)xox[abeoprs]-[\w-]{20,}"),
        ("a key of Stripe", r"(?<!\w)[rs]k_(?:live|test)_[A-Za-z0-9]{20,}"),
        ("a key of Amazon Web Services", r"(?<!\w)(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)"),
        ("a key of Google", r"(?<!\w)AIza[\w-]{35}(?![\w-])"),
        ("a key of a language model's service", r"(?<!\w)sk-(?:ant-|proj-|or-)?[\w-]{32,}"),
        ("a signed token (JWT)", r"(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
        ("a token of Moonlatch", r"(?<!\w)ml_[\w-]{43}(?:[A-Za-z0-9]{6})?(?![\w-])"),
        ("the secret of a webhook", r"(?<!\w)whsec_[A-Za-z0-9+/=]{24,}"),
        ("a Roblox account's cookie", r"_\|WARNING:-DO-NOT-SHARE-THIS"),
        ("a private key", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    )
)
_WEBHOOKS = frozenset(what for what, _ in _KNOWN if what.startswith("the address of a"))
_INSTEAD = 'keep it at the server as a server variable, and read it with la_var("name")'
_INSTEAD_OF_WEBHOOK = 'keep it at the server as a server webhook, and post with la_webhook("name", data)'
_RANDOM = "a long random text"
_TOKEN = re.compile(rb"[A-Za-z0-9+/_-]{32,128}={0,2}")
_FEWEST_BYTES = 20
_WORTH_A_LOOK = re.compile(rb"[A-Za-z0-9+/_=-]{20}|DO-NOT-SHARE|PRIVATE KEY")
"""Every text that is warned of has some of this."""

_FEWEST_DIGITS = 2
_FEWEST_TURNS = 4
"""From a letter to a digit and back: words with numbers behind them turn seldom."""

_LEAST_BITS_OF_CHARACTER = 0.8
"""Of those that so long a text of 64 characters has on average."""

_MOST_NEIGHBOURS = 0.12
"""Characters that follow the one before in the alphabet; in alphabets and tables all do."""


def secret_warnings(chunk: s.Chunk, source: bytes, hidden: AbstractSet[s.Function] = frozenset()) -> list[str]:
    """One warning for each text that looks like a secret, in the order of the script, but for those in `hidden` functions.

    Few false alarms are worth more than every secret: hexadecimal texts, which mostly are hashes and ids of what is public, and long
    data are passed over.
    """
    # Many scripts have nothing that could be meant, not even in a comment: they pay for a search alone.
    if _WORTH_A_LOOK.search(source) is None:
        return []
    found = Texts(hidden)
    found.chunk(chunk)
    lines: dict[str, list[int]] = {}
    for line, text in sorted(found.texts):
        what = kind_of_secret(text)
        if what is not None and line not in lines.setdefault(what, []):
            lines[what].append(line)
    return [_warning(what, where) for what, where in lines.items()][:MAX_WARNINGS]


def kind_of_secret(text: bytes) -> str | None:
    """What a text looks like, in words; None where it looks like none."""
    if len(text) < _FEWEST_BYTES or _WORTH_A_LOOK.search(text) is None:
        return None
    for what, pattern in _KNOWN:
        if pattern.search(text) is not None:
            return what
    return _RANDOM if _looks_random(text) else None


def _looks_random(text: bytes) -> bool:
    if _TOKEN.fullmatch(text) is None:
        return False
    plain = text.rstrip(b"=").decode()
    digits = sum(character.isdigit() for character in plain)
    if digits < _FEWEST_DIGITS or plain.lower() == plain or plain.upper() == plain:
        return False
    pairs = list(itertools.pairwise(plain))
    if sum(one.isdigit() != other.isdigit() for one, other in pairs) < _FEWEST_TURNS:
        return False
    if sum(abs(ord(one) - ord(other)) <= 1 for one, other in pairs) > _MOST_NEIGHBOURS * len(pairs):
        return False
    bits = -sum(count / len(plain) * math.log2(count / len(plain)) for count in Counter(plain).values())
    return bits >= _LEAST_BITS_OF_CHARACTER * min(math.log2(len(plain)), 6)


def _warning(what: str, lines: list[int]) -> str:
    others = (
        f" (also on {'line' if len(lines) == 2 else 'lines'} {', '.join(map(str, lines[1:9]))})" if lines[1:] else ""
    )
    return (
        f"line {lines[0]}: this looks like {what}{others}, and whoever runs the script can read it, under every profile;"
        f" {_INSTEAD_OF_WEBHOOK if what in _WEBHOOKS else _INSTEAD}"
    )
