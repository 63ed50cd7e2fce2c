"""An endpoint's own errors as data: raised by its handler and listed in its documentation from the same object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moonlatch.errors import ApiError
from moonlatch.operations.refusals import Reason


@dataclass(frozen=True, slots=True)
class DocumentedError:
    """One documented error of an endpoint; `extras` shows its further fields with example values."""

    code: int
    message: str
    status: int
    extras: dict[str, Any] = field(default_factory=dict)

    def error(self, **extras: Any) -> ApiError:
        """The error to raise, with this occurrence's extras."""
        return ApiError(self.status, self.code, self.message, **extras)

    def example(self) -> dict[str, Any]:
        """What a client gets, for the documentation."""
        return self.error(**self.extras).body()


ACCOUNT_EXPIRED = DocumentedError(0, Reason.ACCOUNT_EXPIRED, 403)


def refusing(*refusals: DocumentedError) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can answer these errors; the errors every route has are added by `documents`.

    What an operation refuses gets the code and status of the one with its reason as message.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    for refusal in refusals:
        response = responses.setdefault(
            refusal.status, {"content": {"application/json": {"examples": {}}}, "description": "", "refusals": []}
        )
        response["refusals"].append(refusal)
        line = f"{refusal.code} {refusal.message}"
        response["description"] = f"{response['description']}; {line}" if response["description"] else line
        response["content"]["application/json"]["examples"][line] = {"value": refusal.example()}
    return responses
