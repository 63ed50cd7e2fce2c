"""Fields and replies that signing in and changing how one signs in have in common."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request
from pydantic import Field

from moonlatch.licensing.signing_in import MAX_PASSWORD, MIN_PASSWORD
from moonlatch.management.fields import Clean
from moonlatch.management.replies import Success

MAX_BODY_BYTES = 64 * 1024

Secret = Annotated[str, Field(min_length=1, max_length=100), Clean]
NewPassword = Annotated[
    str, Field(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD, description="anything long enough"), Clean
]
Credential = Annotated[dict[str, Any], Field(description="what `PublicKeyCredential.toJSON()` gives")]


def small_limit(_request: Request) -> int:
    """Return the most bytes of a body that anybody may send."""
    return MAX_BODY_BYTES


class ChallengeReply(Success):
    challenge_id: Annotated[str, Field(description="good for 5 minutes, once", examples=["CHALLENGE_ID"])]
    options: Annotated[
        dict[str, Any],
        Field(
            description="`publicKey` of `navigator.credentials`, after `parseCreationOptionsFromJSON` or its like",
            examples=[{"challenge": "...", "rpId": "scripts.example.com", "userVerification": "required"}],
        ),
    ]
