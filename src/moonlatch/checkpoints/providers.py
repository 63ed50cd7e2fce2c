"""How each provider is left for and asked. Takes no answer on trust: what a browser brings is looked up where it cannot be made up.

Holds nothing: what was used before is the database's to know.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec

from moonlatch import crypto, json_bounds
from moonlatch.clock import Clock
from moonlatch.config.sections import CheckpointSettings
from moonlatch.licensing.checkpoints import SIGNATURE_MS, ProviderName
from moonlatch.storage.ad_systems import AdStep
from moonlatch.web.destination import destination_of
from moonlatch.web.exchange import Answer
from moonlatch.web.outgoing import Bounds, CallError, Outgoing

logger = logging.getLogger(__name__)

ANSWER_BYTES = 16_384
AT_ONCE = 256
"""Questions of one process: each is an open file beside its visitor's, and a provider that hangs holds all that are asked."""
_HASH = re.compile(r"[A-Za-z0-9]{64}")
_TOKEN = re.compile(r"[A-Za-z0-9-]{8,64}")
_HEX = re.compile(r"[0-9a-f]{64}")
_MILLISECONDS = re.compile(r"[0-9]{1,15}")
_RANDOM_DIGITS = 3
_KNOWS_NOTHING_OF_IT = frozenset({400, 404, 410, 422})
"""What a provider that is well may answer where a browser brought something made up."""


class NotProvenError(Exception):
    """The provider does not vouch for the visitor."""


class ProviderDownError(Exception):
    """The provider could not be asked, or gave no usable answer. The message is for the log and holds no secret."""


class TooManyAskedError(ProviderDownError):
    """It was not asked: too much is under way here."""


@dataclass(frozen=True, slots=True)
class Return:
    """A browser that is back: with these query parameters, by a callback that is good once.

    `is_here` tells whether an address that a provider saw may be this visitor's.
    """

    callback: str
    query: Mapping[str, str]
    is_here: Callable[[str], bool]


