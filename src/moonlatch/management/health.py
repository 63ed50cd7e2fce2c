"""Health endpoints for the service manager and the proxy; without a token, so they tell nothing but yes or no."""

from __future__ import annotations

from fastapi import APIRouter

from moonlatch.management.backend import CurrentBackend
from moonlatch.management.refusals import Refusal, refusing
from moonlatch.management.replies import Success
from moonlatch.storage import accounts
from moonlatch.storage.interface import StorageError

router = APIRouter(tags=["health"])

NOT_READY = Refusal(-1, "not ready", 503)


@router.get("/health/live", summary="Is the process up?")
async def live() -> Success:
    """Answers as long as the process serves requests at all."""
    return Success()


@router.get("/health/ready", summary="Can it serve?", responses=refusing(NOT_READY))
async def ready(backend: CurrentBackend) -> Success:
    """Ready means that the database answers."""
    try:
        await accounts.find(backend.database, "")
    except StorageError:
        raise NOT_READY.error() from None
    return Success()
