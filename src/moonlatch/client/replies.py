"""What goes back to a client over HTTP: replies and refusals as the protocol page lists them."""

from __future__ import annotations

from typing import Any

import msgspec

from moonlatch.licensing.verdict import Refusal
from moonlatch.web.socket import Headers, Send

STATUS = {
    "INVALID_REQUEST": 400,
    "REPLAYED": 409,
    "CLOCK_WRONG": 409,
    "SCRIPT_NOT_FOUND": 404,
    "SCRIPT_DISABLED": 403,
    "LOADER_OUTDATED": 409,
    "SESSIONS_REQUIRED": 403,
    "KEY_REQUIRED": 401,
    "KEY_NOT_FOUND": 404,
    "BLACKLISTED": 403,
    "KEY_HELD": 403,
    "KEY_EXPIRED": 403,
    "KEY_LOCKED": 403,
    "TOO_MANY_KEYS": 403,
    "FINGERPRINT_REQUIRED": 403,
    "FINGERPRINT_MISMATCH": 403,
    "TOO_MANY_INSTANCES": 403,
    "SUPERSEDED": 403,
    "EXECUTION_LIMIT_REACHED": 403,
    "RATE_LIMITED": 429,
    "OUTDATED": 403,
    "DISCONNECTED": 403,
    "INSTANCE_UNKNOWN": 404,
    "UNAVAILABLE": 503,
}

REPLAYED = Refusal("REPLAYED", "This request was already used. Run the loader line again.")
UNAVAILABLE = Refusal("UNAVAILABLE", "The server cannot decide at the moment. Try again in a minute.")

encode_json = msgspec.json.Encoder().encode


class RefusedError(Exception):
    """Ends a request with a refusal, with the code's own status unless another is given."""

    def __init__(self, refusal: Refusal, status: int | None = None, headers: Headers | None = None) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.status = status or STATUS[refusal.code]
        self.headers = headers or []
        self.proof: str | None = None
        """That the installation refused this request, for a client that checks it."""

    def body(self) -> bytes:
        body = refusal_body(self.refusal)
        return encode_json(body if self.proof is None else {**body, "proof": self.proof})


def refusal_body(refusal: Refusal) -> dict[str, Any]:
    error = {"code": refusal.code, "message": refusal.message, **refusal.extras}
    return {"success": False, "error": error}


def invalid(message: str, status: int = 400, headers: Headers | None = None) -> RefusedError:
    """The request is not as the protocol describes."""
    return RefusedError(Refusal("INVALID_REQUEST", message), status, headers)


def clock_wrong(time_ms: int) -> RefusedError:
    """The request was not made at about this time, in Unix milliseconds."""
    return RefusedError(
        Refusal(
            "CLOCK_WRONG",
            "The clock of this device is wrong, or this request was made long ago. Run the loader line again.",
            {"time": time_ms},
        )
    )


def rate_limited(retry_after_seconds: int, what: str) -> RefusedError:
    """The refusal of one of too many; `what` names them in the plural."""
    refusal = Refusal(
        "RATE_LIMITED",
        f"Too many {what} from your network. Try again in {retry_after_seconds} seconds.",
        {"retry_after": retry_after_seconds},
    )
    return RefusedError(refusal, headers=[(b"retry-after", b"%d" % retry_after_seconds)])


def asks_too_often(what: str, retry_after_seconds: int) -> RefusedError:
    """The refusal of one copy that asks `what` more often than it may; nothing is wrong with it else."""
    refusal = Refusal(
        "RATE_LIMITED",
        f"This script asks {what} too often. Try again in {retry_after_seconds} seconds.",
        {"retry_after": retry_after_seconds},
    )
    return RefusedError(refusal, headers=[(b"retry-after", b"%d" % retry_after_seconds)])


async def respond(send: Send, status: int, content_type: bytes, body: bytes, headers: Headers | None = None) -> None:
    """Send a whole response."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", b"%d" % len(body)),
                *(headers or ()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