class Providers:
    """Talks to providers, through the one client for calls to addresses that others chose."""

    def __init__(self, outgoing: Outgoing, settings: CheckpointSettings, clock: Clock, *, most: int = AT_ONCE) -> None:
        self._outgoing = outgoing
        self._settings = settings
        self._bounds = Bounds(settings.timeout_seconds, ANSWER_BYTES)
        self._clock = clock
        self._most = most
        self._asking = 0

    async def way_out(self, step: AdStep, secrets: Mapping[str, str], callback: str, callback_url: str) -> str:
        """Where to send a visitor for this step. Raises ProviderDownError."""
        settings = step.settings
        match ProviderName(step.provider):
            case ProviderName.LINKVERTISE:
                target = base64.b64encode(callback_url.encode()).decode()
                number = 1 + int.from_bytes(crypto.sha256(callback.encode())[:2], "big") % 10**_RANDOM_DIGITS
                return f"https://link-to.net/{settings['publisher_id']}/{number}/dynamic?r={quote(target, safe='')}"
            case ProviderName.LOOTLABS:
                extra = {"puid": callback}
                if "token" in secrets:
                    extra["data"] = await self._hidden(secrets["token"], callback_url)
                return _with_query(settings["link"], extra)
            case ProviderName.WORKINK:
                return settings["link"]
            case ProviderName.CUSTOM:
                return _with_query(settings["url"], {"callback": callback_url})

    async def proof(self, step: AdStep, secrets: Mapping[str, str], back: Return) -> str | None:
        """What proves that the visitor went through, to be used once; None where the provider says so elsewhere.

        Raises NotProvenError, ProviderDownError.
        """
        match ProviderName(step.provider):
            case ProviderName.LINKVERTISE:
                return await self._linkvertise(secrets["token"], back.query.get("hash", ""))
            case ProviderName.LOOTLABS:
                return None
            case ProviderName.WORKINK:
                return await self._workink(step.settings["link_id"], back)
            case ProviderName.CUSTOM:
                return self._signed(secrets["signing_secret"], back)

    async def _linkvertise(self, token: str, given: str) -> str:
        if _HASH.fullmatch(given) is None:
            raise NotProvenError
        answer = await self._asked_about_visitor(
            "POST", f"{self._settings.linkvertise_api}?{urlencode({'token': token, 'hash': given})}"
        )
        words = answer.body.decode("latin-1").strip()
        # Some of its servers answer in JSON, some in one word.
        said = _json(answer.body).get("status", words)
        if said is True or (isinstance(said, str) and said.lower() == "true"):
            return _one_spelling(given)
        if said is False or (isinstance(said, str) and said.lower() == "false"):
            raise NotProvenError
        raise ProviderDownError(
            "it does not take the token of this step" if "token" in words.lower() else "it says nothing usable"
        )

    async def _workink(self, link_id: str, back: Return) -> str:
        token = back.query.get("token", "")
        if _TOKEN.fullmatch(token) is None:
            raise NotProvenError
        answer = await self._asked_about_visitor("GET", f"{self._settings.workink_api}/{token}?deleteToken=1")
        said = _json(answer.body)
        if "valid" not in said:
            raise ProviderDownError("it says nothing usable")
        info = said.get("info")
        if said["valid"] is not True or not isinstance(info, dict):
            raise NotProvenError
        if str(info.get("linkId")) != link_id or not back.is_here(str(info.get("byIp", ""))):
            raise NotProvenError
        return _one_spelling(token)

    def _signed(self, secret: str, back: Return) -> str:
        """Check `signature`: HMAC-SHA256 of `CALLBACK.EXPIRES` in hex, good until `expires` (Unix milliseconds)."""
        expires, signature = back.query.get("expires", ""), back.query.get("signature", "")
        if _MILLISECONDS.fullmatch(expires) is None or _HEX.fullmatch(signature) is None:
            raise NotProvenError
        expected = crypto.hmac_sha256(secret.encode(), f"{back.callback}.{expires}".encode()).hex()
        now = self._clock()
        if not crypto.equal(expected, signature) or not now < int(expires) <= now + SIGNATURE_MS:
            raise NotProvenError
        return signature

    async def _hidden(self, token: str, target: str) -> str:
        """A link's destination as only Lootlabs can read it."""
        answer = await self._asked(
            "POST",
            self._settings.lootlabs_api,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            content=msgspec.json.encode({"destination_url": target}),
        )
        hidden = _json(answer.body).get("message")
        if not isinstance(hidden, str) or not hidden or len(hidden) > 2_000:
            raise ProviderDownError("it says nothing usable")
        return hidden

    async def _asked_about_visitor(self, method: str, url: str) -> Answer:
        """As `_asked`, of what a browser brought. That makes no provider look down: everybody else would be sent another way, or none."""
        answer = await self._answered(method, url)
        if answer.status in _KNOWS_NOTHING_OF_IT:
            logger.warning("%s answers %d to what a visitor brought", urlsplit(url).hostname, answer.status)
            raise NotProvenError
        return _usable(answer)

    async def _asked(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answer:
        """A provider's answer that can be read. Raises ProviderDownError."""
        return _usable(await self._answered(method, url, headers=headers, content=content))

    async def _answered(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answer:
        if method == "POST" and content is None:
            content = b""
        if self._asking >= self._most:
            raise TooManyAskedError("too many are asked at the moment")
        self._asking += 1
        try:
            return await self._outgoing.call(
                method, destination_of(url), headers=headers or {}, bounds=self._bounds, content=content
            )
        except (CallError, ValueError) as error:
            raise ProviderDownError(str(error)) from None
        finally:
            self._asking -= 1


def _usable(answer: Answer) -> Answer:
    if not answer.is_success:
        raise ProviderDownError(f"it answers {answer.status}")
    if not answer.is_whole:
        raise ProviderDownError("its answer is too long")
    return answer


def _one_spelling(proof: str) -> str:
    """A proof as it is kept: who checks it may take capitals for small letters, and need no hyphens."""
    return proof.lower().replace("-", "")


def _with_query(url: str, extra: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    query = "&".join(each for each in (parts.query, urlencode(extra)) if each)
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, ""))


def _json(body: bytes) -> dict[str, Any]:
    """The object in an answer; an empty one where there is none. It is short, so that its depth is."""
    try:
        found = json_bounds.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
