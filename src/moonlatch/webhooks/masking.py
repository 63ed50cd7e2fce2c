"""What is kept of a receiver's answer: its beginning, without what looks like a secret. Pure."""

from __future__ import annotations

import re

MOST_BYTES = 2_048
_MASK = "…"
_SECRETS = re.compile(
    r"whsec_[A-Za-z0-9+/=]+"
    r"|ml_[A-Za-z0-9_-]{20,}"
    r"|(?<=/webhooks/)([0-9]{1,20})/[A-Za-z0-9_-]+"
    r"|(?i:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=[\"'&?\s])(?i:token|secret|password|api_?key|authorization)[\"']?\s*[:=]\s*[\"']?[^\s\"'&,}]{4,}"
)


def kept_answer(body: bytes, url: str) -> str:
    """The beginning of an answer as text. `url` is where it came from: nothing of its path or query is repeated."""
    text = body[:MOST_BYTES].decode(errors="replace").replace("\0", "\ufffd")
    for part in re.split(r"[/?&=]", url.partition("://")[2])[1:]:
        if len(part) >= 8:
            text = text.replace(part, _MASK)
    return _SECRETS.sub(_MASK, text)[:MOST_BYTES]
