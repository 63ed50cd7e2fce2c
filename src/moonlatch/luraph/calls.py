"""Single calls to the service: no redirect, nothing compressed, a bounded answer. Knows no endpoint and retries nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from moonlatch.web.destination import destination_of
from moonlatch.web.exchange import Answer
from moonlatch.web.outgoing import Bounds, Outgoing, UnusableAnswerError


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """A complete answer. `retry_after_seconds` is what a refusal asks for, None when it says nothing we understand."""

    status: int
    body: bytes
    retry_after_seconds: float | None
    is_success: bool


class Calls:
    """Calls to one base URL. `client` belongs to the caller."""

    def __init__(self, client: Outgoing, base_url: str) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")

    async def get(self, path: str, *, api_key: str, bounds: Bounds) -> ServiceAnswer:
        """A call that changes nothing. Raises CallError."""
        destination = destination_of(self._base_url + path)
        return _checked(
            await self._client.call("GET", destination, headers={"Luraph-API-Key": api_key}, bounds=bounds), bounds
        )

    async def post(self, path: str, content: bytes, *, api_key: str, bounds: Bounds) -> ServiceAnswer:
        """A call that may change something: after any other error than NotSentError it may have. Raises CallError."""
        headers = {"Luraph-API-Key": api_key, "Content-Type": "application/json"}
        destination = destination_of(self._base_url + path)
        return _checked(
            await self._client.call("POST", destination, headers=headers, content=content, bounds=bounds), bounds
        )


def _checked(answer: Answer, bounds: Bounds) -> ServiceAnswer:
    if answer.is_redirection:
        raise UnusableAnswerError(f"the service wants to send us elsewhere (status {answer.status})")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise UnusableAnswerError("the answer is compressed, which was not asked for")
    if not answer.is_whole:
        raise UnusableAnswerError(f"the answer has more than {bounds.answer_bytes:,} bytes")
    return ServiceAnswer(answer.status, answer.body, _seconds(answer.headers.get("retry-after")), answer.is_success)


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` (RFC 9110 section 10.2.3) in seconds; its dates are not worth reading for waits as short as ours."""
    return float(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,6}", retry_after) else None
