"""Single HTTP calls to a service that is not trusted: bounded in time and size, never redirected. Knows no endpoint and retries nothing."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import httpx

CONNECT_SECONDS = 10.0
_SUCCESS = range(200, 300)
_REDIRECTION = range(300, 400)


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """A complete answer. `retry_after_seconds` is what a refusal asks for, None when it says nothing we understand."""

    status: int
    body: bytes
    retry_after_seconds: float | None

    @property
    def is_success(self) -> bool:
        return self.status in _SUCCESS


class CallError(Exception):
    """There is no usable answer. The message is for people and holds nothing of the request but its address."""


class NotSentError(CallError):
    """No connection came about, so the service has not seen the request."""


class NoAnswerError(CallError):
    """The service may have seen the request and acted on it, but a complete answer did not come."""


class UnusableAnswerError(CallError):
    """The service answered with what we do not take; asking again would bring the same."""


class Calls:
    """Calls to one base URL. `client` belongs to the caller and must neither follow redirects nor retry."""

    def __init__(self, client: httpx.AsyncClient, base_url: str) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")

    async def get(self, path: str, *, api_key: str, seconds: float, limit_bytes: int) -> ServiceAnswer:
        """A call that changes nothing. Raises CallError."""
        request = self._client.build_request("GET", self._base_url + path, headers=_headers(api_key))
        return await self._answer(request, seconds, limit_bytes)

    async def post(self, path: str, content: bytes, *, api_key: str, seconds: float, limit_bytes: int) -> ServiceAnswer:
        """A call that may change something: after any other error than NotSentError it may have. Raises CallError."""
        headers = {**_headers(api_key), "Content-Type": "application/json"}
        request = self._client.build_request("POST", self._base_url + path, headers=headers, content=content)
        return await self._answer(request, seconds, limit_bytes)

    async def _answer(self, request: httpx.Request, seconds: float, limit_bytes: int) -> ServiceAnswer:
        # The library's own time limits start anew with every byte; this one is for the whole call.
        request.extensions["timeout"] = httpx.Timeout(None, connect=CONNECT_SECONDS).as_dict()
        try:
            async with asyncio.timeout(seconds):
                return await self._read(request, limit_bytes)
        except TimeoutError:
            raise NoAnswerError(f"no answer within {seconds:g} s") from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise NotSentError("the service cannot be reached") from None
        except httpx.HTTPError:
            raise NoAnswerError("the connection broke before the answer was complete") from None

    async def _read(self, request: httpx.Request, limit_bytes: int) -> ServiceAnswer:
        answer = await self._client.send(request, stream=True)
        try:
            if answer.status_code in _REDIRECTION:
                raise UnusableAnswerError(f"the service wants to send us elsewhere (status {answer.status_code})")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise UnusableAnswerError("the answer is compressed, which was not asked for")
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > limit_bytes:
                    raise UnusableAnswerError(f"the answer has more than {limit_bytes:,} bytes")
            return ServiceAnswer(answer.status_code, bytes(body), _seconds(answer.headers.get("retry-after")))
        finally:
            await answer.aclose()


def _headers(api_key: str) -> dict[str, str]:
    # Uncompressed, because a few compressed bytes can stand for gigabytes.
    return {"Luraph-API-Key": api_key, "Accept-Encoding": "identity", "User-Agent": "moonlatch"}


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` (RFC 9110 section 10.2.3) in seconds; its dates are not worth reading for waits as short as ours."""
    return float(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,6}", retry_after) else None
